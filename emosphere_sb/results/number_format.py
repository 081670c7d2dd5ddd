"""Figures, counts and times as the field writes them: ``.688``, ``30,647``, ``48 min``."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNDEFINED = "–"
"""Stands where there is no figure, or none is defined."""

MINUS = "\u2212"
"""As wide as a plus sign."""


def figure_text(value: float | None, decimals: int = 3) -> str:
    """A CCC or a like figure, without a zero before the point.

    Arguments
    ---------
    value : float or None
        ``None`` and NaN are figures that are not defined.
    decimals : int
        Digits after the point. From 10,000 on there are four significant digits instead.

    Returns
    -------
    str
        The figure, or a dash.

    Example
    -------
    >>> figure_text(0.6884), figure_text(-0.0105), figure_text(1.0), figure_text(None)
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
        text = text.lstrip("-")  # a rounded -0.0001 is no negative figure
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def interval_text(interval: Sequence[float | None] | None, decimals: int = 3) -> str:
    """An interval; empty where there is none.

    Example
    -------
    >>> interval_text([0.4901, 0.533]), interval_text(None), interval_text([None, None])
    ('[.490, .533]', '', '')
    """
    if not known_interval(interval):
        return ""
    return f"[{figure_text(interval[0], decimals)}, {figure_text(interval[1], decimals)}]"


def known_interval(interval: Sequence[float | None] | None) -> bool:
    """Whether both ends of an interval are finite numbers."""
    return interval is not None and all(end is not None and math.isfinite(end) for end in interval)


def p_text(value: float | None) -> str:
    """A p-value, three decimals; what is smaller says so.

    Example
    -------
    >>> p_text(0.0123), p_text(0.0004), p_text(1.0), p_text(None)
    ('.012', '< .001', '1.000', '–')
    """
    if value is not None and value < 0.001:
        return "< .001"
    return figure_text(value)


def count_text(value: float | None) -> str:
    """A count with commas; a mean of counts is rounded.

    Example
    -------
    >>> count_text(30647), count_text(0)
    ('30,647', '0')
    """
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:,.0f}"


def seconds_text(seconds: float | None) -> str:
    """A time in the unit that suits it.

    Example
    -------
    >>> seconds_text(0.84), seconds_text(48.2), seconds_text(2880), seconds_text(90061)
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


def clock_text(seconds: float, decimals: int = 0) -> str:
    """Minutes and seconds, with hours where there are any.

    Example
    -------
    >>> clock_text(65), clock_text(3725), clock_text(2.5, 1)
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


def decimal_text(value: float) -> str:
    """A number with two decimals, and a minus as wide as a plus.

    Example
    -------
    >>> decimal_text(5.104), decimal_text(-0.816)
    ('5.10', '−0.82')
    """
    return f"{value:.2f}".replace("-", MINUS)


def signed_text(value: float) -> str:
    """A score with its sign and two decimals.

    Example
    -------
    >>> signed_text(0.314), signed_text(-0.001)
    ('+0.31', '0.00')
    """
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", MINUS)
