"""Read label files: CSV tables, text lines, numbers and genders."""

from __future__ import annotations

import codecs
import csv
import math
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_GENDERS = {"m": "Male", "male": "Male", "f": "Female", "female": "Female", "unknown": "Unknown"}


def read_label_table(
    path: Path, required: Sequence[str], *, multiline: bool = False
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Read the header and the rows of a CSV file.

    Column names are not case-sensitive. A byte order mark, Windows line endings and blank lines are
    accepted.

    Arguments
    ---------
    path : pathlib.Path
        CSV file in UTF-8.
    required : sequence of str
        Required columns, in lower case.
    multiline : bool
        Whether a quoted value may span several lines. If not, such a value is reported as an
        unclosed quote.

    Returns
    -------
    header : list of str
        Stripped column names in lower case.
    rows : iterator of (int, list of str)
        Number of the last line of each row, and its stripped values. Rows may be longer or shorter
        than the header.

    Raises
    ------
    ValueError
        If a column is missing or occurs twice, or if the file is not a CSV file in UTF-8.
    """
    rows = _csv_rows(path, multiline=multiline)
    _, header = next(rows, (0, []))
    names = [name.casefold() for name in header]
    if not names:
        raise ValueError(f"{path} must start with a row of column names, but it is empty.")
    missing = [name for name in required if name not in names]
    if missing:
        raise ValueError(
            f"{path} must be comma-separated and have the columns {', '.join(required)}; "
            f"missing: {', '.join(missing)}; found: {truncate_text(', '.join(header))}."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        twice_text = truncate_text(", ".join(twice))
        raise ValueError(f"{path} must not have duplicate columns; found twice: {twice_text}.")
    return names, rows


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


def _csv_rows(path: Path, *, multiline: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the stripped values of each row that is not blank."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            for row in reader:
                values = [value.strip() for value in row]
                if not multiline and any("\n" in value or "\r" in value for value in values):
                    raise ValueError(f"{path}, line {reader.line_num}: unclosed quote.")
                if any(values):
                    yield reader.line_num, values
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: invalid CSV: {error}.") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8 text: {error.reason} at byte {error.start}."
        ) from None


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
