"""Detect the delimiter and the quotation marks of a text table, and find its header."""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emosphere_sb.fileio.user_tables.encoding import Encoding

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
WHITESPACE = " "
QUOTES = ('"', "'")
SAMPLE_ROWS = 60
"""Number of rows in which the header is searched."""

COMMENT_MARKS = ("#", "%", "//")
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?[,;\t|]*\s*', re.IGNORECASE)
_FORMULA_TEXT = re.compile(r'="(.*)"', re.DOTALL)

Row = tuple[int, list[str]]
HeaderTest = Callable[[list[str]], bool]


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Arguments
    ---------
    encoding : Encoding
        Character encoding.
    delimiter : str
        Character between two values; a space stands for one or several spaces.
    quote : str
        Quotation mark.
    backslash : bool
        Whether a quotation mark within a value is written with a backslash, as R does by default.
    skipped_lines : int
        Number of lines before the first row, which specify the delimiter.
    """

    encoding: Encoding
    delimiter: str = ","
    quote: str = '"'
    backslash: bool = False
    skipped_lines: int = 0

    @property
    def description(self) -> str:
        """Description for the log, such as ``semicolon-separated``."""
        name = DELIMITERS.get(self.delimiter, "space" if self.delimiter == " " else self.delimiter)
        return f"{name}-separated" + (", single quotation marks" if self.quote == "'" else "")


def read_rows(path: str | os.PathLike, dialect: Dialect) -> Iterator[Row]:
    """Iterate over the rows that are not blank.

    Yields
    ------
    line : int
        Number of the last line of the row.
    values : list of str
        Values without surrounding whitespace.

    Raises
    ------
    ValueError
        If the file does not match the dialect.
    """
    with open(path, encoding=dialect.encoding.codec, newline="") as file:
        lines: Iterable[str] = itertools.islice(file, dialect.skipped_lines, None)
        if dialect.backslash:
            lines = (line.replace(f"\\{dialect.quote}", dialect.quote * 2) for line in lines)
        if dialect.delimiter == WHITESPACE:
            lines = (line.strip(" \t\r\n") + "\n" for line in lines)
        reader = csv.reader(
            lines,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote,
            strict=True,
            skipinitialspace=True,
        )
        try:
            for values in reader:
                values = [value.strip() for value in values]
                if any(values):
                    yield reader.line_num + dialect.skipped_lines, values
        except csv.Error as error:
            line = reader.line_num + dialect.skipped_lines
            raise ValueError(
                f"Could not parse {path}, line {line}: invalid CSV: {error}. Check for an unclosed "
                "quotation mark or a missing delimiter."
            ) from None


def clean_name(name: str) -> str:
    """Return a column name without surrounding whitespace and byte order marks.

    Example
    -------
    >>> clean_name("\\ufeff File ")
    'File'
    """
    return name.strip("\ufeff\u200b \t\r\n\u00a0")


def unwrap_formula(text: str) -> str:
    """Return the text in a formula such as ``="001"``, which keeps Excel from parsing numbers.

    Example
    -------
    >>> unwrap_formula('="001"'), unwrap_formula("=1")
    ('001', '=1')
    """
    found = _FORMULA_TEXT.fullmatch(text)
    return found[1] if found else text


def find_header(rows: Sequence[Row], is_header: HeaderTest) -> int | None:
    """Return the position of the header among the first rows of a table; None if there is none.

    Only blank lines, comments, and rows with few values, such as a title, may precede it.
    """
    for position, (_, values) in enumerate(rows):
        names = [clean_name(unwrap_formula(value)) for value in values]
        if is_header([name.casefold() for name in names]):
            filled = sum(map(bool, names))
            before = [row for _, row in rows[:position] if not _is_comment(row)]
            return None if any(2 * sum(map(bool, row)) > filled for row in before) else position
    return None


def first_row(rows: Sequence[Row]) -> int | None:
    """Return the position of the first row that is not a comment."""
    return next((k for k, (_, values) in enumerate(rows) if not _is_comment(values)), None)


def _is_comment(values: Sequence[str]) -> bool:
    return values[0].startswith(COMMENT_MARKS)


def detect_dialect(
    path: Path, encoding: Encoding, is_header: HeaderTest
) -> tuple[Dialect, int | None]:
    """Detect the dialect of a text table from its header.

    Arguments
    ---------
    path : pathlib.Path
        Text table.
    encoding : Encoding
        Encoding of the file.
    is_header : callable
        Whether a row, given as a list of names in lower case, is the header.

    Returns
    -------
    dialect : Dialect
        The dialect in which the header was found. If it was not found, the dialect in which the
        first row has the most values.
    position : int or None
        Position of the header among the rows; None if it was not found.

    Raises
    ------
    ValueError
        If several delimiters are possible.
    """
    declared = _declared_delimiter(path, encoding)
    base = Dialect(encoding, declared or ",", skipped_lines=1 if declared else 0)
    delimiters = [declared] if declared else [*DELIMITERS]
    for quote in QUOTES:
        found = _matching_delimiters(path, replace(base, quote=quote), delimiters, is_header)
        if not found and not declared:
            found = _matching_delimiters(path, replace(base, quote=quote), [WHITESPACE], is_header)
        if found:
            return _choose(path, found)
    samples = [(d, sample_rows(path, d)) for d in (replace(base, delimiter=x) for x in delimiters)]
    return max(samples, key=lambda item: _width(item[1]))[0], None


def _declared_delimiter(path: Path, encoding: Encoding) -> str:
    """Return the delimiter in a first line such as ``sep=;``, which Excel understands."""
    with open(path, encoding=encoding.codec, newline="") as file:
        found = _SEPARATOR_LINE.fullmatch(file.readline(20))
    return found[1] if found else ""


def sample_rows(path: Path, dialect: Dialect) -> list[Row]:
    """Return the first rows, up to the first one that cannot be parsed."""
    rows = []
    try:
        for row in itertools.islice(read_rows(path, dialect), SAMPLE_ROWS):
            rows.append(row)
    except ValueError:
        pass
    return rows


def _width(rows: Sequence[Row]) -> int:
    position = first_row(rows)
    return 0 if position is None else len(rows[position][1])


def _matching_delimiters(
    path: Path, base: Dialect, delimiters: Iterable[str], is_header: HeaderTest
) -> list[tuple[Dialect, int, list[Row]]]:
    """Return the dialects in which the header is found, with its position and the first rows."""
    found = []
    for delimiter in delimiters:
        dialect = replace(base, delimiter=delimiter)
        rows = sample_rows(path, dialect)
        position = find_header(rows, is_header)
        if position is not None:
            found.append((dialect, position, rows))
    return found


def _choose(path: Path, found: list[tuple[Dialect, int, list[Row]]]) -> tuple[Dialect, int]:
    """Choose the dialect with the most columns, and check that there is only one."""
    widths = [len(rows[position][1]) for _, position, rows in found]
    best = [item for item, width in zip(found, widths, strict=True) if width == max(widths)]
    if len(best) > 1 and max(widths) > 1:
        names = " or ".join(DELIMITERS.get(d.delimiter, d.delimiter) for d, _, _ in best)
        raise ValueError(
            f"{path} must have one delimiter; found a header that can be separated by {names}. Put "
            "column names that contain a delimiter in quotation marks."
        )
    dialect, position, rows = best[0]
    values = [row for _, row in rows[position + 1 :]]
    if dialect.quote == '"' and _has_single_quotes(values):
        dialect = replace(dialect, quote="'")
    return dialect, position


def _has_single_quotes(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all values of a column are in single quotation marks."""
    for column in itertools.zip_longest(*rows, fillvalue=""):
        filled = [value for value in column if value]
        if filled and all(len(value) > 1 and value[0] == "'" == value[-1] for value in filled):
            return True
    return False
