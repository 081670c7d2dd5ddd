"""Format scores, counts and durations: ``.688``, ``30,647``, ``48 min``."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNDEFINED = "–"
"""Placeholder for a missing or undefined value."""

MINUS = "\u2212"
"""Minus sign, as wide as a plus sign."""


def format_score(value: float | None, decimals: int = 3) -> str:
    """Format a CCC or a similar score without a leading zero.

    Arguments
    ---------
    value : float or None
        The score. ``None`` and NaN mean undefined.
    decimals : int
        Number of decimals. Values of 10,000 or more have four significant digits instead.

    Returns
    -------
    str
        The score, or a dash if it is undefined.

    Example
    -------
    >>> format_score(0.6884), format_score(-0.0105), format_score(1.0), format_score(None)
    ('.688', '-.011', '1.000', '–')
    """
    if value is None or math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 10_000:
        return f"{value:.4g}"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")  # -0.0001 rounds to 0, not to -0
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def format_interval(interval: Sequence[float | None] | None, decimals: int = 3) -> str:
    """Format an interval; return an empty string if it is undefined.

    Example
    -------
    >>> format_interval([0.4901, 0.533]), format_interval(None), format_interval([None, None])
    ('[.490, .533]', '', '')
    """
    if not is_finite_interval(interval):
        return ""
    return f"[{format_score(interval[0], decimals)}, {format_score(interval[1], decimals)}]"


def is_finite_interval(interval: Sequence[float | None] | None) -> bool:
    """Return whether both ends of an interval are finite numbers."""
    return interval is not None and all(end is not None and math.isfinite(end) for end in interval)


def format_p_value(value: float | None) -> str:
    """Format a p-value with three decimals, or as ``< .001``.

    Example
    -------
    >>> format_p_value(0.0123), format_p_value(0.0004), format_p_value(1.0), format_p_value(None)
    ('.012', '< .001', '1.000', '–')
    """
    if value is not None and value < 0.001:
        return "< .001"
    return format_score(value)


def format_count(value: float | None) -> str:
    """Format a count with thousands separators; a mean of counts is rounded.

    Example
    -------
    >>> format_count(30647), format_count(0)
    ('30,647', '0')
    """
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:,.0f}"


def format_duration(seconds: float | None) -> str:
    """Format a duration in a suitable unit.

    Example
    -------
    >>> format_duration(0.84), format_duration(48.2), format_duration(2880), format_duration(90061)
    ('0.8 s', '48 s', '48 min', '25 h 01 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_clock(seconds: float, decimals: int = 0) -> str:
    """Format a duration as ``minutes:seconds``, or ``hours:minutes:seconds`` if needed.

    Example
    -------
    >>> format_clock(65), format_clock(3725), format_clock(2.5, 1)
    ('1:05', '1:02:05', '0:02.5')
    """
    unit = 10**decimals
    ticks = round(seconds * unit)
    minutes, rest = divmod(ticks, 60 * unit)
    width = 2 if decimals == 0 else 3 + decimals
    tail = f"{rest / unit:0{width}.{decimals}f}"
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{tail}"
    return f"{minutes}:{tail}"


def format_decimal(value: float) -> str:
    """Format a number with two decimals and a typographic minus sign.

    Example
    -------
    >>> format_decimal(5.104), format_decimal(-0.816)
    ('5.10', '−0.82')
    """
    return f"{value:.2f}".replace("-", MINUS)


def format_signed(value: float) -> str:
    """Format a score with its sign and two decimals.

    Example
    -------
    >>> format_signed(0.314), format_signed(-0.001)
    ('+0.31', '0.00')
    """
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", MINUS)
