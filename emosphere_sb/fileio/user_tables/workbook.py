"""Read Excel workbooks (``.xlsx``). Requires the optional package ``openpyxl``."""

from __future__ import annotations

import datetime
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.user_tables.dialect import (
    SAMPLE_ROWS,
    HeaderTest,
    Row,
    find_header,
    first_row,
)

MAX_BYTES = 2 << 30
"""Maximum size of the unpacked workbook; larger ones may be damaged or malicious."""

_ZEROS = re.compile(r"0+")


def find_sheet(path: Path, is_header: HeaderTest) -> tuple[Callable[[], Iterator[Row]], int, str]:
    """Find the worksheet that contains the table.

    Arguments
    ---------
    path : pathlib.Path
        Workbook.
    is_header : callable
        Whether a row, given as a list of names in lower case, is the header.

    Returns
    -------
    records : callable
        Returns an iterator over the numbers and values of the rows that are not blank.
    position : int
        Position of the header among these rows.
    label : str
        Description for the log.

    Raises
    ------
    ValueError
        If ``openpyxl`` is not installed, or if no or several worksheets contain the table.
    """
    sheets = _sheet_names(path)
    found = []
    for name in sheets:
        rows = list(itertools.islice(_sheet_rows(path, name), SAMPLE_ROWS))
        position = find_header(rows, is_header)
        if position is not None:
            found.append((name, position))
    if len(found) > 1:
        names = ", ".join(repr(name) for name, _ in found)
        raise ValueError(
            f"{path} must have one worksheet with a table; found {names}. Delete the others, or "
            "export one as a CSV file."
        )
    if found:
        name, position = found[0]
    else:
        name = sheets[0]
        rows = list(itertools.islice(_sheet_rows(path, name), SAMPLE_ROWS))
        position = first_row(rows) or 0
    return lambda: _sheet_rows(path, name), position, f"Excel workbook, worksheet {name!r}"


def _load(path: Path, *, formulas: bool = False) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise ValueError(
            f"{path} is an Excel workbook, which requires openpyxl. Run pip install "
            "'emosphere-sb[xlsx]', or export it as a CSV file in UTF-8."
        ) from None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size <= MAX_BYTES:
            return openpyxl.load_workbook(path, read_only=True, data_only=not formulas)
    except Exception as error:  # openpyxl raises many kinds of errors for damaged files
        raise ValueError(
            f"{path} must be a valid Excel workbook: {error}. Save it again, or export it as a CSV "
            "file in UTF-8."
        ) from error
    raise ValueError(
        f"{path} must be smaller than {MAX_BYTES:,} bytes when unpacked; found {size:,}. Export it "
        "as a CSV file in UTF-8."
    )


def _sheet_names(path: Path) -> list[str]:
    """Return the names of the worksheets."""
    book = _load(path)
    names = [sheet.title for sheet in book.worksheets]
    book.close()
    if not names:
        raise ValueError(f"{path} must have a worksheet, but it has none.")
    return names


def _has_formulas(path: Path) -> bool:
    """Whether a worksheet of the workbook has formulas."""
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(re.search(rb"<f[ >/]", archive.read(name)) for name in sheets)


def _sheet_rows(path: Path, name: str) -> Iterator[Row]:
    """Yield the number and the text of each row that is not blank, all equally long."""
    book = _load(path)
    formulas = _load(path, formulas=True) if _has_formulas(path) else None
    try:
        sheets = [book[name].iter_rows()]
        if formulas is not None:
            sheets.append(formulas[name].iter_rows())
        width = 0
        for number, (cells, *others) in enumerate(zip(*sheets, strict=True), start=1):
            values = [_cell_text(cell) for cell in cells]
            for cell, value in zip(others[0] if others else (), values, strict=False):
                if not value and cell.data_type == "f":
                    raise ValueError(
                        f"{path}, worksheet {name!r}, row {number}: formulas must have stored "
                        "values. Open the workbook in Excel or LibreOffice and save it again."
                    )
            if any(values):
                # Rows end at their last cell, so shorter ones are padded.
                values += [""] * (width - len(values))
                while len(values) > width and width and not values[-1]:
                    values.pop()
                width = max(width, len(values))
                yield number, values
    finally:
        book.close()
        if formulas is not None:
            formulas.close()


def _cell_text(cell: Any) -> str:
    """Return the text of a cell. Numbers are exact, and zeros of a format such as 000 are kept."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    if isinstance(value, int) and _ZEROS.fullmatch(cell.number_format or ""):
        return str(value).zfill(len(cell.number_format))
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return f"date {value}"  # never a number
    return str(value).strip()
