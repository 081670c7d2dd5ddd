"""Reading of CSV and similar text tables."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path

import pandas as pd

from emosphere_sb.fileio.csv_cells import restore_cell

SEPARATORS = (",", ";", "\t")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNKNOWN = ("", "na", "n/a", "nan", "null", "none")


def read_text_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a text table with a header; all entries are stripped strings.

    Cells that :func:`emosphere_sb.fileio.csv_cells.neutral_cell` has changed are restored.

    Arguments
    ---------
    path : path
        File with comma, semicolon or tab as separator (the most frequent one in the header), in
        UTF-8 with or without a byte order mark.

    Raises
    ------
    ValueError
        If the file is not UTF-8 or not a table, has no rows, has duplicate columns, or has a row
        that differs in length from the header.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8: {error}. Save it as UTF-8.") from error
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        lines = [row for row in reader if row]
    except csv.Error as error:
        raise ValueError(
            f"Could not parse {path}, line {reader.line_num}: {error}. Check for an unclosed "
            "quotation mark."
        ) from error
    if len(lines) < 2:
        raise ValueError(
            f"{path} must have a header and at least one row; found {len(lines)} lines."
        )
    header = [name.strip() for name in lines[0]]
    if len(set(header)) < len(header):
        raise ValueError(f"Column names of {path} must be unique; found {', '.join(header)}.")
    for row in lines[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"Each line of {path} must have {len(header)} entries, like the header; found "
                f"{len(row)} in {separator.join(row)!r}."
            )
    return pd.DataFrame(
        [[restore_cell(cell.strip()) for cell in row] for row in lines[1:]], columns=header
    )


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
