"""The label files of MSP-Podcast, each with a reader that can be used alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.parsing.label_text import parse_gender, parse_value, read_table

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
"""EmoClass of the label files to words."""


@dataclass(frozen=True, slots=True)
class Label:
    """One row of the consensus labels.

    Arguments
    ---------
    line : int
        Where it stands in the file.
    file : str
        Name of the audio file.
    emotion : str
        The class in words, see :data:`EMOTIONS`.
    valence, arousal, dominance : float, optional
        Means of the raters on 1 to 7; ``None`` where the file has nothing or
        ``NaN``.
    speaker, gender : str
        As in the file; ``Unknown`` occurs.
    split : str
        Split_Set as in the file.
    problem : str
        Why the row cannot be used; empty if it can.
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
    """The rows of ``labels_consensus.csv`` (up to release 1.8 ``labels_concensus.csv``).

    Arguments
    ---------
    path : path
        The label file.

    Yields
    ------
    Label
        Every row, in the file's order; those that cannot be read with their ``problem``.

    Raises
    ------
    ValueError
        If a column is missing, or the file is no CSV in UTF-8.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels_consensus.csv"
    >>> _ = path.write_text("FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\\n"
    ...                     "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\\n")
    >>> label = next(read_labels(path))
    >>> label.valence, label.arousal, label.dominance, label.emotion
    (4.0, 2.2, 2.6, 'neutral')
    """
    header, rows = read_table(Path(path), COLUMNS)
    for line, values in rows:
        if len(values) != len(header):
            problem = f"damaged row: line {line} has {len(values)} values, not {len(header)}"
            yield Label(line, values[0] if header[0] == "filename" else "", problem=problem)
        else:
            yield _label(line, dict(zip(header, values, strict=True)))


def _label(line: int, row: dict[str, str]) -> Label:
    """One complete row."""
    try:
        return Label(
            line,
            row["filename"],
            _emotion(row["emoclass"]),
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


def _emotion(letter: str) -> str:
    """The class that a letter stands for."""
    if letter.upper() not in EMOTIONS:
        raise ValueError(f"unknown emotion: {letter!r} is none of {''.join(EMOTIONS)}")
    return EMOTIONS[letter.upper()]
