"""Text tables as programs and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path

import pandas as pd

SEPARATORS = (",", ";", "\t")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNKNOWN = ("", "na", "n/a", "nan", "null", "none")


def read_text_table(path: str | os.PathLike) -> pd.DataFrame:
    """A table with a header, all entries as text without blanks around them.

    Arguments
    ---------
    path : path
        Separated by comma, semicolon or tab, whichever the header has most of; UTF-8, with or
        without a byte order mark.

    Raises
    ------
    ValueError
        If it is not UTF-8, is no table, has no line below its header, a column twice, or a line of
        another length.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8; {error}. Save it as such.") from error
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        lines = [row for row in reader if row]
    except csv.Error as error:
        raise ValueError(
            f"{path} cannot be read as a table, at line {reader.line_num}: {error}. Look for a "
            "quotation mark that is not closed."
        ) from error
    if len(lines) < 2:
        raise ValueError(f"{path} must hold a header and lines below it; found {len(lines)} lines.")
    header = [name.strip() for name in lines[0]]
    if len(set(header)) < len(header):
        raise ValueError(f"Each column of {path} must be there once; found {', '.join(header)}.")
    for row in lines[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"Every line of {path} must have {len(header)} entries, as its header has; found "
                f"{len(row)} in {separator.join(row)!r}."
            )
    return pd.DataFrame([[cell.strip() for cell in row] for row in lines[1:]], columns=header)


def number(text: str, what: str, path: str | os.PathLike) -> float:
    """An entry as a number; NaN where it is empty or says that nothing is known.

    A decimal comma, which only tables of semicolons and tabs hold unquoted, is understood.

    Raises
    ------
    ValueError
        If it is something else.

    Example
    -------
    >>> number("3,5", "valence of a", "x.csv"), number("NA", "valence of a", "x.csv")
    (3.5, nan)
    """
    if text.lower() in _UNKNOWN:
        return math.nan
    try:
        if "_" in text:  # Python's own spelling of a million, nobody else's
            raise ValueError
        return float(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
    except ValueError as error:
        raise ValueError(f"{what} in {path} must be a number; found {text!r}.") from error
