"""Read lists of audio files, such as those of a challenge, from plain text or CSV files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from emosphere_sb.fileio.user_tables.table import UserTable, open_user_table

COLUMN = "FileName"
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
"""File suffixes that are not part of an utterance ID. IDs may contain dots."""
MAX_EXAMPLES = 3


def read_file_list(path: str | os.PathLike) -> list[str]:
    """Read file names in the order of the list.

    Arguments
    ---------
    path : path
        Text file with one name per line (blank lines are ignored), or a table with a column
        ``FileName``, in any dialect of CSV or as an Excel workbook.

    Returns
    -------
    list of str
        Unique names, unchanged.

    Raises
    ------
    ValueError
        If there are no names, a name is empty or duplicated, or the file looks like a CSV without
        the column ``FileName``.
    """
    table = open_user_table(
        path,
        is_header=lambda names: COLUMN.casefold() in names,
        is_number=lambda name: False,
        is_name=lambda name: name == COLUMN.casefold(),
    )
    header, known = table.header, [name.casefold() for name in table.header]
    if COLUMN.casefold() in known:
        names = _column(path, table, known.index(COLUMN.casefold()))
    elif len([name for name in header if name]) > 1:
        raise ValueError(
            f"The list {path} must have a column {COLUMN}, or one name per line; found the columns "
            f"{', '.join(header)}. Rename the column with the file names."
        )
    else:
        names = [name for name in (*header, *_lines(path, table)) if name]
    if not names or "" in names:
        raise ValueError(
            f"The list {path} must have a file name on each line; found {len(names)} names, "
            f"{names.count('')} of them empty. Fix the list."
        )
    if duplicates := find_duplicates(names):
        raise ValueError(
            f"File names in {path} must be unique; duplicated: {count_with_examples(duplicates)}. "
            "Fix the list."
        )
    return names


def _column(path: str | os.PathLike, table: UserTable, column: int) -> list[str]:
    """Return the values of a column; check that each row is complete."""
    names = []
    for line, row in table.rows():
        if len(row) <= column:
            raise ValueError(
                f"Each line of {path} must have a {COLUMN} in column {column + 1}; found "
                f"{','.join(row)!r} on line {line}. Fix the list."
            )
        names.append(row[column])
    return names


def _lines(path: str | os.PathLike, table: UserTable) -> Iterator[str]:
    """Iterate over the lines of a plain list; check that each line is one value."""
    for line, row in table.rows():
        if any(row[1:]):
            raise ValueError(
                f"The list {path} must have one name per line, in quotation marks if it contains "
                f"a delimiter; found {','.join(row)!r} on line {line}. Fix the list."
            )
        yield row[0]


def utterance_id(name: str) -> str:
    """Return a file name without folders and without an audio suffix.

    Example
    -------
    >>> names = "Audios/MSP-PODCAST_0001_0008.wav", "a.b", "C:\\\\x\\\\y.WAV"
    >>> tuple(map(utterance_id, names))
    ('MSP-PODCAST_0001_0008', 'a.b', 'y')
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    start, ending = os.path.splitext(name)
    return start if ending.lower() in AUDIO_SUFFIXES else name


def find_duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, each listed once.

    Example
    -------
    >>> find_duplicates(["b", "a", "b", "b"])
    ['b']
    """
    return [name for name, count in Counter(names).items() if count > 1]


def count_with_examples(names: Iterable[str]) -> str:
    """Return the number of names and the first few of them, for messages.

    Example
    -------
    >>> count_with_examples(["a", "b", "c", "d"]), count_with_examples(["a"])
    ('4 (a, b, c, …)', '1 (a)')
    """
    names = list(names)
    more = ", …" if len(names) > MAX_EXAMPLES else ""
    return f"{len(names):,} ({', '.join(names[:MAX_EXAMPLES])}{more})"
