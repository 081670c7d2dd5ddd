"""What the page draws: the scene of the sphere as plain data, the time line as SVG and HTML."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from emosphere_sb.demo_page.analysis import Reading
from emosphere_sb.html import render
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.release.model import About
from emosphere_sb.results.number_format import clock_text, signed_text
from emosphere_sb.scale import DIMENSIONS

WIDTH, HEIGHT = 1000, 200
"""Units of the time line's SVG, which is stretched to the room that there is."""
SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""Steps between the marks of the time axis."""
MARKS = 6
"""Marks of the time axis at the most."""


def scene(reading: Reading, about: About) -> dict[str, Any]:
    """All that the drawing of the sphere needs, for JSON.

    Arguments
    ---------
    reading : Reading
        Of a recording.
    about : About
        Whose regions and emotion words are drawn.

    Returns
    -------
    dict
        ``step`` and ``centre`` of the regions, ``whole`` and ``windows`` with ``vad`` in
        [-1, 1], unclipped, ``start`` and ``end`` in seconds, ``text``; ``words`` and their places.
    """
    return {
        "step": about.region_step,
        "centre": about.centre_radius,
        "whole": _point(reading.whole),
        "windows": [_point(window) for window in reading.windows],
        "duration": reading.whole.duration,
        "words": {word: [float(x) for x in place] for word, place in about.words.items()},
    }


def _point(one: Prediction) -> dict[str, Any]:
    return {
        "vad": [float(value) for value in one.vad],
        "start": one.start,
        "end": one.end,
        "text": spoken(one),
    }


def spoken(one: Prediction) -> str:
    """A prediction in a sentence, for the line under the sphere and for screen readers."""
    values = ", ".join(f"{n} {signed_text(v)}" for n, v in zip(DIMENSIONS, one.vad, strict=True))
    silent = "; silent" if "silent" in one.warnings else ""
    return f"{clock_text(one.start)}–{clock_text(one.end)}: {values}; region {one.region}{silent}"


def timeline_picture(reading: Reading) -> Markup:
    """Valence, arousal and dominance over time as HTML; every window is at its middle.

    The SVG is stretched, and letters stand beside it, so that they stay readable on a phone. The
    same figures stand in a table of the page.

    Arguments
    ---------
    reading : Reading
        Of a recording.
    """
    duration = reading.whole.duration
    bound = max(1.0, 1.05 * float(np.abs(reading.vad).max()))
    return render(
        "demo_page/timeline.html.jinja",
        width=WIDTH,
        height=HEIGHT,
        label=(
            f"Valence, arousal and dominance over {clock_text(duration, 1)} min, "
            f"{len(reading.windows)} windows; the table below holds the figures."
        ),
        silence=[
            (_x(one.start, duration), _x(one.end - one.start, duration))
            for one in reading.windows
            if "silent" in one.warnings
        ],
        grid=[(value, _y(value, bound)) for value in (-1, -0.5, 0, 0.5, 1)],
        lines={
            name: _points(reading, index, duration, bound) for index, name in enumerate(DIMENSIONS)
        },
        values=[(f"{_y(v, bound) / HEIGHT:.2%}", signed_text(v)[:5]) for v in (1, 0, -1)],
        times=[
            (f"{second / duration:.2%}", clock_text(second, int(second % 1 > 0)))
            for second in time_marks(duration)
        ],
    )


def time_marks(duration: float) -> list[float]:
    """Round times from 0 on, few enough to stand beside each other.

    Example
    -------
    >>> time_marks(12.3), time_marks(2)
    ([0, 5, 10], [0.0, 0.5, 1.0, 1.5, 2.0])
    """
    step = next((s for s in SECONDS if duration / s < MARKS), SECONDS[-1])
    return [step * index for index in range(int(duration / step) + 1)]


def _points(
    reading: Reading, index: int, duration: float, bound: float
) -> list[tuple[float, float]]:
    """One dimension: through the windows' middles, level to both ends of the recording."""
    windows = reading.windows
    middles = [(one.start + one.end) / 2 for one in windows]
    times = [windows[0].start, *middles, windows[-1].end]
    values = reading.vad[:, index]
    levels = [values[0], *values, values[-1]]
    return [
        (_x(time, duration), _y(level, bound)) for time, level in zip(times, levels, strict=True)
    ]


def _x(second: float, duration: float) -> float:
    return WIDTH * second / duration


def _y(value: float, bound: float) -> float:
    return HEIGHT * (bound - value) / (2 * bound)
