"""Read label files: CSV tables, text lines, numbers and genders."""

from __future__ import annotations

import codecs
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from emosphere_sb.fileio.user_tables.table import open_user_table

_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_GENDERS = {"m": "Male", "male": "Male", "f": "Female", "female": "Female", "unknown": "Unknown"}


class LabelTable(NamedTuple):
    """Table of labels.

    Arguments
    ---------
    header : list of str
        Column names in lower case.
    rows : iterator of (int, list of str)
        Number of the last line of each row, and its values. Rows may be longer or shorter than the
        header.
    notes : list of str
        Assumptions about the format that the user should check.
    """

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]
    notes: list[str]


def read_label_table(
    path: Path,
    required: Sequence[str],
    *,
    numbers: Collection[str] = (),
    names: Collection[str] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
    is_header: Callable[[list[str]], bool] | None = None,
    text_column: str = "",
    multiline: bool = False,
) -> LabelTable:
    """Read a table of labels, see :func:`emosphere_sb.fileio.user_tables.table.open_user_table`.

    Column names are not case-sensitive.

    Arguments
    ---------
    path : pathlib.Path
        Text table or Excel workbook.
    required : sequence of str
        Required columns, in lower case.
    numbers : collection of str
        Columns with numbers, in lower case. Decimal commas in them are replaced by points.
    names : collection of str
        Optional columns whose text must be exact, such as speakers, in lower case. Required columns
        and these must be in an encoding that is recognised.
    aliases : mapping of str to str
        Other names of columns, in lower case. They are replaced if the table does not have a
        column with the usual name.
    is_header : callable, optional
        Whether a row, given as a list of names in lower case, is the header. By default it is, if
        it has all required columns.
    text_column : str
        Name of a last column whose text may contain delimiters that are not quoted.
    multiline : bool
        Whether a quoted value may span several lines. If not, such a value is reported as an
        unclosed quote.

    Raises
    ------
    ValueError
        If a column is missing or occurs twice, or if the table can be read in several ways.
    """
    exact = {*required, *names}
    table = open_user_table(
        path,
        is_header=is_header or (lambda row: {*required} <= {aliases.get(x, x) for x in row}),
        is_number=lambda name: aliases.get(name, name) in numbers,
        is_name=lambda name: aliases.get(name, name) in exact,
        text_column=text_column,
    )
    header = [name.casefold() for name in table.header]
    if not any(header):
        raise ValueError(f"{path} must start with a row of column names, but it is empty.")
    header = [name if aliases.get(name, name) in header else aliases[name] for name in header]
    missing = [] if is_header and is_header(header) else [x for x in required if x not in header]
    if missing:
        shown = {name: _column_names(name, table.header, aliases) for name in required}
        found = truncate_text(", ".join(table.header))
        raise ValueError(
            f"{path} must have the columns {', '.join(shown.values())}; "
            f"missing: {', '.join(shown[name] for name in missing)}; found: {found}."
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        twice_text = truncate_text(", ".join(twice))
        raise ValueError(f"{path} must not have duplicate columns; found twice: {twice_text}.")
    return LabelTable(header, _check_lines(path, table.rows(), multiline=multiline), table.notes)


def _column_names(name: str, header: Sequence[str], aliases: Mapping[str, str]) -> str:
    """Return the names that a column may have or, if the table has it, its name in the table."""
    names = [alias for alias, own in aliases.items() if own == name] or [name]
    return next((x.casefold() for x in header if x.casefold() in names), " or ".join(names))


def _check_lines(
    path: Path, rows: Iterable[tuple[int, list[str]]], *, multiline: bool
) -> Iterator[tuple[int, list[str]]]:
    """Iterate over the rows, and check for values that span several lines."""
    for line, values in rows:
        if not multiline and any("\n" in value or "\r" in value for value in values):
            raise ValueError(f"{path}, line {line}: unclosed quote.")
        yield line, values


def truncate_text(text: str, length: int = 300) -> str:
    """Truncate text for an error message: lines of a corrupted file may be very long.

    Example
    -------
    >>> truncate_text("valence", 3)
    'val...'
    """
    return text if len(text) <= length else f"{text[:length]}..."


def unused_column_warnings(path: Path, header: Collection[str], used: Collection[str]) -> list[str]:
    """Return a warning if a table has unused columns.

    Example
    -------
    >>> unused_column_warnings(Path("labels.csv"), ["file", "raters"], ["file"])
    ['labels.csv has unused columns: raters.']
    """
    extra = [name for name in header if name and name not in used]
    names = truncate_text(", ".join(extra))
    return [f"{path.name} has unused columns: {names}."] if extra else []


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Iterate over the lines of a text file.

    Text that is not UTF-8 is decoded as Latin-1. The labels themselves are ASCII, but comments and
    transcripts may be in any 8-bit encoding. Only line feeds and carriage returns end a line.

    Arguments
    ---------
    path : path
        Text file.

    Yields
    ------
    number : int
        Line number, starting at 1.
    line : str
        Text of the line without its line ending.

    Raises
    ------
    ValueError
        If the file contains null bytes, as binary files and UTF-16 text do.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_bytes(b"caf\\xe9\\r\\n\\r\\nno\\n")
    >>> list(read_lines(path))
    [(1, 'café'), (2, ''), (3, 'no')]
    """
    with open(path, encoding=_encoding(path), newline=None) as file:
        yield from ((number, line.rstrip("\n")) for number, line in enumerate(file, start=1))


def _encoding(path: str | os.PathLike) -> str:
    """Return UTF-8 if the entire file, read in blocks, is valid UTF-8; otherwise Latin-1."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding, place = "utf-8-sig", 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            if b"\0" in block:
                raise ValueError(
                    f"{path} must be text in UTF-8 or an 8-bit encoding; found a null byte at "
                    f"offset {place + block.index(0)}. Save it as UTF-8 or restore the original "
                    "file of the corpus."
                )
            place += len(block)
            try:
                decoder.decode(block, final=False)
            except UnicodeDecodeError:
                encoding = "latin-1"
                decoder.reset()
    # Bytes left in the decoder are an incomplete character at the end of the file.
    return "latin-1" if decoder.getstate()[0] else encoding


def unreadable_transcript_warnings(problems: Sequence[str]) -> list[str]:
    """Return a warning if transcripts cannot be read. The utterances are still used.

    Example
    -------
    >>> unreadable_transcript_warnings(["a.txt must be text", "b.txt must be text"])
    ['2 transcripts could not be read and are left empty (first: a.txt must be text).']
    """
    if not problems:
        return []
    return [
        f"{len(problems):,} transcripts could not be read and are left empty "
        f"(first: {problems[0].rstrip('.')})."
    ]


def parse_number(text: str, name: str) -> float | None:
    """Parse a number; return None if the text is empty.

    This is stricter than ``float``, which parses ``1_0`` as 10. ``nan`` and ``inf`` are accepted
    and must be checked by the caller.

    Arguments
    ---------
    text : str
        Text in the file.
    name : str
        Name of the value, for the error message.

    Raises
    ------
    ValueError
        If the text is not a number.

    Example
    -------
    >>> parse_number(" 3.777778 ", "EmoVal"), parse_number("", "EmoVal")
    (3.777778, None)
    >>> parse_number("3,5", "EmoVal")
    Traceback (most recent call last):
    ValueError: not a number: EmoVal is '3,5'
    """
    text = text.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {name} is {text[:40]!r}")
    return float(text)


def parse_value(text: str, name: str) -> float | None:
    """Parse a label or rating; return None if the text is empty or ``NaN``.

    Arguments
    ---------
    text : str
        Text in the file.
    name : str
        Name of the value, for the error message.

    Raises
    ------
    ValueError
        If the text is not a number, or infinite.

    Example
    -------
    >>> parse_value(" 3.5", "valence"), parse_value("NaN", "valence"), parse_value("", "valence")
    (3.5, None, None)
    """
    value = parse_number(text, name)
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueError(f"label not finite: {name} is {text.strip()[:40]}")
    return value


def parse_gender(text: str) -> str:
    """Convert a gender to Male, Female or Unknown; return any other text unchanged.

    Example
    -------
    >>> parse_gender("f"), parse_gender("Male"), parse_gender("diverse"), parse_gender("")
    ('Female', 'Male', 'diverse', '')
    """
    return _GENDERS.get(text.casefold(), text)


def is_finite(value: float | None) -> bool:
    """Return whether a label is present and finite.

    Example
    -------
    >>> is_finite(2.0), is_finite(None), is_finite(float("nan"))
    (True, False, False)
    """
    return value is not None and math.isfinite(value)
