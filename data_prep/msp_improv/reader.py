"""MSP-IMPROV: one label file to utterances.

The label file orders the dimensions activation, valence, dominance, on 1 to 5. Activation is stored
upside down (1 is very active, 5 very calm), which its documentation does not say: it shows in the
class means and in its correlation with dominance. The scale of this reader turns it round.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.corpus import Corpus, LeftOut, Rejection, Utterance
from data_prep.parsing.folders import (
    corpus_folder,
    drop_lists,
    find_entry,
    leave_out,
    named_entry,
    names_in,
    relative_path,
    spellings,
    unequal,
)
from data_prep.parsing.label_text import read_lines, unreadable_transcripts
from data_prep.parsing.rater_text import Block
from data_prep.parsing.rater_text import read_blocks as read_labels
from data_prep.parsing.raters import RaterCheck
from data_prep.partitions.cross_validation import Partition, choose, rotate
from emosphere_sb.scale import Scale

__all__ = ["NAME", "PARTITIONS", "SCALE", "Block", "correlation", "read", "read_labels"]

NAME = "MSP-IMPROV"
LANGUAGE = "en"
SPEECH = "English improvisations, read sentences and conversations of twelve actors"
TERMS = (
    "MSP-IMPROV is given by the University of Texas at Dallas to whoever asks for it and accepts "
    "its terms: ask its owners before sharing weights trained on it."
)
"""What the corpus's terms mean for whoever shares weights, as far as public text says it."""
SCALE = Scale(1, 5, reversed=("arousal",))
UPRIGHT = Scale(1, 5)
"""For a copy whose arousal somebody has already turned round."""

SESSIONS = tuple("123456")
PARTITIONS = {"session": Partition("session", rotate(SESSIONS))}
"""Leave one session out. Who talks is not certain in every turn, but the session is."""

EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "N": "neutral",
    "O": "other",
    "X": "no_agreement",
}
"""Letters of the label file to words."""

CONDITIONS = ("P", "R", "S", "T")
"""Natural interaction, target read, other improvised, target improvised."""

LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
"""As the corpus spells it, and as users do."""

TRANSCRIPTS = "Human_transcriptions/All_human_transcriptions"
_NAME = re.compile(
    r"(?:UTD|MSP)-IMPROV-((S\d\d[AHNS])-(([FM])0([1-6]))-([PRST])-[FM]{2}\d{1,9})\.(?:avi|wav)",
    re.ASCII,
)
_GENDERS = {"F": "Female", "M": "Male"}


def read(
    data_folder: str | os.PathLike,
    *,
    fold: int = 1,
    partition: str = "session",
    flip_arousal: bool = True,
    conditions: str | Collection[str] = CONDITIONS,
    labels_file: str | os.PathLike | None = None,
    audio_folder: str | os.PathLike | None = None,
    drop_train: str | Collection[str] = (),
    drop_valid: str | Collection[str] = (),
    drop_test: str | Collection[str] = (),
) -> Corpus:
    """The corpus in a folder, divided by sessions.

    Arguments
    ---------
    data_folder : path
        Holds ``Evalution.txt`` and the folders ``session1`` to ``session6``, these alone or in
        ``Audio``.
    fold : int
        Which fold of the partition, from 1.
    partition : str
        ``session`` (6 folds: one session tests, the next one validates, four train).
    flip_arousal : bool
        Whether arousal is stored upside down, as in the corpus. Labels stay as they are in the
        file; the scale turns them round.
    conditions : str or collection of str
        Which of ``P``, ``R``, ``S``, ``T`` to keep.
    labels_file, audio_folder : path, optional
        Where they are if not found, relative to ``data_folder`` or absolute.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to leave out, such as ``other`` and ``no_agreement``.

    Raises
    ------
    FileNotFoundError
        If the folder, the label file or the audio is missing.
    ValueError
        If the label file or an option cannot be used.
    """
    division = choose(PARTITIONS, partition)
    place = division.place(fold)
    dropped = drop_lists(EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test)
    wanted = _conditions(conditions)
    root = corpus_folder(data_folder)
    labels = _labels_file(root, labels_file)
    sets = {name: [] for name in division.fold(fold)}
    corpus = Corpus(NAME, root, sets, SCALE if flip_arousal else UPRIGHT, transcribed=True)
    corpus.inputs = [labels]
    if not labels_file:
        corpus.inputs = spellings(root, LABEL_FILES)
        corpus.warnings += unequal(labels, corpus.inputs)
    corpus.protocol = division.facts(partition, fold)
    corpus.protocol.update(flip_arousal=flip_arousal, conditions=list(wanted))
    folders = _session_folders(root, audio_folder)
    corpus.audio_folders = list(folders.values())
    unused = _fill(corpus, labels, folders, place, wanted)
    corpus.warnings += _upside_down(corpus, flip_arousal)
    leave_out(corpus, dropped)
    for (name, condition), count in sorted(unused.items()):
        corpus.protocol["dropped"].setdefault(name, {})[f"condition {condition}"] = count
    return corpus


def _conditions(given: str | Collection[str]) -> tuple[str, ...]:
    """The conditions that are kept."""
    words = given.split(",") if isinstance(given, str) else given
    words = {str(word).strip().upper() for word in words} - {""}
    if not words or words - set(CONDITIONS):
        raise ValueError(
            f"--conditions must name some of {', '.join(CONDITIONS)}; found "
            f"{', '.join(sorted(words)) or 'none'}."
        )
    return tuple(word for word in CONDITIONS if word in words)


def _labels_file(root: Path, given: str | os.PathLike | None) -> Path:
    """The label file, in either spelling."""
    if given:
        return named_entry(root, given, option="labels_file")
    file = find_entry(root, LABEL_FILES)
    if file is None:
        raise FileNotFoundError(
            f"{root} must hold Evalution.txt (or Evaluation.txt); found {names_in(root)}. "
            "Check --data_folder, or name the file with --labels_file."
        )
    return file


def _session_folders(root: Path, given: str | os.PathLike | None) -> dict[str, Path]:
    """The folder of each session."""
    if given:
        audio = named_entry(root, given, option="audio_folder", is_folder=True)
    else:
        audio = find_entry(root, ("Audio",), is_folder=True) or root
    found = {k: find_entry(audio, (f"session{k}",), is_folder=True) for k in SESSIONS}
    missing = [f"session{k}" for k, folder in found.items() if folder is None]
    if missing:
        raise FileNotFoundError(
            f"{audio} must hold session1 to session6; missing: {', '.join(missing)}; found "
            f"{names_in(audio)}. Check --data_folder, or name the folder with --audio_folder."
        )
    return {k: folder for k, folder in found.items() if folder is not None}


def _fill(
    corpus: Corpus,
    labels: Path,
    folders: Mapping[str, Path],
    place: Mapping[str, str],
    wanted: Collection[str],
) -> Counter[tuple[str, str]]:
    """Puts the label file's turns into sets; returns how many of which condition are not used."""
    check, unused, unread, blocks = RaterCheck(SCALE), Counter(), [], 0
    preferred = corpus.data_root / TRANSCRIPTS
    spoken = find_entry(corpus.data_root, (TRANSCRIPTS,), is_folder=True) or preferred
    for block in read_labels(labels):
        blocks += 1
        found = _NAME.fullmatch(block.file)
        name = place[found.group(5)] if found else ""
        path = _path(corpus, folders, found) if found else f"{labels.name}:{block.line}"
        if problem := _problem(block, found, labels.name):
            corpus.rejected.append(Rejection(path, problem, name))
        elif found and found.group(6) not in wanted:
            corpus.left_out.append(LeftOut(name, _turn(block, found, path), "--conditions"))
            unused[name, found.group(6)] += 1
        elif found:
            file = f"MSP-IMPROV-{found.group(1)}.txt"
            corpus.inputs += dict.fromkeys((spoken / file, preferred / file))
            row = replace(_turn(block, found, path), transcript=_said(spoken / file, unread))
            rated = check.figures(row.id, row.vad, block.raters, problem=block.rater_problem)
            corpus.sets[name].append(replace(row, raters=rated))
    if not blocks:
        raise ValueError(f"{labels} must hold turns; it is empty. Take the corpus's own file.")
    corpus.warnings += check.warnings() + unreadable_transcripts(unread)
    return unused


def _problem(block: Block, found: re.Match[str] | None, file: str) -> str:
    """Why a turn cannot be used, with file and line; empty if it can."""
    where = f"({file}, line {block.line})"
    if block.problem:
        return block.problem
    if not found:
        return f"unknown name of a turn: {block.file[:60]!r} {where}"
    if block.letter not in EMOTIONS:
        return f"unknown emotion: {block.letter[:40]!r} is none of {''.join(EMOTIONS)} {where}"
    if block.vad == (None, None, None):
        return f"no label: all of A, V, D are missing {where}"
    return ""


def _path(corpus: Corpus, folders: Mapping[str, Path], found: re.Match[str]) -> str:
    """The audio file of a turn, whose name begins as the corpus is called."""
    folder = relative_path(folders[found.group(5)], corpus.data_root)
    return f"{folder}/{found.group(2)}/{found.group(6)}/MSP-IMPROV-{found.group(1)}.wav"


def _said(file: Path, unread: list[str]) -> str:
    """The transcript of a turn; empty if there is none that can be read."""
    if not file.is_file():
        return ""
    try:
        return " ".join(line.strip() for _, line in read_lines(file)).strip()
    except (OSError, ValueError) as error:
        unread.append(str(error))
        return ""


def _turn(block: Block, found: re.Match[str], path: str) -> Utterance:
    """A usable turn, without what is said and what its raters say."""
    return Utterance(
        f"MSP-IMPROV-{found.group(1)}",
        path,
        *block.vad,
        emotion=EMOTIONS[block.letter],
        # Every public reader takes this part of the name for the speaker.
        speaker=found.group(3),
        gender=_GENDERS[found.group(4)],
        session=found.group(5),
    )


def correlation(corpus: Corpus) -> float | None:
    """Pearson's correlation of arousal and dominance on [-1, 1], as a model is given them.

    Arguments
    ---------
    corpus : Corpus
        With its sets and its scale.

    Returns
    -------
    float or None
        None if fewer than three utterances have both, or one of them is always the same.
    """
    rows = [row.vad for _, row in corpus.utterances() if None not in row.vad[1:]]
    rows = [vad for vad in rows if all(corpus.scale.contains(value) for value in vad[1:])]
    if len(rows) < 3:
        return None
    values = corpus.scale.normalise(np.array(rows, dtype=float))[:, 1:]
    return float(np.corrcoef(values.T)[0, 1]) if np.all(np.ptp(values, axis=0)) else None


def _upside_down(corpus: Corpus, flip_arousal: bool) -> list[str]:
    """A warning if arousal seems to be upside down: active voices sound dominant, not weak."""
    found = correlation(corpus)
    if found is None or found >= 0:
        return []
    return [
        f"Arousal, with --flip_arousal={flip_arousal}, correlates with dominance at {found:.2f}, "
        "but should do so positively. The corpus stores activation upside down; this copy seems "
        f"to be {'turned round already' if flip_arousal else 'as the corpus has it'}: "
        f"use --flip_arousal={not flip_arousal}."
    ]
