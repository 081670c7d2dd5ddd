"""Reader for MSP-IMPROV.

The label file lists activation, valence and dominance, in that order, on a scale from 1 to 5. The
activation scale is reversed (1 is very active, 5 is very calm). The reversal is not documented, but
it is evident from the class means and the correlation with dominance. The label scale that this
reader returns corrects it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.corpus import Corpus, ExcludedRow, Rejection, Utterance
from data_prep.parsing.folders import (
    apply_exclusions,
    candidate_paths,
    differing_file_warnings,
    find_entry,
    list_names,
    parse_drop_options,
    relative_audio_path,
    resolve_data_folder,
    resolve_user_path,
)
from data_prep.parsing.label_text import read_lines, unreadable_transcript_warnings
from data_prep.parsing.rater_text import Block
from data_prep.parsing.rater_text import read_blocks as read_labels
from data_prep.parsing.raters import RaterCheck
from data_prep.partitions.cross_validation import Partition, leave_one_group_out, select_partition
from emosphere_sb.scale import Scale

__all__ = [
    "NAME",
    "PARTITIONS",
    "SCALE",
    "Block",
    "arousal_dominance_correlation",
    "read",
    "read_labels",
]

NAME = "MSP-IMPROV"
LANGUAGE = "en"
SPEECH = "English improvisations, read sentences and conversations by twelve actors"
TERMS = (
    "MSP-IMPROV is available on request from the University of Texas at Dallas under its license "
    "terms. Contact its owners before sharing weights trained on it."
)
"""Implications of the corpus's terms for sharing trained weights, based on public information."""
SCALE = Scale(1, 5, reversed=("arousal",))
UNFLIPPED_SCALE = Scale(1, 5)
"""Scale for a copy of the corpus in which arousal has already been reversed."""

SESSIONS = tuple("123456")
PARTITIONS = {"session": Partition("session", leave_one_group_out(SESSIONS))}
"""Leave-one-session-out. The speaker of a turn is not always certain, but the session is."""

EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "N": "neutral",
    "O": "other",
    "X": "no_agreement",
}
"""Emotion name of each letter in the label file."""

CONDITIONS = ("P", "R", "S", "T")
"""Recording conditions: natural interaction, target read, other improvised, target improvised."""

LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
"""Names of the label file: the official spelling and the correct one."""

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
    """Read the corpus and split it by session.

    Arguments
    ---------
    data_folder : path
        Folder with ``Evalution.txt`` and the folders ``session1`` to ``session6``. The session
        folders may also be in the subfolder ``Audio``.
    fold : int
        Number of the fold, starting at 1.
    partition : str
        ``session``: 6 folds with one session for testing, the next one for validation, and four for
        training.
    flip_arousal : bool
        Whether the arousal scale is reversed, as in the original corpus. The labels are not
        changed; the reversal is part of the scale.
    conditions : str or collection of str
        Recording conditions to use, among ``P``, ``R``, ``S`` and ``T``.
    labels_file, audio_folder : path, optional
        Label file and audio folder if their names differ from the standard ones; absolute or
        relative to ``data_folder``.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to exclude, such as ``other`` and ``no_agreement``.

    Raises
    ------
    FileNotFoundError
        If the folder, the label file or the audio is missing.
    ValueError
        If the label file or an option is invalid.
    """
    division = select_partition(PARTITIONS, partition)
    place = division.set_by_group(fold)
    dropped = parse_drop_options(
        EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test
    )
    wanted = _parse_conditions(conditions)
    root = resolve_data_folder(data_folder)
    labels = _labels_file(root, labels_file)
    sets = {name: [] for name in division.fold(fold)}
    corpus = Corpus(
        NAME, root, sets, SCALE if flip_arousal else UNFLIPPED_SCALE, has_transcripts=True
    )
    corpus.inputs = [labels]
    if not labels_file:
        corpus.inputs = candidate_paths(root, LABEL_FILES)
        corpus.warnings += differing_file_warnings(labels, corpus.inputs)
    corpus.protocol = division.metadata(partition, fold)
    corpus.protocol.update(flip_arousal=flip_arousal, conditions=list(wanted))
    folders = _session_folders(root, audio_folder)
    corpus.audio_folders = list(folders.values())
    unused = _fill_sets(corpus, labels, folders, place, wanted)
    corpus.warnings += _arousal_direction_warnings(corpus, flip_arousal)
    apply_exclusions(corpus, dropped)
    for (name, condition), count in sorted(unused.items()):
        corpus.protocol["dropped"].setdefault(name, {})[f"condition {condition}"] = count
    return corpus


def _parse_conditions(given: str | Collection[str]) -> tuple[str, ...]:
    """Parse the option ``conditions``."""
    words = given.split(",") if isinstance(given, str) else given
    words = {str(word).strip().upper() for word in words} - {""}
    if not words or words - set(CONDITIONS):
        raise ValueError(
            f"--conditions must be one or more of {', '.join(CONDITIONS)}; found "
            f"{', '.join(sorted(words)) or 'none'}."
        )
    return tuple(word for word in CONDITIONS if word in words)


def _labels_file(root: Path, given: str | os.PathLike | None) -> Path:
    """Find the label file, in either spelling."""
    if given:
        return resolve_user_path(root, given, option="labels_file")
    file = find_entry(root, LABEL_FILES)
    if file is None:
        raise FileNotFoundError(
            f"{root} must contain Evalution.txt (or Evaluation.txt); found {list_names(root)}. "
            "Check --data_folder or specify the file with --labels_file."
        )
    return file


def _session_folders(root: Path, given: str | os.PathLike | None) -> dict[str, Path]:
    """Find the audio folder of each session."""
    if given:
        audio = resolve_user_path(root, given, option="audio_folder", is_folder=True)
    else:
        audio = find_entry(root, ("Audio",), is_folder=True) or root
    by_session = {k: find_entry(audio, (f"session{k}",), is_folder=True) for k in SESSIONS}
    missing = [f"session{k}" for k, folder in by_session.items() if folder is None]
    if missing:
        raise FileNotFoundError(
            f"{audio} must contain session1 to session6; missing: {', '.join(missing)}; found: "
            f"{list_names(audio)}. Check --data_folder or specify the folder with --audio_folder."
        )
    return {k: folder for k, folder in by_session.items() if folder is not None}


def _fill_sets(
    corpus: Corpus,
    labels: Path,
    folders: Mapping[str, Path],
    place: Mapping[str, str],
    wanted: Collection[str],
) -> Counter[tuple[str, str]]:
    """Read the turns of the label file into sets; count the turns excluded by condition."""
    check, unused, unreadable, blocks = RaterCheck(SCALE), Counter(), [], 0
    preferred = corpus.data_root / TRANSCRIPTS
    spoken = find_entry(corpus.data_root, (TRANSCRIPTS,), is_folder=True) or preferred
    for block in read_labels(labels):
        blocks += 1
        match = _NAME.fullmatch(block.file)
        name = place[match.group(5)] if match else ""
        path = _audio_path(corpus, folders, match) if match else f"{labels.name}:{block.line}"
        if problem := _find_problem(block, match, labels.name):
            corpus.rejected.append(Rejection(path, problem, name))
        elif match and match.group(6) not in wanted:
            corpus.excluded.append(
                ExcludedRow(name, _to_utterance(block, match, path), "--conditions")
            )
            unused[name, match.group(6)] += 1
        elif match:
            file = f"MSP-IMPROV-{match.group(1)}.txt"
            corpus.inputs += dict.fromkeys((spoken / file, preferred / file))
            row = replace(
                _to_utterance(block, match, path),
                transcript=_read_transcript(spoken / file, unreadable),
            )
            rated = check.summarise(row.id, row.vad, block.raters, problem=block.rater_problem)
            corpus.sets[name].append(replace(row, raters=rated))
    if not blocks:
        raise ValueError(f"{labels} is empty. Restore the original corpus file.")
    corpus.warnings += check.warnings() + unreadable_transcript_warnings(unreadable)
    return unused


def _find_problem(block: Block, match: re.Match[str] | None, file: str) -> str:
    """Return the reason for rejecting a turn, with file and line, or an empty string."""
    where = f"({file}, line {block.line})"
    if block.problem:
        return block.problem
    if not match:
        return f"invalid turn name: {block.file[:60]!r} {where}"
    if block.letter not in EMOTIONS:
        return f"unknown emotion: {block.letter[:40]!r}; must be one of {''.join(EMOTIONS)} {where}"
    if block.vad == (None, None, None):
        return f"no label: all of A, V, D are missing {where}"
    return ""


def _audio_path(corpus: Corpus, folders: Mapping[str, Path], match: re.Match[str]) -> str:
    """Return the audio file of a turn; its name starts with the name of the corpus."""
    folder = relative_audio_path(folders[match.group(5)], corpus.data_root)
    return f"{folder}/{match.group(2)}/{match.group(6)}/MSP-IMPROV-{match.group(1)}.wav"


def _read_transcript(file: Path, unreadable: list[str]) -> str:
    """Read the transcript of a turn; return an empty string if it is missing or unreadable."""
    if not file.is_file():
        return ""
    try:
        return " ".join(line.strip() for _, line in read_lines(file)).strip()
    except (OSError, ValueError) as error:
        unreadable.append(str(error))
        return ""


def _to_utterance(block: Block, match: re.Match[str], path: str) -> Utterance:
    """Convert a usable turn, without its transcript and rater statistics."""
    return Utterance(
        f"MSP-IMPROV-{match.group(1)}",
        path,
        *block.vad,
        emotion=EMOTIONS[block.letter],
        # Other public readers also use this part of the name as the speaker.
        speaker=match.group(3),
        gender=_GENDERS[match.group(4)],
        session=match.group(5),
    )


def arousal_dominance_correlation(corpus: Corpus) -> float | None:
    """Compute the Pearson correlation of the normalised arousal and dominance labels.

    Arguments
    ---------
    corpus : Corpus
        Corpus with its sets and its scale.

    Returns
    -------
    float or None
        Correlation, or None if fewer than three utterances have both labels or if one of them is
        constant.
    """
    rows = [row.vad for _, row in corpus.utterances() if None not in row.vad[1:]]
    rows = [vad for vad in rows if all(corpus.scale.contains(value) for value in vad[1:])]
    if len(rows) < 3:
        return None
    values = corpus.scale.normalise(np.array(rows, dtype=float))[:, 1:]
    return float(np.corrcoef(values.T)[0, 1]) if np.all(np.ptp(values, axis=0)) else None


def _arousal_direction_warnings(corpus: Corpus, flip_arousal: bool) -> list[str]:
    """Return a warning if arousal and dominance correlate negatively."""
    correlation = arousal_dominance_correlation(corpus)
    if correlation is None or correlation >= 0:
        return []
    return [
        "The correlation of arousal and dominance should be positive, but it is "
        f"{correlation:.2f} with --flip_arousal={flip_arousal}. The activation scale of the "
        "original corpus is reversed; this copy seems to be "
        f"{'corrected' if flip_arousal else 'original'}. Use --flip_arousal={not flip_arousal}."
    ]
