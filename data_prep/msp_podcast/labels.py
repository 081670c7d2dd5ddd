"""Parser for the consensus labels of MSP-Podcast."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.parsing.label_text import parse_gender, parse_value, read_label_table

COLUMNS = ("filename", "emoclass", "emoact", "emoval", "emodom", "spkrid", "gender", "split_set")
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
        If a column is missing, or if the file is not a CSV file in UTF-8.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels_consensus.csv"
    >>> _ = path.write_text("FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\\n"
    ...                     "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\\n")
    >>> label = next(read_labels(path))
    >>> label.valence, label.arousal, label.dominance, label.emotion
    (4.0, 2.2, 2.6, 'neutral')
    """
    header, rows = read_label_table(Path(path), COLUMNS)
    for line, values in rows:
        if len(values) != len(header):
            problem = f"damaged row: line {line} has {len(values)} values, expected {len(header)}"
            yield Label(line, values[0] if header[0] == "filename" else "", problem=problem)
        else:
            yield _parse_row(line, dict(zip(header, values, strict=True)))


def _parse_row(line: int, row: dict[str, str]) -> Label:
    """Parse one complete row."""
    try:
        return Label(
            line,
            row["filename"],
            _parse_emotion(row["emoclass"]),
            parse_value(row["emoval"], "EmoVal"),
            parse_value(row["emoact"], "EmoAct"),
            parse_value(row["emodom"], "EmoDom"),
            row["spkrid"],
            parse_gender(row["gender"]),
            row["split_set"],
            "" if row["filename"] else f"no file name: line {line}",
        )
    except ValueError as error:
        return Label(line, row["filename"], split=row["split_set"], problem=str(error))


def _parse_emotion(letter: str) -> str:
    """Return the name of the class with a given letter."""
    if letter.upper() not in EMOTIONS:
        raise ValueError(f"unknown emotion: {letter!r}; must be one of {''.join(EMOTIONS)}")
    return EMOTIONS[letter.upper()]
