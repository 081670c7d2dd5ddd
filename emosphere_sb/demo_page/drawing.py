"""What the page draws: the scene of the sphere as plain data, the time line as SVG and HTML."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosphere_sb.demo_page.analysis import Reading
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


def timeline_picture(reading: Reading) -> str:
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
    lines = [_line(reading, index, duration, bound) for index in range(len(DIMENSIONS))]
    silence = [
        f'<rect x="{_x(one.start, duration):.1f}" y="0" '
        f'width="{_x(one.end - one.start, duration):.1f}" height="{HEIGHT}"/>'
        for one in reading.windows
        if "silent" in one.warnings
    ]
    grid = [
        f'<line class="em-grid{" em-zero" if value == 0 else ""}" x1="0" x2="{WIDTH}" '
        f'y1="{_y(value, bound):.1f}" y2="{_y(value, bound):.1f}"/>'
        for value in (-1, -0.5, 0, 0.5, 1)
    ]
    values = [
        f'<span style="top:{_y(v, bound) / HEIGHT:.2%}">{signed_text(v)[:5]}</span>'
        for v in (1, 0, -1)
    ]
    times = [
        f'<span style="left:{second / duration:.2%}">{clock_text(second, int(second % 1 > 0))}</span>'
        for second in time_marks(duration)
    ]
    legend = [
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><line class="em-{name}" x1="0" x2="30" '
        f'y1="4" y2="4"/></svg>{name}</li>'
        for name in DIMENSIONS
    ]
    label = (
        f"Valence, arousal and dominance over {clock_text(duration, 1)} min, "
        f"{len(reading.windows)} windows; the table below holds the figures."
    )
    return (
        f'<ul class="em-legend">{"".join(legend)}</ul>'
        f'<div class="em-timeline"><div class="em-values" aria-hidden="true">{"".join(values)}'
        f'</div><div class="em-plot"><svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f'<g class="em-silence">{"".join(silence)}</g>{"".join(grid)}{"".join(lines)}</svg>'
        f'<div class="em-cursor" hidden></div></div>'
        f'<div class="em-times" aria-hidden="true">{"".join(times)}</div></div>'
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


def _line(reading: Reading, index: int, duration: float, bound: float) -> str:
    """One dimension: through the windows' middles, level to both ends of the recording."""
    windows = reading.windows
    middles = [(one.start + one.end) / 2 for one in windows]
    times = [windows[0].start, *middles, windows[-1].end]
    values = reading.vad[:, index]
    levels = [values[0], *values, values[-1]]
    points = " ".join(
        f"{_x(time, duration):.1f},{_y(level, bound):.1f}"
        for time, level in zip(times, levels, strict=True)
    )
    return f'<polyline class="em-{DIMENSIONS[index]}" points="{points}"/>'


def _x(second: float, duration: float) -> float:
    return WIDTH * second / duration


def _y(value: float, bound: float) -> float:
    return HEIGHT * (bound - value) / (2 * bound)
