"""Reader for IEMOCAP (``IEMOCAP_full_release``), with one label file for each of its 151 dialogues.

The label files list valence, activation and dominance, in that order, on a scale from 1 to 5. Turns
without rater agreement (``xxx``) or with another emotion (``oth``) have valid dimensional labels
and are included.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.iemocap.labels import EMOTIONS, Turn, read_labels, read_transcripts
from data_prep.parsing.folders import (
    apply_exclusions,
    candidate_paths,
    find_entry,
    list_names,
    merge_classes,
    parse_drop_options,
    relative_audio_path,
    resolve_data_folder,
)
from data_prep.parsing.label_text import unreadable_transcript_warnings
from data_prep.parsing.raters import RaterCheck
from data_prep.partitions.cross_validation import (
    Partition,
    leave_one_group_out,
    leave_one_speaker_out,
    select_partition,
)
from emosphere_sb.scale import Scale

__all__ = ["NAME", "PARTITIONS", "SCALE", "Turn", "read", "read_labels", "read_transcripts"]

NAME = "IEMOCAP"
LANGUAGE = "en"
SPEECH = "English dialogues, improvised and scripted, by ten actors"
TERMS = (
    "IEMOCAP is licensed under a release form of the University of Southern California, which does "
    "not permit redistribution. Contact its owners before sharing weights trained on it."
)
"""Implications of the corpus's terms for sharing trained weights, based on public information."""
SCALE = Scale(1, 5)
SESSIONS = tuple("12345")

PARTITIONS = {
    "session": Partition("session", leave_one_group_out(SESSIONS)),
    "speaker": Partition(
        "speaker", leave_one_speaker_out([(f"Ses0{k}F", f"Ses0{k}M") for k in SESSIONS])
    ),
    "fixed": Partition("session", ({"train": ("1", "2", "3"), "valid": ("4",), "test": ("5",)},)),
}
"""Leave-one-session-out (5 folds), leave-one-speaker-out (10 folds), and one fixed split."""

FOUR_CLASSES = {
    "neutral": "neutral",
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "excited": "happy",
}
"""Class of each emotion in the common four-class protocol."""

_GENDERS = {"F": "Female", "M": "Male"}


def read(
    data_folder: str | os.PathLike,
    *,
    fold: int = 1,
    partition: str = "session",
    four_classes: bool = False,
    drop_train: str | Collection[str] = (),
    drop_valid: str | Collection[str] = (),
    drop_test: str | Collection[str] = (),
) -> Corpus:
    """Read the corpus and split it so that the sets do not share speakers.

    Arguments
    ---------
    data_folder : path
        Folder with ``Session1`` to ``Session5``, or its parent folder.
    fold : int
        Number of the fold, starting at 1.
    partition : str
        ``session`` (5 folds: one session for testing, the next one for validation), ``speaker`` (10
        folds: one speaker for testing, the other speaker of the session for validation), or
        ``fixed`` (1 fold: sessions 1 to 3 for training, 4 for validation, 5 for testing).
    four_classes : bool
        Whether to use only neutral, angry, sad and happy, with excited merged into happy.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to exclude, such as ``other`` and ``no_agreement``. The names are those before
        ``four_classes`` merges any classes.

    Raises
    ------
    FileNotFoundError
        If the folder or a session is missing, or if a session has no labels or no audio.
    ValueError
        If a label file or an option is invalid.
    """
    division = select_partition(PARTITIONS, partition)
    place = division.set_by_group(fold)
    dropped = parse_drop_options(
        EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test
    )
    root = resolve_data_folder(data_folder)
    root = find_entry(root, ("IEMOCAP_full_release",), is_folder=True) or root
    sets = {name: [] for name in division.fold(fold)}
    corpus = Corpus(NAME, root, sets, SCALE, has_transcripts=True)
    corpus.protocol = division.metadata(partition, fold)
    check, unreadable = RaterCheck(SCALE), []
    for session in SESSIONS:
        for row in _read_session(corpus, session, check, place, unreadable):
            corpus.sets[place[getattr(row, division.by)]].append(row)
    corpus.warnings += check.warnings() + unreadable_transcript_warnings(unreadable)
    _exclude_and_merge(corpus, dropped, four_classes)
    return corpus


def _exclude_and_merge(corpus: Corpus, dropped: dict[str, set[str]], four_classes: bool) -> None:
    """Exclude classes according to the protocol, and merge classes for ``four_classes``."""
    corpus.protocol["four_classes"] = four_classes
    if not four_classes:
        return apply_exclusions(corpus, dropped)
    others = set(EMOTIONS.values()) - set(FOUR_CLASSES)
    apply_exclusions(corpus, dropped, always=others, option="--four_classes")
    return merge_classes(corpus, FOUR_CLASSES)


def _read_session(
    corpus: Corpus, session: str, check: RaterCheck, place: Mapping[str, str], unreadable: list[str]
) -> Iterator[Utterance]:
    """Yield the usable turns of a session; the others are added to the rejections.

    Problems with transcripts are appended to ``unreadable``.
    """
    folder = find_entry(corpus.data_root, (f"Session{session}",), is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{corpus.data_root} must contain Session1 to Session5; Session{session} is missing. "
            f"Found {list_names(corpus.data_root)}. Check --data_folder."
        )
    labels, audio = (
        _required_folder(folder, name) for name in ("dialog/EmoEvaluation", "sentences/wav")
    )
    spoken = find_entry(folder, ("dialog/transcriptions",), is_folder=True)
    spoken = spoken or folder / "dialog" / "transcriptions"
    corpus.audio_folders.append(audio)
    files = _label_files(labels)
    # Missing label files and transcripts are inputs too: adding them triggers a new preparation.
    expected = {labels / f"{name}.txt" for name in os.listdir(audio) if not name.startswith(".")}
    transcripts = {file: spoken / file.name for file in files}
    preferred = candidate_paths(folder, [f"dialog/transcriptions/{file.name}" for file in files])
    corpus.inputs += sorted({*files, *expected, *transcripts.values(), *preferred})
    for file in files:
        transcript = _read_transcripts(transcripts[file], unreadable)
        yield from _read_dialogue(corpus, file, audio / file.stem, transcript, check, place)


def _read_transcripts(file: Path, unreadable: list[str]) -> dict[str, str]:
    """Read the transcripts of a dialogue; return an empty dict if they are unreadable."""
    try:
        return read_transcripts(file) if file.is_file() else {}
    except (OSError, ValueError) as error:
        unreadable.append(str(error))
        return {}


def _required_folder(session: Path, name: str) -> Path:
    """Find a required folder of a session."""
    folder = find_entry(session, (name,), is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{session} must contain the folder {name}; found {list_names(session)}. "
            "Check --data_folder and that the corpus was unpacked completely."
        )
    return folder


def _label_files(folder: Path) -> list[Path]:
    """List the label files of a session, without subfolders and macOS files (``._Ses…txt``)."""
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    files = [folder / name for name in names if name.lower().endswith(".txt")]
    files = [file for file in files if file.is_file()]
    if not files:
        raise FileNotFoundError(
            f"{folder} must contain a label file <dialogue>.txt for each dialogue; found "
            f"{list_names(folder)}. Check --data_folder."
        )
    return files


def _read_dialogue(
    corpus: Corpus,
    file: Path,
    audio: Path,
    transcript: Mapping[str, str],
    check: RaterCheck,
    place: Mapping[str, str],
) -> Iterator[Utterance]:
    """Yield the usable turns of one label file."""
    name, folder = (
        relative_audio_path(file, corpus.data_root),
        relative_audio_path(audio, corpus.data_root),
    )
    turns = 0
    for turn in read_labels(file):
        turns += 1
        problem = turn.problem or _check_dialogue(turn.utterance, file.stem)
        if problem:
            known = turn.utterance and not _check_dialogue(turn.utterance, file.stem)
            path = f"{folder}/{turn.utterance}.wav" if known else f"{name}:{turn.line}"
            reason = f"{problem} ({name}, line {turn.line})"
            corpus.rejected.append(Rejection(path, reason, _set_of(turn.utterance, file, place)))
        else:
            yield _to_utterance(turn, folder, transcript.get(turn.utterance, ""), check, name)
    if not turns:
        corpus.rejected.append(Rejection(name, "no turns: the label file is empty"))


def _check_dialogue(utterance: str, dialogue: str) -> str:
    """Return the reason if a turn is not part of a dialogue, or an empty string."""
    if utterance.rpartition("_")[0] == dialogue:
        return ""
    return f"turn of another dialogue: {utterance[:60]!r} in the labels of {dialogue}"


def _speaker_of(utterance: str) -> str:
    """Return the speaker of a turn: the session and the letter in the last part of the name.

    The letter in the first part denotes the speaker who wore the motion-capture markers.

    Example
    -------
    >>> _speaker_of("Ses05M_script01_1b_F012")
    'Ses05F'
    """
    return utterance[:5] + utterance.rpartition("_")[2][:1]


def _set_of(utterance: str, file: Path, place: Mapping[str, str]) -> str:
    """Return the set of a rejected turn, or an empty string if the set is unknown."""
    return place.get(file.stem[4:5]) or place.get(_speaker_of(utterance), "")


def _to_utterance(
    turn: Turn, folder: str, transcript: str, check: RaterCheck, file: str
) -> Utterance:
    """Convert a usable turn."""
    speaker = _speaker_of(turn.utterance)
    problem = f"{file}, {turn.rater_problem}" if turn.rater_problem else ""
    return Utterance(
        turn.utterance,
        f"{folder}/{turn.utterance}.wav",
        *turn.vad,
        emotion=turn.emotion,
        speaker=speaker,
        gender=_GENDERS[speaker[-1]],
        session=speaker[4],
        transcript=transcript,
        raters=check.summarise(turn.utterance, turn.vad, turn.raters, problem=problem),
    )
