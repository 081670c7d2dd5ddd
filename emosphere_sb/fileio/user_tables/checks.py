"""Checks of the values of a table that can be read in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from emosphere_sb.fileio.user_tables.decimals import DecimalMark, normalise_number
from emosphere_sb.fileio.user_tables.dialect import Row
from emosphere_sb.fileio.user_tables.encoding import is_plausible_western

MAX_EXAMPLE = 100
MISSING = ("na", "n/a", "null", "none", ".", "")


def find_decimal_mark(rows: Iterable[Row], numbers: Sequence[int]) -> DecimalMark:
    """Collect the values of the columns with numbers.

    Arguments
    ---------
    rows : iterable of (int, list of str)
        Number of the line and values of each row.
    numbers : sequence of int
        Positions of the columns.
    """
    mark = DecimalMark()
    for line, values in rows:
        for position in numbers:
            if position < len(values) and values[position]:
                mark.add(values[position], line)
    return mark


def check_names(path: Path, rows: Iterable[Row], names: Sequence[int], *, assumed: bool) -> str:
    """Check names that must be exact, such as paths and speakers.

    Arguments
    ---------
    path : pathlib.Path
        Path of the table, for error messages.
    rows : iterable of (int, list of str)
        Number of the line and values of each row.
    names : sequence of int
        Positions of the columns with names.
    assumed : bool
        Whether the encoding is assumed.

    Returns
    -------
    str
        First name that depends on the assumed encoding, with its line; empty otherwise.

    Raises
    ------
    ValueError
        If a name is in single quotation marks, which may belong to it, or is unlikely to have the
        assumed encoding.
    """
    first = ""
    for line, values in rows:
        for position in names:
            text = values[position] if position < len(values) else ""
            if text[:1] == "'" == text[-1:] and len(text) > 1:
                raise ValueError(
                    f"Names in {path} must be unquoted or enclosed in double quotation marks; "
                    f"found {text[:MAX_EXAMPLE]!r} on line {line}. Remove the single "
                    f"quotation marks."
                )
            if not assumed or text.isascii():
                continue
            if not is_plausible_western(text):
                raise ValueError(
                    f"{path} must be UTF-8 text; found {text[:MAX_EXAMPLE]!r} on line {line}, in "
                    "an encoding that cannot be recognised. Save it as UTF-8."
                )
            first = first or f"{text[:MAX_EXAMPLE]!r} on line {line}"
    return first


def encoding_note(path: Path, example: str) -> str:
    """Return a note that the encoding of a table is assumed.

    Example
    -------
    >>> encoding_note(Path("labels.csv"), "")
    'labels.csv is not UTF-8 and was read as Windows-1252. Check names with special characters, \
or save it as UTF-8.'
    """
    such = f", such as {example}" if example else ""
    return (
        f"{path.name} is not UTF-8 and was read as Windows-1252. Check names with special "
        f"characters{such}, or save it as UTF-8."
    )


def check_row_names(
    path: Path, records: Iterable[Row], numbers: Sequence[int], *, spaced: bool
) -> None:
    """Check that a first column without a header contains row names, as R writes them.

    The columns with numbers must have numbers if the first column is skipped, and only then.
    Otherwise the row names must be the numbers of the rows. In a table that is separated by spaces
    they must be numbers, because a file name with a space looks like a row name and a file name.

    Arguments
    ---------
    path : pathlib.Path
        Path of the table, for error messages.
    records : iterable of (int, list of str)
        Number of the line and values of each row, with the row names.
    numbers : sequence of int
        Positions of the columns with numbers, without the column of row names.
    spaced : bool
        Whether the table is separated by spaces.

    Raises
    ------
    ValueError
        If the first column may contain other values.
    """
    names: set[str] = set()
    numeric, counted = True, True
    for place, (line, values) in enumerate(records):
        name = values[0]
        valid = name not in names and numbers and (name.isdigit() or not spaced)
        numeric &= all(_is_number(values[position]) for position in numbers)
        counted &= name in (str(place), str(place + 1))
        names.add(name)
        if not valid or not all(_is_number(values[position + 1]) for position in numbers):
            raise ValueError(_row_name_problem(path, line, values))
    if numeric and not counted:
        raise ValueError(_row_name_problem(path, line, values))


def _row_name_problem(path: Path, line: int, values: Sequence[str]) -> str:
    text = ",".join(values)[:MAX_EXAMPLE]
    return (
        f"Each row of {path} must have as many values as the header ({len(values) - 1}), or a "
        f"unique row name in addition; found {len(values)} in {text!r} (line {line}). Name all "
        "columns."
    )


def _is_number(text: str) -> bool:
    """Whether a value is a number or a word for a missing one."""
    try:
        float(normalise_number(text, decimal_comma=True))
    except ValueError:
        return text.casefold() in MISSING
    return True
