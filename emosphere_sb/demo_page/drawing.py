"""Content of the drawings: JSON-compatible data for the sphere, SVG and HTML for the timeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from emosphere_sb.demo_page.analysis import Analysis
from emosphere_sb.html import render
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.warning_texts import SILENT
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.results.number_format import format_clock, format_signed
from emosphere_sb.scale import DIMENSIONS

WIDTH, HEIGHT = 1000, 200
"""Size of the timeline SVG in its own units; it is stretched to the available space."""
TICK_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""Candidate distances between ticks on the time axis, in seconds."""
MAX_TICKS = 6
"""Maximum number of ticks on the time axis."""


def sphere_scene(analysis: Analysis, about: ModelInfo) -> dict[str, Any]:
    """Collect the data for drawing the sphere, as JSON-compatible types.

    Arguments
    ---------
    analysis : Analysis
        Analysis of a recording.
    about : ModelInfo
        Metadata of the model with the regions and emotion words to draw.

    Returns
    -------
    dict
        ``step`` and ``centre`` of the regions; ``overall`` and ``windows`` with ``vad``
        (nominally in [-1, 1], not clipped), ``start`` and ``end`` in seconds, and ``text``;
        ``duration`` in seconds; and ``words`` with their positions.
    """
    return {
        "step": about.region_step,
        "centre": about.centre_radius,
        "overall": _point(analysis.overall),
        "windows": [_point(window) for window in analysis.windows],
        "duration": analysis.overall.duration,
        "words": {word: [float(x) for x in place] for word, place in about.words.items()},
    }


def _point(one: Prediction) -> dict[str, Any]:
    return {
        "vad": [float(value) for value in one.vad],
        "start": one.start,
        "end": one.end,
        "text": describe_prediction(one),
    }


def describe_prediction(one: Prediction) -> str:
    """Describe a prediction in words, for the line below the sphere and for screen readers."""
    values = ", ".join(f"{n} {format_signed(v)}" for n, v in zip(DIMENSIONS, one.vad, strict=True))
    silent = "; silent" if SILENT in one.warnings else ""
    return (
        f"{format_clock(one.start)}–{format_clock(one.end)}: {values}; region {one.region}{silent}"
    )


def timeline_html(analysis: Analysis) -> Markup:
    """Render valence, arousal and dominance over time as HTML, with each window at its centre.

    The SVG is stretched. Labels are outside it so that they remain readable on a phone. The page
    also shows the values in a table.

    Arguments
    ---------
    analysis : Analysis
        Analysis of a recording.
    """
    duration = analysis.overall.duration
    bound = max(1.0, 1.05 * float(np.abs(analysis.vad).max()))
    return render(
        "demo_page/timeline.html.jinja",
        width=WIDTH,
        height=HEIGHT,
        label=(
            f"Valence, arousal and dominance over {format_clock(duration, 1)} min, "
            f"{len(analysis.windows)} windows. The table below lists the values."
        ),
        silence=[
            (_x(one.start, duration), _x(one.end - one.start, duration))
            for one in analysis.windows
            if SILENT in one.warnings
        ],
        grid=[(value, _y(value, bound)) for value in (-1, -0.5, 0, 0.5, 1)],
        lines={
            name: _points(analysis, index, duration, bound) for index, name in enumerate(DIMENSIONS)
        },
        values=[(f"{_y(v, bound) / HEIGHT:.2%}", format_signed(v)[:5]) for v in (1, 0, -1)],
        times=[
            (f"{second / duration:.2%}", format_clock(second, int(second % 1 > 0)))
            for second in time_ticks(duration)
        ],
    )


def time_ticks(duration: float) -> list[float]:
    """Return at most :data:`MAX_TICKS` round times from 0 as tick positions.

    Example
    -------
    >>> time_ticks(12.3), time_ticks(2)
    ([0, 5, 10], [0.0, 0.5, 1.0, 1.5, 2.0])
    """
    step = next((s for s in TICK_STEPS if duration / s < MAX_TICKS), TICK_STEPS[-1])
    return [step * index for index in range(int(duration / step) + 1)]


def _points(
    analysis: Analysis, index: int, duration: float, bound: float
) -> list[tuple[float, float]]:
    """Return the line of one dimension through window centres, extended to both ends."""
    windows = analysis.windows
    middles = [(one.start + one.end) / 2 for one in windows]
    times = [windows[0].start, *middles, windows[-1].end]
    values = analysis.vad[:, index]
    levels = [values[0], *values, values[-1]]
    return [
        (_x(time, duration), _y(level, bound)) for time, level in zip(times, levels, strict=True)
    ]


def _x(second: float, duration: float) -> float:
    return WIDTH * second / duration


def _y(value: float, bound: float) -> float:
    return HEIGHT * (bound - value) / (2 * bound)
