"""IEMOCAP (``IEMOCAP_full_release``): label files of 151 dialogues to utterances.

The label files order the dimensions valence, activation, dominance, on 1 to 5. Turns on which the
raters did not agree (``xxx``) or chose another emotion (``oth``) have dimensions as all others, and
stay in.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.iemocap.labels import EMOTIONS, Turn, read_labels, read_transcripts
from data_prep.parsing.folders import (
    corpus_folder,
    drop_lists,
    find_entry,
    join_classes,
    leave_out,
    names_in,
    relative_path,
    spellings,
)
from data_prep.parsing.label_text import unreadable_transcripts
from data_prep.parsing.raters import RaterCheck
from data_prep.partitions.cross_validation import Partition, choose, partner, rotate
from emosphere_sb.scale import Scale

__all__ = ["NAME", "PARTITIONS", "SCALE", "Turn", "read", "read_labels", "read_transcripts"]

NAME = "IEMOCAP"
LANGUAGE = "en"
SPEECH = "English dialogues, improvised and scripted, of ten actors"
TERMS = (
    "IEMOCAP is given under a release form of the University of Southern California, which does "
    "not allow passing the data on. Ask its owners before sharing weights trained on it."
)
"""What the corpus's terms mean for whoever shares weights, as far as public text says it."""
SCALE = Scale(1, 5)
SESSIONS = tuple("12345")

PARTITIONS = {
    "session": Partition("session", rotate(SESSIONS)),
    "speaker": Partition("speaker", partner([(f"Ses0{k}F", f"Ses0{k}M") for k in SESSIONS])),
    "fixed": Partition("session", ({"train": ("1", "2", "3"), "valid": ("4",), "test": ("5",)},)),
}
"""Leave one session out (5 folds), leave one speaker out (10), and one fixed division."""

FOUR_CLASSES = {
    "neutral": "neutral",
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "excited": "happy",
}
"""The usual four classes: which emotions they are made of."""

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
    """The corpus in a folder, divided so that no speaker is in two sets.

    Arguments
    ---------
    data_folder : path
        Holds ``Session1`` to ``Session5``, or the folder ``IEMOCAP_full_release`` that does.
    fold : int
        Which fold of the partition, from 1.
    partition : str
        ``session`` (5 folds: one session tests, the next one validates), ``speaker`` (10 folds: one
        speaker tests, the partner of the same session validates), or ``fixed`` (1 fold: sessions 1
        to 3, 4, 5).
    four_classes : bool
        Whether to keep only neutral, angry, sad and happy, the last together with excited.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to leave out, such as ``other`` and ``no_agreement``; they mean the classes before
        ``four_classes`` joins some.

    Raises
    ------
    FileNotFoundError
        If the folder, a session, or the labels or audio of one are missing.
    ValueError
        If a label file or an option cannot be used.
    """
    division = choose(PARTITIONS, partition)
    place = division.place(fold)
    dropped = drop_lists(EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test)
    root = corpus_folder(data_folder)
    root = find_entry(root, ("IEMOCAP_full_release",), is_folder=True) or root
    sets = {name: [] for name in division.fold(fold)}
    corpus = Corpus(NAME, root, sets, SCALE, transcribed=True)
    corpus.protocol = division.facts(partition, fold)
    check, unread = RaterCheck(SCALE), []
    for session in SESSIONS:
        for row in _session(corpus, session, check, place, unread):
            corpus.sets[place[getattr(row, division.by)]].append(row)
    corpus.warnings += check.warnings() + unreadable_transcripts(unread)
    _leave_out(corpus, dropped, four_classes)
    return corpus


def _leave_out(corpus: Corpus, dropped: dict[str, set[str]], four_classes: bool) -> None:
    """Leaves out what the protocol does not want, and joins classes where it does."""
    corpus.protocol["four_classes"] = four_classes
    if not four_classes:
        return leave_out(corpus, dropped)
    others = set(EMOTIONS.values()) - set(FOUR_CLASSES)
    leave_out(corpus, dropped, always=others, option="--four_classes")
    return join_classes(corpus, FOUR_CLASSES)


def _session(
    corpus: Corpus, session: str, check: RaterCheck, place: Mapping[str, str], unread: list[str]
) -> Iterator[Utterance]:
    """The usable turns of a session; the others become rejections. ``unread`` gets the problems of
    transcripts."""
    folder = find_entry(corpus.data_root, (f"Session{session}",), is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{corpus.data_root} must hold Session1 to Session5; Session{session} is missing, "
            f"found {names_in(corpus.data_root)}. Check --data_folder."
        )
    labels, audio = (_inside(folder, name) for name in ("dialog/EmoEvaluation", "sentences/wav"))
    spoken = find_entry(folder, ("dialog/transcriptions",), is_folder=True)
    spoken = spoken or folder / "dialog" / "transcriptions"
    corpus.audio_folders.append(audio)
    files = _label_files(labels)
    # A dialogue with audio has labels, and all have transcripts: those that appear later count.
    expected = {labels / f"{name}.txt" for name in os.listdir(audio) if not name.startswith(".")}
    transcripts = {file: spoken / file.name for file in files}
    preferred = spellings(folder, [f"dialog/transcriptions/{file.name}" for file in files])
    corpus.inputs += sorted({*files, *expected, *transcripts.values(), *preferred})
    for file in files:
        said = _said(transcripts[file], unread)
        yield from _dialogue(corpus, file, audio / file.stem, said, check, place)


def _said(file: Path, unread: list[str]) -> dict[str, str]:
    """What is said in a dialogue; nothing where that is not known."""
    try:
        return read_transcripts(file) if file.is_file() else {}
    except (OSError, ValueError) as error:
        unread.append(str(error))
        return {}


def _inside(session: Path, name: str) -> Path:
    """A folder that each session must have."""
    folder = find_entry(session, (name,), is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{session} must hold the folder {name}; found {names_in(session)}. "
            "Check --data_folder, and that the corpus was unpacked as a whole."
        )
    return folder


def _label_files(folder: Path) -> list[Path]:
    """Label files of a session: not those in sub-folders, nor those of macOS (``._Ses…txt``)."""
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    files = [folder / name for name in names if name.lower().endswith(".txt")]
    files = [file for file in files if file.is_file()]
    if not files:
        raise FileNotFoundError(
            f"{folder} must hold a label file <dialogue>.txt for each dialogue; found "
            f"{names_in(folder)}. Check --data_folder."
        )
    return files


def _dialogue(
    corpus: Corpus,
    file: Path,
    audio: Path,
    said: Mapping[str, str],
    check: RaterCheck,
    place: Mapping[str, str],
) -> Iterator[Utterance]:
    """The usable turns of one label file."""
    name, folder = relative_path(file, corpus.data_root), relative_path(audio, corpus.data_root)
    turns = 0
    for turn in read_labels(file):
        turns += 1
        problem = turn.problem or _stray(turn.utterance, file.stem)
        if problem:
            known = turn.utterance and not _stray(turn.utterance, file.stem)
            path = f"{folder}/{turn.utterance}.wav" if known else f"{name}:{turn.line}"
            reason = f"{problem} ({name}, line {turn.line})"
            corpus.rejected.append(Rejection(path, reason, _set_of(turn.utterance, file, place)))
        else:
            yield _utterance(turn, folder, said.get(turn.utterance, ""), check, name)
    if not turns:
        corpus.rejected.append(Rejection(name, "no turns: the label file holds none"))


def _stray(utterance: str, dialogue: str) -> str:
    """Why a turn cannot be one of a dialogue; empty if it can."""
    if utterance.rpartition("_")[0] == dialogue:
        return ""
    return f"turn of another dialogue: {utterance[:60]!r} in the labels of {dialogue}"


def _speaker(utterance: str) -> str:
    """Who speaks: the session and the letter of the last part, not that of the first, which says
    who wore the markers of the motion capture.

    Example
    -------
    >>> _speaker("Ses05M_script01_1b_F012")
    'Ses05F'
    """
    return utterance[:5] + utterance.rpartition("_")[2][:1]


def _set_of(utterance: str, file: Path, place: Mapping[str, str]) -> str:
    """The set that a turn would be in, empty where that cannot be told."""
    return place.get(file.stem[4:5]) or place.get(_speaker(utterance), "")


def _utterance(turn: Turn, folder: str, said: str, check: RaterCheck, file: str) -> Utterance:
    """A usable turn."""
    speaker = _speaker(turn.utterance)
    problem = f"{file}, {turn.rater_problem}" if turn.rater_problem else ""
    return Utterance(
        turn.utterance,
        f"{folder}/{turn.utterance}.wav",
        *turn.vad,
        emotion=turn.emotion,
        speaker=speaker,
        gender=_GENDERS[speaker[-1]],
        session=speaker[4],
        transcript=said,
        raters=check.figures(turn.utterance, turn.vad, turn.raters, problem=problem),
    )
