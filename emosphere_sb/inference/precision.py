"""Precisions of prediction with PyTorch; torch is not imported."""

from __future__ import annotations

PRECISIONS = ("fp32", "bf16")


def check_precision(precision: str) -> str:
    """Return the precision.

    Raises
    ------
    ValueError
        If it is unknown.

    Example
    -------
    >>> check_precision("bf16")
    'bf16'
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be {' or '.join(PRECISIONS)}; found {precision!r}.")
    return precision
