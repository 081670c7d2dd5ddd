"""Label files as text: tables of comma-separated values, lines, numbers, genders."""

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


def read_table(
    path: Path, required: Sequence[str], *, multiline: bool = False
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Header and rows of a comma-separated file.

    Names of columns are compared without regard to case and blanks. A mark of byte order, Windows
    line ends and blank lines are accepted.

    Arguments
    ---------
    path : pathlib.Path
        UTF-8 text.
    required : sequence of str
        Columns that must be there, in lower case.
    multiline : bool
        Whether a quoted value may go over several lines. If not, such a value is taken for a quote
        that was never closed.

    Returns
    -------
    header : list of str
        Names in lower case, without blanks around them.
    rows : iterator of (int, list of str)
        Number of the line on which the row ends, and its values without blanks around them. Rows
        may be longer or shorter than the header.

    Raises
    ------
    ValueError
        If a column is missing or occurs twice, or the text is not UTF-8 or not CSV.
    """
    rows = _csv_rows(path, multiline=multiline)
    _, header = next(rows, (0, []))
    names = [name.casefold() for name in header]
    if not names:
        raise ValueError(f"{path} must start with the names of its columns; it is empty.")
    missing = [name for name in required if name not in names]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(required)} (comma-separated, any case); "
            f"missing: {', '.join(missing)}; found: {shortened(', '.join(header))}."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        twice_text = shortened(", ".join(twice))
        raise ValueError(f"{path} must name each column once; twice: {twice_text}.")
    return names, rows


def shortened(text: str, length: int = 300) -> str:
    """A text of a file for an error: a damaged file may have all of it in one line.

    Example
    -------
    >>> shortened("valence", 3)
    'val...'
    """
    return text if len(text) <= length else f"{text[:length]}..."


def unused_columns(path: Path, header: Collection[str], used: Collection[str]) -> list[str]:
    """A warning if a table has columns that nobody reads.

    Example
    -------
    >>> unused_columns(Path("labels.csv"), ["file", "raters"], ["file"])
    ['labels.csv has columns that are not used: raters.']
    """
    extra = [name for name in header if name and name not in used]
    names = shortened(", ".join(extra))
    return [f"{path.name} has columns that are not used: {names}."] if extra else []


def _csv_rows(path: Path, *, multiline: bool) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped values of each row that is not blank."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            for row in reader:
                values = [value.strip() for value in row]
                if not multiline and any("\n" in value or "\r" in value for value in values):
                    raise ValueError(f"{path}, line {reader.line_num}: a quote is not closed.")
                if any(values):
                    yield reader.line_num, values
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not comma-separated: {error}.") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8 text: {error.reason} at byte {error.start}."
        ) from None


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Number and text of each line, without its end.

    Text that is not UTF-8 is taken for Latin-1: label files have ASCII where it matters, and what
    raters and transcribers wrote may be in any 8-bit encoding. Only line feeds and carriage returns
    end a line.

    Arguments
    ---------
    path : path
        The file.

    Raises
    ------
    ValueError
        If the file holds zero bytes, as other files and UTF-16 do.

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
    """UTF-8 if all of a text is, otherwise Latin-1. Read piece by piece: files may be large."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding, place = "utf-8-sig", 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            if b"\0" in block:
                raise ValueError(
                    f"{path} must be text in UTF-8 or an 8-bit encoding; found a zero byte at "
                    f"{place + block.index(0)}. Save it as UTF-8, or take the corpus's own file."
                )
            place += len(block)
            try:
                decoder.decode(block, final=False)
            except UnicodeDecodeError:
                encoding = "latin-1"
                decoder.reset()
    # What is left in the decoder is a character that the file's end cuts off.
    return "latin-1" if decoder.getstate()[0] else encoding


def unreadable_transcripts(problems: Sequence[str]) -> list[str]:
    """A warning if transcripts cannot be read: they are no reason to do without the labels.

    Example
    -------
    >>> unreadable_transcripts(["a.txt must be text", "b.txt must be text"])
    ['2 transcripts cannot be read and are taken as empty (first: a.txt must be text).']
    """
    if not problems:
        return []
    return [
        f"{len(problems):,} transcripts cannot be read and are taken as empty "
        f"(first: {problems[0].rstrip('.')})."
    ]


def parse_number(text: str, name: str) -> float | None:
    """The number that a text holds; None if it is empty.

    Stricter than ``float``, which reads ``1_0`` as 10. ``nan`` and ``inf`` are numbers here:
    whether they are allowed is for others to say.

    Arguments
    ---------
    text : str
        As in the file.
    name : str
        What it is, for the error.

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
    """A label or rating as text: ``NaN`` and nothing are both a value that is missing.

    Infinity is none that a person gives, and no mean of them.

    Arguments
    ---------
    text : str
        As in the file.
    name : str
        What it is, for the error.

    Raises
    ------
    ValueError
        If the text is no finite number.

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
    """Male, Female or Unknown; anything else stays as it is.

    Example
    -------
    >>> parse_gender("f"), parse_gender("Male"), parse_gender("diverse"), parse_gender("")
    ('Female', 'Male', 'diverse', '')
    """
    return _GENDERS.get(text.casefold(), text)


def is_finite(value: float | None) -> bool:
    """Whether a label is there and a finite number.

    Example
    -------
    >>> is_finite(2.0), is_finite(None), is_finite(float("nan"))
    (True, False, False)
    """
    return value is not None and math.isfinite(value)
