"""Plot a timeline: three dimensions, regions as a colour band, and skipped silence in grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from emosphere_sb.inference.output.traces import Traces, clock
from emosphere_sb.report.plots.style import (
    COLOURS,
    FAINT,
    GREY,
    TITLES,
    add_footnote,
    annotate_empty,
    palette,
    with_plot_style,
)
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.sphere.grid import RegionPartition

TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200)
"""Candidate distances between time ticks in seconds."""
SMOOTHING_PARTS = 40
"""The thick line is a moving average over the duration divided by this number."""
MAX_NAMED_REGIONS = 8
"""Maximum number of regions with individual colours; less frequent regions share one colour."""


@with_plot_style
def timeline_plot(traces: Traces, *, about: Any, title: str, window: float) -> Figure:
    """Plot valence, arousal and dominance over time.

    Arguments
    ---------
    traces : Traces
        Timeline of the recording.
    about : ModelInfo
        Information about the model; its label scale is shown on the right axis.
    title : str
        Title of the plot.
    window : float
        Window length in seconds.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with a shared time axis. Thin lines show individual windows, or their range if
        several fall into one time step. Thick lines show a moving average over 1/40 of the
        recording, or over two windows if these are longer. Skipped silence is grey. The band at the
        bottom shows the most frequent region.
    """
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    heights = [3, 3, 3, 0.5]
    panels = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    smoothing = max(2 * window, traces.duration / SMOOTHING_PARTS, traces.width)
    limit = _limit(traces)
    for column, (axes, name) in enumerate(zip(panels[:3], DIMENSIONS, strict=True)):
        _panel(axes, traces, column, name, smoothing)
        axes.set_ylim(-limit, limit)
        _scale_axis(axes, about.scale, reverse=name in about.scale.reversed)
    _band(panels[3], traces, about)
    for axes in panels:
        _grey(axes, traces)
    _time_axis(panels[3], traces.duration)
    figure.get_layout_engine().set(rect=(0, 0.035, 1, 0.965))  # leaves space for the note
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    texts = [f"thin: windows of {window:g} s", f"thick: moving average over {clock(smoothing)}"]
    texts += ["grey: skipped silence"] if traces.silence.any() else []
    add_footnote(figure, "  ·  ".join([about.name, *texts]))
    return figure


def _limit(traces: Traces) -> float:
    """Return the y limit of all panels: 1, or more if predictions exceed it."""
    low, high = traces.ranges
    reach = np.nanmax(np.abs([low, high])) if np.isfinite(low).any() else 1.0
    return max(1.0, 1.05 * float(reach))


def _panel(axes: Axes, traces: Traces, column: int, name: str, smoothing: float) -> None:
    times, colour = traces.times, COLOURS[name]
    low, high = (edge[:, column] for edge in traces.ranges)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(times, traces.means[:, column], color=colour, alpha=0.45, linewidth=0.7)
    if len(times) == 1:  # a single point needs a marker
        axes.plot(times, traces.means[:, column], color=colour, marker="o")
    axes.plot(times, traces.smoothed(smoothing)[:, column], color=colour, linewidth=2.2)
    axes.set_title(TITLES[name], color=colour)
    axes.grid(axis="both")
    if not np.isfinite(low).any():
        annotate_empty(axes, "no predictions")


def _scale_axis(axes: Axes, scale: Any, *, reverse: bool) -> None:
    """Add an axis with the label scale on the right."""
    sign, half = (-1 if reverse else 1), (scale.high - scale.low) / 2
    right = axes.secondary_yaxis(
        "right",
        functions=(
            lambda value: scale.neutral + sign * half * value,
            lambda value: (value - scale.neutral) / (sign * half),
        ),
    )
    right.tick_params(labelsize=8, colors=GREY)
    right.set_ylabel(f"{scale.low:g} to {scale.high:g}", fontsize=8, color=GREY)
    right.spines["right"].set_visible(False)


def _band(axes: Axes, traces: Traces, about: Any) -> None:
    """Draw the regions as a colour band, with a legend for the most frequent ones."""
    regions = traces.regions
    counts = {name: regions.count(name) for name in dict.fromkeys(regions) if name}
    named = sorted(counts, key=counts.__getitem__, reverse=True)[:MAX_NAMED_REGIONS]
    colours = _colours(named, about)
    for name, first, last in _runs(regions):
        if name:
            axes.axvspan(*_span(traces, first, last), color=colours.get(name, FAINT), linewidth=0)
    axes.set_yticks([])
    axes.set_ylabel("region", rotation=0, ha="right", va="center", fontsize=8.5)
    patches = [Patch(color=colours[name], label=name) for name in named]
    if len(counts) > len(named):
        patches.append(Patch(color=FAINT, label=f"{len(counts) - len(named)} more"))
    if patches:
        axes.legend(
            handles=patches, loc="upper left", bbox_to_anchor=(0, -0.9), ncols=9, fontsize=8.5,
            handlelength=1.0, columnspacing=1.2, borderpad=0, borderaxespad=0,
        )  # fmt: skip


def _colours(named: list[str], about: Any) -> dict[str, Any]:
    """Choose the colour of each region, paler than the lines; octants have fixed colours."""
    grid = RegionPartition(about.region_step, about.centre_radius)
    order = list(grid.names) if len(grid) <= MAX_NAMED_REGIONS else named
    known = dict(zip(order, palette(max(1, len(order))), strict=False))
    return {name: tuple(0.35 + 0.65 * part for part in to_rgb(known[name])) for name in named}


def _grey(axes: Axes, traces: Traces) -> None:
    for silent, first, last in _runs(traces.silence.tolist()):
        if silent:
            axes.axvspan(*_span(traces, first, last), color="#EDEDED", linewidth=0, zorder=0)


def _runs(values: list) -> list[tuple[Any, int, int]]:
    """Find runs of equal values; return (value, first index, last index) for each.

    Example
    -------
    >>> _runs(["I", "I", "", "II"])
    [('I', 0, 1), ('', 2, 2), ('II', 3, 3)]
    """
    found: list[tuple[Any, int, int]] = []
    for index, value in enumerate(values):
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1], index)
        else:
            found.append((value, index, index))
    return found


def _span(traces: Traces, first: int, last: int) -> tuple[float, float]:
    """Return start and end of a range of steps in seconds; outer steps extend to the edges."""
    half = traces.width / 2
    times = traces.times
    begin = 0.0 if first == 0 else times[first] - half
    end = traces.duration if last == len(times) - 1 else times[last] + half
    return begin, end


def _time_axis(axes: Axes, duration: float) -> None:
    """Set ticks at round times."""
    hours = duration >= 3600
    step = next((tick for tick in TICKS if duration / tick <= 13), 86400)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value, hours=hours)))
    axes.set_xlim(0, max(duration, 1e-3))
    axes.set_xlabel(f"time ({'h:mm' if hours else 'm:ss'})", loc="right")


def tick_text(seconds: float, *, hours: bool) -> str:
    """Format a time as ``h:mm`` if ``hours`` is true, otherwise as ``m:ss``.

    Example
    -------
    >>> tick_text(5400, hours=True), tick_text(90, hours=False)
    ('1:30', '1:30')
    """
    total = round(seconds / 60) if hours else round(seconds)
    return f"{total // 60}:{total % 60:02d}"
