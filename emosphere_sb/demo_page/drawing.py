"""Content of the drawings: JSON-compatible data for the sphere, SVG and HTML for the timeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from markupsafe import Markup

from emosphere_sb.demo_page.analysis import Analysis
from emosphere_sb.html import render
from emosphere_sb.inference.output.traces import Traces
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.warning_texts import SILENT
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.results.number_format import MINUS, format_clock, format_signed
from emosphere_sb.scale import DIMENSIONS

WIDTH, HEIGHT = 1000, 200
"""Size of a timeline panel in its own units; it is stretched to the available space."""
AXIS_LABELS = ((1, "+1"), (0, "0"), (-1, f"{MINUS}1"))
"""Labelled values of the vertical axis."""
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
    """Render valence, arousal and dominance over time as HTML, one panel each.

    Each window is at its centre. Up to 60 windows are connected points; with more windows, a thick
    line shows the moving average without silent windows, and a thin one the windows. The SVGs are
    stretched. Labels are outside them so that they remain readable on a phone. The page also shows
    the values in a table.

    Arguments
    ---------
    analysis : Analysis
        Analysis of a recording.

    Returns
    -------
    Markup
        HTML; empty for a single window, whose values are those of the recording.
    """
    if len(analysis.windows) == 1:
        return Markup("")
    duration = analysis.overall.duration
    bound = max(1.0, 1.05 * float(np.abs(analysis.vad).max()))
    smoothing, means = _moving_average(analysis)
    return render(
        "demo_page/timeline.html.jinja",
        width=WIDTH,
        height=HEIGHT,
        panels=[
            {
                "name": name,
                "label": _panel_label(name, analysis.vad[:, index], duration),
                "points": _points(analysis, index, duration, bound),
                "averages": [
                    [(_x(second, duration), _y(vad[index], bound)) for second, vad in segment]
                    for segment in means
                ],
            }
            for index, name in enumerate(DIMENSIONS)
        ],
        silence=[
            (_x(one.start, duration), _x(one.end - one.start, duration))
            for one in analysis.windows
            if SILENT in one.warnings
        ],
        window=f"{analysis.window_seconds:g}",
        smoothing=None if smoothing is None else f"{smoothing:.0f}",
        grid=[(value, _y(value, bound)) for value in (-1, -0.5, 0, 0.5, 1)],
        values=[(f"{_y(v, bound) / HEIGHT:.2%}", text) for v, text in AXIS_LABELS],
        times=[
            (f"{second / duration:.2%}", format_clock(second, int(second % 1 > 0)))
            for second in time_ticks(duration)
        ],
    )


def recording_length(seconds: float) -> str:
    """Format the duration of a recording, in seconds if it is below one minute.

    Example
    -------
    >>> recording_length(2), recording_length(59.94), recording_length(59.96)
    ('2.0 s', '59.9 s', '1:00.0 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    return f"{format_clock(seconds, 1)} min"


def _panel_label(name: str, values: np.ndarray, duration: float) -> str:
    """Describe a panel for screen readers."""
    return (
        f"{name} over {recording_length(duration)} in {len(values)} windows, from "
        f"{format_signed(values.min())} to {format_signed(values.max())}. The table below lists "
        f"the values."
    )


def _moving_average(
    analysis: Analysis,
) -> tuple[float | None, list[list[tuple[float, np.ndarray]]]]:
    """Return the length of the moving average in seconds, and its segments of (seconds, VAD).

    Few windows have none. Silent windows separate the segments.
    """
    first, second = analysis.windows[:2]
    traces = Traces(second.start - first.start)
    for one in analysis.windows:
        silent = SILENT in one.warnings
        traces.add(replace(one, vad=np.full(3, np.nan)) if silent else one)
    seconds = traces.smoothing_seconds(analysis.window_seconds)
    if seconds is None:
        return None, []
    segments: list[list] = [[]]
    for time, vad in zip(traces.times, traces.smoothed(seconds), strict=True):
        if np.isfinite(vad).all():
            segments[-1].append((float(time), vad))
        elif segments[-1]:
            segments.append([])
    return seconds, [segment for segment in segments if segment]


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
    """Return the value of one dimension at the centre of each window."""
    times = [(one.start + one.end) / 2 for one in analysis.windows]
    return [
        (_x(time, duration), _y(value, bound))
        for time, value in zip(times, analysis.vad[:, index], strict=True)
    ]


def _x(second: float, duration: float) -> float:
    return WIDTH * second / duration


def _y(value: float, bound: float) -> float:
    return HEIGHT * (bound - value) / (2 * bound)
