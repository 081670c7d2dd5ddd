"""What a corpus reader hands over: plain records, before any audio file has been opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from emosphere_sb.scale import Scale

UNKNOWN_SPEAKERS = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null", "-", "?"})
"""Speaker names (in lower case) that do not tell one person from another."""


@dataclass(frozen=True, slots=True)
class RaterFigures:
    """What several raters said of one utterance, in few figures.

    Arguments
    ---------
    count : int, optional
        Raters that rated at least one dimension; ``None`` where unknown.
    valence_sd, arousal_sd, dominance_sd : float, optional
        Population deviation over the raters, in the corpus's own units.
    votes : str
        Emotions with the number of raters that chose them, such as ``angry:2;neutral:1``.

    Example
    -------
    >>> RaterFigures(3, 0.5, 0.0, None, "angry:2;neutral:1").sd
    (0.5, 0.0, None)
    """

    count: int | None = None
    valence_sd: float | None = None
    arousal_sd: float | None = None
    dominance_sd: float | None = None
    votes: str = ""

    @property
    def sd(self) -> tuple[float | None, float | None, float | None]:
        """Deviations of valence, arousal, dominance."""
        return self.valence_sd, self.arousal_sd, self.dominance_sd


NO_RATERS = RaterFigures()
"""Of an utterance whose raters are not known."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a label file.

    Arguments
    ---------
    id : str
        Unique over all sets of the corpus.
    path : str
        The audio file, relative to the corpus's folder, with ``/``; absolute if it lies elsewhere.
    valence, arousal, dominance : float, optional
        On the corpus's own scale, exactly as in the label file; ``None`` where unknown.
    emotion, speaker, gender, session, transcript : str
        Empty where unknown.
    raters : RaterFigures
        Number, spread and votes of the raters, where their single ratings are known.

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
    raters: RaterFigures = NO_RATERS

    @property
    def vad(self) -> tuple[float | None, float | None, float | None]:
        """Valence, arousal, dominance."""
        return self.valence, self.arousal, self.dominance


class Rejection(NamedTuple):
    """A file that is not used, and why.

    Arguments
    ---------
    path : str
        The audio file, or file and line of the label file where no audio file is named.
    reason : str
        A short kind, then ``": "`` and the details; reasons are counted by their kind.
    set : str
        The set it would have been in, empty where unknown.

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
        """The reason without its details."""
        return self.reason.partition(": ")[0]


class LeftOut(NamedTuple):
    """A row that an option leaves out: neither used nor rejected.

    Arguments
    ---------
    set : str
        The set it would have been in.
    row : Utterance
        As the label file has it.
    option : str
        By which it is left out, as on the command line.

    Example
    -------
    >>> LeftOut("train", Utterance("a", "a.wav", emotion="other"), "--drop_train").row.path
    'a.wav'
    """

    set: str
    row: Utterance
    option: str


@dataclass
class Corpus:
    """A corpus as its label files describe it.

    Arguments
    ---------
    name : str
        As it is printed.
    data_root : pathlib.Path
        The folder that the paths of the utterances are relative to.
    sets : dict of str to list of Utterance
        In the order in which they are written.
    scale : emosphere_sb.scale.Scale
        The scale of the labels.
    release : str, optional
        Which release of the corpus this is, as far as it is known.
    official_split : bool
        Whether the sets are the corpus's own. Only then may they share speakers.
    predict_only : tuple of str
        Sets whose labels are hidden.
    rejected : list of Rejection
        Rows that the reader could not use.
    left_out : list of LeftOut
        Rows that the protocol leaves out on purpose. They are kept here because a row contradicts
        another one of the same file whether it is used or not.
    unfilled : dict of str to str
        For sets that an option leaves without rows: which option, in words.
    warnings : list of str
        What whoever reports a result on these sets should know.
    protocol : dict
        Plain facts for ``summary.json``: partition, seed, classes left out.
    inputs : list of pathlib.Path
        Files whose change means a new preparation. Files that are not there count too: their
        appearance is a change.
    audio_folders : list of pathlib.Path
        Searched, with their sub-folders, for audio that no label names.
    transcribed : bool
        Whether the corpus comes with transcripts, so that those that are missing are worth a word.
    """

    name: str
    data_root: Path
    sets: dict[str, list[Utterance]]
    scale: Scale
    release: str | None = None
    official_split: bool = False
    predict_only: tuple[str, ...] = ()
    rejected: list[Rejection] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unfilled: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    inputs: list[Path] = field(default_factory=list)
    audio_folders: list[Path] = field(default_factory=list)
    transcribed: bool = False

    def utterances(self) -> Iterator[tuple[str, Utterance]]:
        """All utterances with the name of their set, set by set."""
        for name, rows in self.sets.items():
            for row in rows:
                yield name, row


def speaker_key(name: str) -> str:
    """What a person's names have in common, however they are typed; empty for an unknown person.

    Example
    -------
    >>> speaker_key("S 1"), speaker_key("s1"), speaker_key("N/A")
    ('s1', 's1', '')
    """
    key = unicodedata.normalize("NFC", "".join(name.split()).casefold())
    return "" if key in UNKNOWN_SPEAKERS else key


def is_known_speaker(name: str) -> bool:
    """Whether a speaker's name tells this person from others.

    Example
    -------
    >>> is_known_speaker("30"), is_known_speaker("Unknown"), is_known_speaker("")
    (True, False, False)
    """
    return bool(speaker_key(name))
