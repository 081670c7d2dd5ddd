"""Read tables of other systems, and numbers in them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable

import pandas as pd

from emosphere_sb.fileio.csv_cells import restore_cell
from emosphere_sb.fileio.user_tables.table import open_user_table

_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNKNOWN = ("", "na", "n/a", "nan", "null", "none")
MAX_EXAMPLE = 200


def read_text_table(
    path: str | os.PathLike,
    *,
    is_header: Callable[[list[str]], bool] = lambda names: False,
    is_number: Callable[[str], bool] = lambda name: False,
    is_name: Callable[[str], bool] = lambda name: True,
    is_escaped: Callable[[list[str]], bool] = lambda names: False,
) -> pd.DataFrame:
    """Read a table with a header; all entries are stripped strings.

    Arguments
    ---------
    path : path
        Text table or Excel workbook in any dialect that
        :func:`emosphere_sb.fileio.user_tables.table.open_user_table` detects.
    is_header : callable
        Whether a row is the header; called with a list of column names in lower case. By default
        the first row is the header.
    is_number, is_name : callable
        Whether a column contains numbers, or names that must be exact; called with its name in
        lower case.
    is_escaped : callable
        Whether the cells were written by :func:`emosphere_sb.fileio.csv_cells.neutral_cell` and are
        restored; called with the list of column names. By default no cell is changed, because
        ``\\x41`` in another program's table can be part of a name.

    Returns
    -------
    pandas.DataFrame
        The table, without columns that have no name. Its attribute ``attrs["notes"]`` is a list of
        assumptions about the format that the user should check.

    Raises
    ------
    ValueError
        If the file is not a table, can be read in several ways, has no rows, has duplicated
        columns, or has a row of a different length than the header.
    """
    table = open_user_table(path, is_header=is_header, is_number=is_number, is_name=is_name)
    header, rows = table.header, list(table.rows())
    if not rows:
        found = "only a header" if any(header) else "an empty file"
        raise ValueError(f"{path} must have a header and at least one row; found {found}.")
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        raise ValueError(f"Column names of {path} must be unique; found {', '.join(named)}.")
    for line, row in rows:
        if len(row) != len(header):
            text = ",".join(row)[:MAX_EXAMPLE]
            raise ValueError(
                f"Each line of {path} must have {len(header)} entries, like the header; found "
                f"{len(row)} in {text!r} (line {line})."
            )
    cells = [row for _, row in rows]
    if is_escaped(named):
        cells = [[restore_cell(cell) for cell in row] for row in cells]
    frame = pd.DataFrame(cells, columns=header)[named]
    frame.attrs["notes"] = table.notes
    return frame


def parse_table_number(text: str, what: str, path: str | os.PathLike) -> float:
    """Convert an entry to a number; empty entries and markers such as "NA" become NaN.

    A decimal comma is accepted.

    Raises
    ------
    ValueError
        If the entry is not a number.

    Example
    -------
    >>> [parse_table_number(text, "valence of a", "x.csv") for text in ("3,5", "NA")]
    [3.5, nan]
    """
    if text.lower() in _UNKNOWN:
        return math.nan
    try:
        if "_" in text:  # float() accepts 1_000, other programs do not
            raise ValueError
        return float(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
    except ValueError as error:
        raise ValueError(f"{what} in {path} must be a number; found {text!r}.") from error
