"""Label table of your own data: its columns, rows, and the words of its column ``split``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.parsing.label_text import LabelTable, parse_value, read_label_table
from emosphere_sb.scale import DIMENSIONS

MISSING_VALUES = frozenset({"na", "n/a", "null", "none"})
"""Words (in lower case) for a missing value, in addition to ``NaN`` and empty cells."""

REQUIRED_COLUMNS = ("file", *DIMENSIONS)

OPTIONAL_COLUMNS = ("id", "speaker", "gender", "emotion", "split", "session", "transcript")

SETS = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "development": "valid",
    "test": "test",
}
"""Set for each word in the column ``split``, in lower case. ``test`` may have a number suffix."""


def read_labels(
    path: str | os.PathLike, *, path_columns: Sequence[str] = ("file",)
) -> Iterator[tuple[int, dict[str, str], str]]:
    """Iterate over the rows of a table.

    Arguments
    ---------
    path : path
        Text table or Excel workbook.
    path_columns : sequence of str
        Possible names of the column with the paths of the audio files. The first of these names
        that the table contains is used, and the column is renamed to ``file``.

    Yields
    ------
    line : int
        Line number.
    row : dict of str to str
        Value of each column, by its name in lower case.
    problem : str
        Reason why the row is unusable; empty if it is usable.

    Raises
    ------
    ValueError
        If a column is missing, or if the table can be read in several ways.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.csv"
    >>> _ = path.write_text("File,Valence,Arousal,Dominance\\na.wav,1,2,3\\n")
    >>> list(read_labels(path))
    [(2, {'file': 'a.wav', 'valence': '1', 'arousal': '2', 'dominance': '3'}, '')]
    """
    path = Path(path)
    yield from iterate_rows(open_table(path, path_columns))


def open_table(path: Path, path_columns: Sequence[str] = ("file",)) -> LabelTable:
    """Open a table; the first one of ``path_columns`` that it has is called ``file``."""
    return read_label_table(
        path,
        REQUIRED_COLUMNS,
        numbers=DIMENSIONS,
        names=[name for name in OPTIONAL_COLUMNS if name != "transcript"],
        aliases=dict.fromkeys(path_columns, "file"),
        multiline=True,
    )


def iterate_rows(table: LabelTable) -> Iterator[tuple[int, dict[str, str], str]]:
    """Iterate over the rows of a table, see :func:`read_labels`."""
    size = len(table.header)
    for line, values in table.rows:
        row = dict(zip(table.header, values, strict=False))
        row.pop("", None)
        if len(values) != size:
            yield line, row, f"malformed row: line {line} has {len(values)} values, expected {size}"
        else:
            yield line, row, "" if row["file"] else f"no file name: line {line}"


def split_name(word: str) -> str:
    """Return the set name for a value of the ``split`` column; empty if the value is unknown.

    Example
    -------
    >>> split_name("Dev"), split_name("test2"), split_name("later")
    ('valid', 'test2', '')
    """
    word = word.casefold()
    stem = word.rstrip("0123456789")
    return word if stem == "test" else SETS.get(word, "")


def parse_labels(row: Mapping[str, str]) -> list[float | None]:
    """Parse valence, arousal and dominance of a row; a missing value becomes None.

    Raises
    ------
    ValueError
        If a label is not a finite number.

    Example
    -------
    >>> parse_labels({"valence": "2.5", "arousal": "n/a", "dominance": ""})
    [2.5, None, None]
    """
    return [
        None if row[name].casefold() in MISSING_VALUES else parse_value(row[name], name)
        for name in DIMENSIONS
    ]


def unique_ids(paths: Iterable[str]) -> dict[str, str]:
    """Create a unique id for each path.

    The id is the path without its extension, with ``/`` replaced by ``-``. A number is appended to
    duplicates.

    Example
    -------
    >>> unique_ids(["s1/a.wav", "s1-a.wav", "b.flac"])
    {'b.flac': 'b', 's1-a.wav': 's1-a', 's1/a.wav': 's1-a-2'}
    """
    ids: dict[str, str] = {}
    used: set[str] = set()
    for path in sorted(paths):
        base = os.path.splitext(path.replace("\\", "/"))[0].strip("/").replace("/", "-")
        name, number = base, 1
        while name in used:
            number += 1
            name = f"{base}-{number}"
        used.add(name)
        ids[path] = name
    return ids
