r"""Text in CSV cells that spreadsheets and terminals do not execute, and that can be restored.

Spreadsheets take a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, even if it is
the name of a file or a speaker. Such a cell is written with an apostrophe in front of it. Control
characters, such as the ESC that begins a terminal's commands, are written as ``\x1b``. Numbers and
line breaks are not changed. :func:`restore_cell` returns the original text.

This applies to the tables of ``emosphere predict`` and ``emosphere timeline``, to
``predictions/<set>.csv`` (restored when it is read), ``rejected.csv`` and the tables of results. It
does not apply to manifests, which SpeechBrain reads, and to challenge submissions, which must
contain the exact names of files. Tables of other programs are not escaped, so nothing is restored
in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
# A backslash is escaped only where it would be taken as the beginning of an escaped character.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]|\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def neutral_cell(value: Any) -> Any:
    r"""Return a value as it is written to a CSV file.

    Arguments
    ---------
    value : object
        Value of the cell; values other than text are not changed.

    Example
    -------
    >>> [neutral_cell(value) for value in ("a.wav", "=1+1.wav", "-0.5", "@x", -0.5)]
    ['a.wav', "'=1+1.wav", '-0.5', "'@x", -0.5]
    >>> print(neutral_cell("a\x1b[2J.wav"))
    a\x1b[2J.wav
    """
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    starts = _FORMULA.match(value) or _FORMULA.match(text)
    return f"'{text}" if starts and not _NUMBER.fullmatch(value) else text


def list_text(values: Sequence[Any]) -> str:
    """Return a list as the text of one cell.

    Arguments
    ---------
    values : sequence
        Texts, or pairs of a word and its distance.

    Example
    -------
    >>> list_text(["silent", "clipped"]), list_text([["sad", 0.25], ["calm", 1.5]]), list_text([])
    ('silent; clipped', 'sad 0.25; calm 1.5', '')
    """
    return "; ".join(one if isinstance(one, str) else f"{one[0]} {one[1]:g}" for one in values)


def restore_cell(text: str) -> str:
    r"""Return the original text of a cell written by :func:`neutral_cell`.

    Example
    -------
    >>> restore_cell("'=1+1.wav"), restore_cell("it's"), restore_cell("-0.5")
    ('=1+1.wav', "it's", '-0.5')
    >>> restore_cell(neutral_cell("'=a\x1b\\x41")) == "'=a\x1b\\x41"
    True
    """
    original = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if text.startswith("'") and _FORMULA.match(original[1:]):
        return original[1:]
    return original


def visible_text(text: str) -> str:
    r"""Return a text for a terminal or a log, with control characters escaped.

    Line breaks and tabs are kept.

    Example
    -------
    >>> print(visible_text("Skipping a\x1b[2J.wav"))
    Skipping a\x1b[2J.wav
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
