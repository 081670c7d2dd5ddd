"""The result of examining the container of an audio file."""

from __future__ import annotations

from typing import NamedTuple


class Scan(NamedTuple):
    """What the container of a file shows about its samples, before they are decoded.

    Arguments
    ---------
    problem : str
        Reason to reject the file, as ``kind: details``; empty otherwise.
    warning : str
        Defect that does not lose samples; empty otherwise.
    frames : int, optional
        Number of samples per channel in the file, if it is known exactly.
    """

    problem: str = ""
    warning: str = ""
    frames: int | None = None


def lost_text(lost: float, total: float, rate: float) -> str:
    """Return a text about lost samples, given amounts in units of which ``rate`` are a second.

    Example
    -------
    >>> lost_text(8000, 16000, 16000)
    '0.50 s of 1.00 s lost'
    """
    rate = rate or 1
    return f"{lost / rate:.2f} s of {total / rate:.2f} s lost"
