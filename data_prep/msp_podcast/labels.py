"""Parser for the consensus labels of MSP-Podcast."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.parsing.label_text import (
    LabelTable,
    parse_gender,
    parse_value,
    read_label_table,
)

DIMENSION_COLUMNS = ("emoact", "emoval", "emodom")
COLUMNS = ("filename", "emoclass", *DIMENSION_COLUMNS, "spkrid", "gender", "split_set")
EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
    "X": "no_agreement",
}
"""Emotion name of each ``EmoClass`` letter in the label files."""

ONE_HOT_EMOTIONS = tuple(word for letter, word in EMOTIONS.items() if letter not in "OX")
OCTANTS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")
PROCESSED_COLUMNS = ("filename", *ONE_HOT_EMOTIONS, *DIMENSION_COLUMNS, "split_set")
"""Required columns of the processed labels of the official EmoSphere-SER code, which has one column
for each emotion (``Angry``, ...) and each octant (``I``, ...), but no speakers and genders."""

KNOWN_COLUMNS = (*COLUMNS, *PROCESSED_COLUMNS, *OCTANTS, "")


@dataclass(frozen=True, slots=True)
class Label:
    """A row of the consensus labels.

    Arguments
    ---------
    line : int
        Line number in the file.
    file : str
        Name of the audio file.
    emotion : str
        Name of the class; see :data:`EMOTIONS`.
    valence, arousal, dominance : float, optional
        Means over the raters, on a scale from 1 to 7; ``None`` if empty or ``NaN`` in the file.
    speaker, gender : str
        Values as in the file; may be ``Unknown``.
    split : str
        ``Split_Set`` as in the file.
    problem : str
        Reason why the row is unusable; empty if it is usable.
    """

    line: int
    file: str
    emotion: str = ""
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    speaker: str = ""
    gender: str = ""
    split: str = ""
    problem: str = ""


def read_labels(path: str | os.PathLike) -> Iterator[Label]:
    """Iterate over the rows of the consensus labels.

    The file is called ``labels_consensus.csv`` (``labels_concensus.csv`` up to release 1.8).

    Arguments
    ---------
    path : path
        Label file.

    Yields
    ------
    Label
        Each row, in the order of the file. Rows that cannot be parsed have a ``problem``.

    Raises
    ------
    ValueError
        If a column is missing, or if the table can be read in several ways.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels_consensus.csv"
    >>> _ = path.write_text("FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\\n"
    ...                     "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\\n")
    >>> label = next(read_labels(path))
    >>> label.valence, label.arousal, label.dominance, label.emotion
    (4.0, 2.2, 2.6, 'neutral')
    """
    yield from parse_labels(open_labels(path))


def open_labels(path: str | os.PathLike) -> LabelTable:
    """Open the consensus labels, or the processed labels of the official EmoSphere-SER code."""
    return read_label_table(
        Path(path), COLUMNS, numbers=(*DIMENSION_COLUMNS, *ONE_HOT_EMOTIONS), is_header=_is_header
    )


def _is_header(names: Collection[str]) -> bool:
    """Whether a row has the columns of the consensus labels or of the processed labels."""
    return {*COLUMNS} <= {*names} or {*PROCESSED_COLUMNS} <= {*names}


def parse_labels(table: LabelTable) -> Iterator[Label]:
    """Iterate over the rows of an open table, see :func:`read_labels`."""
    header = table.header
    for line, values in table.rows:
        if len(values) != len(header):
            problem = f"malformed row: line {line} has {len(values)} values, expected {len(header)}"
            yield Label(line, values[0] if header[0] == "filename" else "", problem=problem)
        else:
            yield _parse_row(line, dict(zip(header, values, strict=True)))


def _parse_row(line: int, row: dict[str, str]) -> Label:
    """Parse one complete row."""
    try:
        return Label(
            line,
            row["filename"],
            _parse_emotion(row["emoclass"]) if "emoclass" in row else _parse_one_hot(row),
            parse_value(row["emoval"], "EmoVal"),
            parse_value(row["emoact"], "EmoAct"),
            parse_value(row["emodom"], "EmoDom"),
            row.get("spkrid", ""),
            parse_gender(row.get("gender", "")),
            row["split_set"],
            "" if row["filename"] else f"no file name: line {line}",
        )
    except ValueError as error:
        return Label(line, row["filename"], split=row["split_set"], problem=str(error))


def _parse_one_hot(row: dict[str, str]) -> str:
    """Return the emotion whose column is 1, if all others are 0."""
    values = {word: parse_value(row[word], word) for word in ONE_HOT_EMOTIONS}
    found = [word for word, value in values.items() if value == 1]
    if len(found) != 1 or any(values[word] != 0 for word in values if word not in found):
        raise ValueError(
            f"unknown emotion: one of {', '.join(ONE_HOT_EMOTIONS)} must be 1 and the others 0, "
            f"found {', '.join(row[word] for word in ONE_HOT_EMOTIONS)}"
        )
    return found[0]


def _parse_emotion(letter: str) -> str:
    """Return the name of the class with a given letter."""
    if letter.upper() not in EMOTIONS:
        raise ValueError(f"unknown emotion: {letter!r}; must be one of {''.join(EMOTIONS)}")
    return EMOTIONS[letter.upper()]
