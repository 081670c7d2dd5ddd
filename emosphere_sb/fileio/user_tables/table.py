"""Open a table that a user provides: detect its dialect, and read its rows as text."""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from emosphere_sb.fileio.user_tables.checks import (
    check_names,
    check_row_names,
    encoding_note,
    find_decimal_mark,
)
from emosphere_sb.fileio.user_tables.decimals import normalise_number
from emosphere_sb.fileio.user_tables.dialect import (
    WHITESPACE,
    Dialect,
    HeaderTest,
    Row,
    clean_name,
    detect_dialect,
    first_row,
    read_rows,
    sample_rows,
    unwrap_formula,
)
from emosphere_sb.fileio.user_tables.encoding import (
    detect_encoding,
    detect_format,
)

logger = logging.getLogger(__name__)

ColumnTest = Callable[[str], bool]


@dataclass(frozen=True)
class UserTable:
    """A table whose dialect is known. Its rows are read when they are iterated over.

    Arguments
    ---------
    path : pathlib.Path
        Path of the table.
    header : list of str
        Column names as in the file, without surrounding whitespace. A column without a name has
        an empty name.
    description : str
        The detected dialect, such as ``semicolon-separated, decimal comma, UTF-8 with BOM``.
    notes : list of str
        Assumptions that the user should check.
    """

    path: Path
    header: list[str]
    description: str
    notes: list[str]
    _records: Callable[[], Iterator[Row]] = field(repr=False)
    _shift: int = 0
    _width: int = 0
    _numbers: tuple[int, ...] = ()
    _decimal_comma: bool = False
    _joined_by: str = ""

    def rows(self) -> Iterator[Row]:
        """Iterate over the rows, without those that are blank.

        Yields
        ------
        line : int
            Number of the last line of the row.
        values : list of str
            Text of each value, without surrounding whitespace. Numbers have a decimal point.
            Malformed rows may have more or fewer values than the header.
        """
        for line, values in self._records():
            if self._joined_by and len(values) > len(self.header):
                last = len(self.header) - 1
                values = [*values[:last], self._joined_by.join(values[last:])]
            elif len(values) == self._width:
                values = values[self._shift : self._shift + len(self.header)]
            values = [unwrap_formula(value) if value[:1] == "=" else value for value in values]
            for position in self._numbers:
                if position < len(values):
                    values[position] = normalise_number(
                        values[position], decimal_comma=self._decimal_comma
                    )
            yield line, values


def open_user_table(
    path: str | os.PathLike,
    *,
    is_header: HeaderTest,
    is_number: ColumnTest,
    is_name: ColumnTest,
    text_column: str = "",
) -> UserTable:
    """Open a table in any common dialect of CSV, or an Excel workbook.

    The delimiter (comma, semicolon, tab, pipe or spaces), the decimal mark, the encoding, the
    quotation marks, comments or a title above the header, a first line such as ``sep=;``, trailing
    delimiters, and a column of row names without a header are detected and logged.

    Arguments
    ---------
    path : path
        Text file or ``.xlsx`` workbook.
    is_header : callable
        Whether a row is the header; called with a list of column names in lower case.
    is_number : callable
        Whether a column contains numbers; called with its name in lower case. Decimal commas in
        these columns are replaced by decimal points.
    is_name : callable
        Whether a column contains names that must be exact, such as paths and speakers; called with
        its name in lower case.
    text_column : str
        Name, in lower case, of a last column whose text may contain delimiters that are not
        quoted.

    Raises
    ------
    ValueError
        If the file is not a table, or if it can be read in several ways.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.csv"
    >>> _ = path.write_text("sep=;\\nFile;Valence\\na.wav;3,5\\n", encoding="utf-8-sig")
    >>> table = open_user_table(
    ...     path, is_header={"file", "valence"}.issubset,
    ...     is_number={"valence"}.__contains__, is_name={"file"}.__contains__,
    ... )
    >>> table.header, list(table.rows())
    (['File', 'Valence'], [(3, ['a.wav', '3.5'])])
    >>> table.description
    'semicolon-separated, decimal comma, UTF-8 with BOM'
    """
    path = Path(path)
    if detect_format(path) == "xlsx":
        # Imported here, because openpyxl is optional and slow to import.
        from emosphere_sb.fileio.user_tables.workbook import find_sheet

        records, position, label = find_sheet(path, is_header)
        table = _inspect(path, records, position, is_number, is_name)
        return _describe(table, label)
    encoding = detect_encoding(path)
    dialect, position = detect_dialect(path, encoding, is_header)
    escaped = replace(dialect, backslash=True)
    try:
        table = _inspect_text(path, dialect, position, is_number, is_name, text_column)
    except ValueError as error:
        # R writes a backslash before quotation marks by default.
        try:
            table = _inspect_text(path, escaped, position, is_number, is_name, text_column)
        except ValueError:
            raise error from None
    return _describe(table, dialect.description, encoding.label)


def _inspect_text(
    path: Path,
    dialect: Dialect,
    position: int | None,
    is_number: ColumnTest,
    is_name: ColumnTest,
    text_column: str,
) -> UserTable:
    """Inspect a text file in a given dialect."""
    if position is None:
        position = first_row(sample_rows(path, dialect)) or 0
    return _inspect(
        path, lambda: read_rows(path, dialect), position, is_number, is_name,
        delimiter=dialect.delimiter, assumed=dialect.encoding.is_assumed,
        text_column=text_column,
    )  # fmt: skip


def _describe(table: UserTable, *parts: str) -> UserTable:
    """Add the description of the dialect and log it."""
    mark = "decimal comma" if table._decimal_comma else "decimal point"
    index = ["row names without a header"] if table._shift else []
    description = ", ".join([parts[0], mark, *parts[1:], *index])
    logger.info("Read %s: %s", table.path.name, description)
    return replace(table, description=description)


def _inspect(
    path: Path,
    records: Callable[[], Iterator[Row]],
    position: int,
    is_number: ColumnTest,
    is_name: ColumnTest,
    *,
    delimiter: str = "",
    assumed: bool = False,
    text_column: str = "",
) -> UserTable:
    """Read the complete table once, to find its header, its width and its decimal mark."""
    records_after_header = lambda: itertools.islice(records(), position + 1, None)  # noqa: E731
    header = next(itertools.islice(records(), position, None), (0, []))[1]
    header = [clean_name(unwrap_formula(name)) for name in header]
    widths: Counter[int] = Counter()
    filled = 0
    for _, values in records_after_header():
        widths[len(values)] += 1
        if any(values[len(header) :]):
            filled = len(values)
    names = [name.casefold() for name in header]
    joined_by = delimiter if text_column and names[-1:] == [text_column] else ""
    if joined_by:
        width, shift = 0, 0
    else:
        header, width, shift = _fit(
            path, header, widths, bool(filled), spaced=delimiter == WHITESPACE
        )
        names = names[: len(header)]
    table = UserTable(
        path, header, "", [], records_after_header, shift, width,
        tuple(k for k, name in enumerate(names) if name and is_number(name)),
    )  # fmt: skip
    texts = [k for k, name in enumerate(names) if name and is_name(name)]
    special = check_names(path, table.rows(), texts, assumed=assumed)
    comma = find_decimal_mark(table.rows(), table._numbers).is_comma(path)
    if shift:
        check_row_names(
            path, records_after_header(), table._numbers, spaced=delimiter == WHITESPACE
        )
    notes = [encoding_note(path, special)] if assumed else []
    return replace(table, _decimal_comma=comma, notes=notes, _joined_by=joined_by)


def _fit(
    path: Path, header: list[str], widths: Counter[int], extra_filled: bool, *, spaced: bool
) -> tuple[list[str], int, int]:
    """Return the header without trailing delimiters, the width of the rows, and the column in
    which they start."""
    size = len(header)
    named = max((k + 1 for k, name in enumerate(header) if name), default=0)
    if len(widths) > 1 or not widths:
        if spaced and widths:
            raise ValueError(
                f"The columns of {path} must be separated by commas, semicolons or tabs; found "
                f"spaces, and rows with {' and '.join(map(str, sorted(widths)[:4]))} values. "
                "Export the table as a CSV file."
            )
        return header, size, 0
    (width,) = widths
    if named <= width <= size:
        return header[:width], width, 0
    if width < named:
        return header, size, 0
    if width > size and not extra_filled:
        return header, width, 0
    if width == named + 1 and all(header[:named]):
        return header[:named], width, 1
    raise ValueError(
        f"Each row of {path} must have as many values as the header ({size}); all rows have "
        f"{width}. If the numbers have decimal commas, export the table with semicolons as "
        "separators; otherwise name all columns."
    )
