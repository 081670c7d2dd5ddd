"""Numbers and times as people read them."""

from __future__ import annotations

MINUS = "\u2212"


def signed(value: float) -> str:
    """A score with its sign and two decimals.

    Example
    -------
    >>> signed(0.314), signed(-0.001)
    ('+0.31', '0.00')
    """
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", MINUS)


def plain(value: float) -> str:
    """A number with two decimals, and a minus of a plus's width.

    Example
    -------
    >>> plain(5.104), plain(-0.816)
    ('5.10', '−0.82')
    """
    return f"{value:.2f}".replace("-", MINUS)


def clock(seconds: float, decimals: int = 0) -> str:
    """Minutes and seconds, with hours where there are any.

    Example
    -------
    >>> clock(65), clock(3725), clock(2.5, 1)
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
