"""Data classes returned by the corpus readers. The readers do not open any audio files."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from emosphere_sb.scale import Scale

UNKNOWN_SPEAKERS = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null", "-", "?"})
"""Speaker names (in lower case) that do not identify a person."""


@dataclass(frozen=True, slots=True)
class RaterStatistics:
    """Summary of the individual ratings of one utterance.

    Arguments
    ---------
    count : int, optional
        Number of raters that rated at least one dimension; ``None`` if unknown.
    valence_sd, arousal_sd, dominance_sd : float, optional
        Population standard deviation (SD) over the raters, on the corpus's scale.
    votes : str
        Emotions with the number of raters who chose them, for example ``angry:2;neutral:1``.

    Example
    -------
    >>> RaterStatistics(3, 0.5, 0.0, None, "angry:2;neutral:1").sd
    (0.5, 0.0, None)
    """

    count: int | None = None
    valence_sd: float | None = None
    arousal_sd: float | None = None
    dominance_sd: float | None = None
    votes: str = ""

    @property
    def sd(self) -> tuple[float | None, float | None, float | None]:
        """Standard deviations of valence, arousal and dominance."""
        return self.valence_sd, self.arousal_sd, self.dominance_sd


NO_RATERS = RaterStatistics()
"""Statistics of an utterance whose individual ratings are unknown."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a label file.

    Arguments
    ---------
    id : str
        Identifier, unique across all sets of the corpus.
    path : str
        Path of the audio file with ``/`` as separator, relative to the corpus folder; absolute if
        the file is outside that folder.
    valence, arousal, dominance : float, optional
        Labels on the corpus's scale, exactly as in the label file; ``None`` if unknown.
    emotion, speaker, gender, session, transcript : str
        Metadata; empty if unknown.
    raters : RaterStatistics
        Number of raters, SDs and votes, if the individual ratings are known.

    Example
    -------
    >>> Utterance("a", "wav/a.wav", 4.0, 2.2, None, speaker="30").vad
    (4.0, 2.2, None)
    """

    id: str
    path: str
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    emotion: str = ""
    speaker: str = ""
    gender: str = ""
    session: str = ""
    transcript: str = ""
    raters: RaterStatistics = NO_RATERS

    @property
    def vad(self) -> tuple[float | None, float | None, float | None]:
        """Valence, arousal and dominance."""
        return self.valence, self.arousal, self.dominance


class Rejection(NamedTuple):
    """A rejected file, with the reason for its rejection.

    Arguments
    ---------
    path : str
        Path of the audio file; if the row names none, the label file and the line number.
    reason : str
        A short category, followed by ``": "`` and the details. Reasons are counted by category.
    set : str
        Set to which the file would have belonged; empty if unknown.

    Example
    -------
    >>> Rejection("a.wav", "label outside the scale: valence is 9.0").kind
    'label outside the scale'
    """

    path: str
    reason: str
    set: str = ""

    @property
    def kind(self) -> str:
        """Category of the reason, without the details."""
        return self.reason.partition(": ")[0]


class ExcludedRow(NamedTuple):
    """A row that is excluded by an option; it is neither used nor rejected.

    Arguments
    ---------
    set : str
        Set to which the row would have belonged.
    row : Utterance
        The row as read from the label file.
    option : str
        Command-line option that excludes it, for example ``--drop_train``.

    Example
    -------
    >>> ExcludedRow("train", Utterance("a", "a.wav", emotion="other"), "--drop_train").row.path
    'a.wav'
    """

    set: str
    row: Utterance
    option: str


@dataclass
class Corpus:
    """A corpus as described by its label files.

    Arguments
    ---------
    name : str
        Display name.
    data_root : pathlib.Path
        Folder to which the paths of the utterances are relative.
    sets : dict of str to list of Utterance
        Utterances of each set, in the order in which the sets are written.
    scale : emosphere_sb.scale.Scale
        Scale of the labels.
    release : str, optional
        Release of the corpus, if known.
    official_split : bool
        Whether the sets are defined by the corpus. Only official sets may share speakers.
    predict_only : tuple of str
        Sets whose labels are hidden.
    rejected : list of Rejection
        Rows that the reader rejected.
    excluded : list of ExcludedRow
        Rows excluded by the protocol. They are still needed to find contradictory rows for the
        same file.
    empty_set_reasons : dict of str to str
        For each set that an option leaves empty, the reason.
    warnings : list of str
        Warnings to consider when reporting results on these sets.
    protocol : dict
        Protocol entries for ``summary.json``: partition, seed, excluded classes.
    inputs : list of pathlib.Path
        Files that trigger a new preparation when they change. Files that do not exist yet are
        included, so that creating one also triggers it.
    audio_folders : list of pathlib.Path
        Folders that are searched recursively for audio files without a label.
    has_transcripts : bool
        Whether the corpus includes transcripts. If it does, missing ones are reported.
    """

    name: str
    data_root: Path
    sets: dict[str, list[Utterance]]
    scale: Scale
    release: str | None = None
    official_split: bool = False
    predict_only: tuple[str, ...] = ()
    rejected: list[Rejection] = field(default_factory=list)
    excluded: list[ExcludedRow] = field(default_factory=list)
    empty_set_reasons: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    inputs: list[Path] = field(default_factory=list)
    audio_folders: list[Path] = field(default_factory=list)
    has_transcripts: bool = False

    def utterances(self) -> Iterator[tuple[str, Utterance]]:
        """Iterate over all utterances, set by set, as pairs (set name, utterance)."""
        for name, rows in self.sets.items():
            for row in rows:
                yield name, row


def speaker_key(name: str) -> str:
    """Normalise a speaker name for comparison; an unknown speaker becomes an empty string.

    Example
    -------
    >>> speaker_key("S 1"), speaker_key("s1"), speaker_key("N/A")
    ('s1', 's1', '')
    """
    key = unicodedata.normalize("NFC", "".join(name.split()).casefold())
    return "" if key in UNKNOWN_SPEAKERS else key


def is_known_speaker(name: str) -> bool:
    """Return whether a speaker name identifies a person.

    Example
    -------
    >>> is_known_speaker("30"), is_known_speaker("Unknown"), is_known_speaker("")
    (True, False, False)
    """
    return bool(speaker_key(name))
