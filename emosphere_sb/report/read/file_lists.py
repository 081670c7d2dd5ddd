"""A list of audio files, as a challenge hands it out: plain text, or a CSV with ``FileName``."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

COLUMN = "FileName"
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
"""Endings that are not part of an utterance's id. Ids may hold dots of their own."""
SHOWN = 3


def read_list(path: str | os.PathLike) -> list[str]:
    """Names of files, in the order of the list.

    Arguments
    ---------
    path : path
        Text with one name a line (blank lines do not count), or a CSV whose header has
        ``FileName``. UTF-8, with or without a byte order mark.

    Returns
    -------
    list of str
        Each name once, as it stands there.

    Raises
    ------
    ValueError
        If there is no name, a name is empty or stands there twice, or the file looks like a CSV
        without ``FileName``.
    """
    text = Path(path).read_text(encoding="utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip()]
    header = next(csv.reader(lines[:1]), [])
    if COLUMN in header:
        column = header.index(COLUMN)
        rows = list(csv.reader(lines[1:]))
        for row in rows:
            if len(row) <= column:
                raise ValueError(
                    f"Every line of {path} must have a {COLUMN}, in column {column + 1}; found "
                    f"{','.join(row)!r}. Mend the list."
                )
        names = [row[column].strip() for row in rows]
    elif len(header) > 1:
        raise ValueError(
            f"The list {path} must have a column {COLUMN}, or one name a line; found the columns "
            f"{', '.join(header)}. Rename the column that holds the files."
        )
    else:
        names = [line.strip() for line in lines]
    if not names or "" in names:
        raise ValueError(
            f"The list {path} must hold a name on every line; found {len(names)} names, "
            f"{names.count('')} of them empty. Mend the list."
        )
    if doubles := repeated(names):
        raise ValueError(
            f"The list {path} must name each file once; {some(doubles)} stand there more than "
            "once. Mend the list."
        )
    return names


def stem(name: str) -> str:
    """A name without folders (of either slash) and without the ending of an audio file.

    Example
    -------
    >>> stem("Audios/MSP-PODCAST_0001_0008.wav"), stem("a.b"), stem("C:\\\\x\\\\y.WAV")
    ('MSP-PODCAST_0001_0008', 'a.b', 'y')
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    start, ending = os.path.splitext(name)
    return start if ending.lower() in AUDIO else name


def repeated(names: Iterable[str]) -> list[str]:
    """Names that stand there more than once, each one time.

    Example
    -------
    >>> repeated(["b", "a", "b", "b"])
    ['b']
    """
    return [name for name, count in Counter(names).items() if count > 1]


def some(names: Iterable[str]) -> str:
    """How many names, and the first few.

    Example
    -------
    >>> some(["a", "b", "c", "d"]), some(["a"])
    ('4 (a, b, c, …)', '1 (a)')
    """
    names = list(names)
    return f"{len(names):,} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"
