"""Detect the decimal mark of the numbers in a table."""

from __future__ import annotations

import os
import re

DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""One comma before three digits: a decimal comma or a thousands separator."""
THOUSANDS = re.compile(
    r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:\.\d{3})+,\d+|(?:,\d{3}){2,}|(?:\.\d{3}){2,}"
    r"|(?:[ \u00a0\u2009\u202f'\u2019]\d{3})+(?:[.,]\d+)?)",
    re.ASCII,
)
MINUS = "\u2212"


def normalise_number(text: str, *, decimal_comma: bool) -> str:
    """Write a number with a decimal point and an ASCII minus sign; other text is unchanged.

    Example
    -------
    >>> normalise_number("3,50", decimal_comma=True)
    '3.50'
    >>> normalise_number("\u22121.5", decimal_comma=False)
    '-1.5'
    >>> normalise_number("3,50", decimal_comma=False)
    '3,50'
    """
    if MINUS in text:
        text = text.replace(MINUS, "-")
    if decimal_comma and DECIMAL_COMMA.fullmatch(text):
        return text.replace(",", ".")
    return text


class DecimalMark:
    """Collect the numbers of a table, and decide which decimal mark they have.

    Example
    -------
    >>> mark = DecimalMark()
    >>> mark.add("1,234", 2)
    >>> mark.add("3,5", 3)
    >>> mark.is_comma("labels.csv")
    True
    """

    def __init__(self) -> None:
        self._comma = self._point = self._ambiguous = self._thousands = ("", 0)

    def add(self, text: str, line: int) -> None:
        """Add the text of one cell, and the number of its line."""
        if text.isdigit() or (self._point[0] and DECIMAL_POINT.fullmatch(text)):
            return
        text = text.replace(MINUS, "-")
        if AMBIGUOUS.fullmatch(text):
            self._ambiguous = self._ambiguous if self._ambiguous[0] else (text, line)
        elif DECIMAL_COMMA.fullmatch(text):
            self._comma = self._comma if self._comma[0] else (text, line)
        elif DECIMAL_POINT.fullmatch(text):
            self._point = self._point if self._point[0] else (text, line)
        elif THOUSANDS.fullmatch(text):
            self._thousands = self._thousands if self._thousands[0] else (text, line)

    def is_comma(self, path: str | os.PathLike) -> bool:
        """Whether the decimal mark is a comma.

        Arguments
        ---------
        path : path
            Path of the table, for error messages.

        Raises
        ------
        ValueError
            If the numbers have both marks or thousands separators, or can be read in two ways.
        """
        if self._thousands[0]:
            raise ValueError(
                f"Numbers in {path} must not have thousands separators; found "
                f"{_place(self._thousands)}. Remove the separators."
            )
        comma = self._comma if self._comma[0] else self._ambiguous
        if comma[0] and self._point[0]:
            raise ValueError(
                f"Numbers in {path} must use the same decimal mark; found {_place(comma)} and "
                f"{_place(self._point)}. Write all numbers with a decimal point and without "
                "thousands separators."
            )
        if self._ambiguous[0] and not self._comma[0]:
            raise ValueError(
                f"The decimal mark of the numbers in {path} is ambiguous: in "
                f"{_place(self._ambiguous)}, the comma may be a decimal mark or a thousands "
                "separator. Write all numbers with a decimal point, and use no thousands "
                "separators."
            )
        return bool(self._comma[0])


def _place(found: tuple[str, int]) -> str:
    return f"{found[0]!r} on line {found[1]}"
