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
from emosphere_sb.results.number_format import MINUS, format_signed
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.sphere.grid import RegionPartition

TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200)
"""Candidate distances between time ticks in seconds."""
MAX_CLEAR = 600
"""Number of time steps above which the thin line is fainter, so that it does not hide the thick."""
MAX_NAMED_REGIONS = 8
"""Maximum number of regions with individual colours; less frequent regions share one colour."""
LEGEND_COLUMNS = 5
"""Columns of the legend of the regions, to the left of the label of the time axis."""


@with_plot_style
def timeline_plot(traces: Traces, *, about: Any, title: str, window: float) -> Figure:
    """Plot valence, arousal and dominance over time.

    Arguments
    ---------
    traces : Traces
        Timeline of the recording.
    about : ModelInfo
        Information about the model; its label scale is shown on the right axis unless it is -1
        to 1.
    title : str
        Title of the plot.
    window : float
        Window length in seconds.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with a shared time axis. Up to 60 windows are drawn as points; a single one has
        its value next to it, and no line. With more windows, thin lines show individual windows, or
        their range if several fall into one time step, and thick lines a moving average over 1/40
        of the recording, or over two windows if these are longer. Skipped silence and silent
        windows are grey. The band at the bottom shows the region of the thick line, or else of each
        window.
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    heights = [3, 3, 3, 0.5]
    panels = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    smoothing = traces.smoothing_seconds(window)
    limit = _limit(traces)
    for column, (axes, name) in enumerate(zip(panels[:3], DIMENSIONS, strict=True)):
        _panel(axes, traces, column, name, smoothing)
        axes.set_ylim(-limit, limit)
        if not about.scale.is_normalised:  # otherwise, both axes would be the same
            _scale_axis(axes, about.scale, reverse=name in about.scale.reversed)
    _band(panels[3], traces, about, smoothing)
    for axes in panels:
        _grey(axes, traces)
    _time_axis(panels[3], traces.duration)
    figure.get_layout_engine().set(rect=(0, 0.035, 1, 0.965))  # leaves space for the footnote
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    add_footnote(figure, "  ·  ".join([about.name, *_explanations(traces, window, smoothing)]))
    return figure


def _explanations(traces: Traces, window: float, smoothing: float | None) -> list[str]:
    """Explain lines and colours, for the footnote."""
    if len(traces.times) == 1:
        texts = [f"point: window of {min(window, round(traces.duration, 2)):g} s"]
    elif smoothing is None:
        texts = [f"points: windows of {window:g} s"]
    else:
        texts = [
            f"thin: windows of {window:g} s",
            f"thick, and its region: moving average over {clock(smoothing)}",
        ]
    grey = ["skipped silence"] if traces.silence.any() else []
    grey += ["silent, values are meaningless"] if traces.silence_warnings.any() else []
    return texts + ([f"grey: {'; '.join(grey)}"] if grey else [])


def _limit(traces: Traces) -> float:
    """Return the y limit of all panels: 1, or more if predictions exceed it."""
    low, high = traces.ranges
    reach = np.nanmax(np.abs([low, high])) if np.isfinite(low).any() else 1.0
    return max(1.0, 1.05 * float(reach))


def _panel(axes: Axes, traces: Traces, column: int, name: str, smoothing: float | None) -> None:
    times, colour, values = traces.times, COLOURS[name], traces.means[:, column]
    low, high = (edge[:, column] for edge in traces.ranges)
    axes.axhline(0, color=GREY, linewidth=0.8)
    if smoothing is None:
        axes.plot(times, values, color=colour, linewidth=1.6, marker="o", markersize=4)
    else:
        axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
        faint = 0.45 if len(times) <= MAX_CLEAR else 0.25
        axes.plot(times, values, color=colour, alpha=faint, linewidth=0.7)
        axes.plot(times, traces.smoothed(smoothing)[:, column], color=colour, linewidth=2.2)
    axes.set_title(TITLES[name], color=colour)
    axes.grid(axis="both")
    if not np.isfinite(low).any():
        annotate_empty(axes, "no predictions")
    elif len(times) == 1:
        axes.annotate(
            format_signed(values[0]), (times[0], values[0]), xytext=(0, 7), ha="center",
            textcoords="offset points", color=colour, fontweight="bold",
        )  # fmt: skip


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
    ends = f"{scale.low:g} to {scale.high:g}".replace("-", MINUS)
    right.set_ylabel(ends, fontsize=8, color=GREY)
    right.spines["right"].set_visible(False)


def _band(axes: Axes, traces: Traces, about: Any, smoothing: float | None) -> None:
    """Draw the regions as a colour band, with a legend for the most frequent ones."""
    grid = RegionPartition(about.region_step, about.centre_radius)
    regions = traces.regions
    if smoothing is not None:  # those of the windows change too often to be seen
        indices = grid.assign(traces.smoothed(smoothing))
        regions = ["" if index < 0 else grid.names[index] for index in indices]
    counts = {name: regions.count(name) for name in dict.fromkeys(regions) if name}
    named = sorted(counts, key=counts.__getitem__, reverse=True)[:MAX_NAMED_REGIONS]
    colours = _colours(named, grid)
    for name, first, last in _runs(regions):
        if name:
            axes.axvspan(*_span(traces, first, last), color=colours.get(name, FAINT), linewidth=0)
    axes.set_yticks([])
    axes.set_ylabel("region", rotation=0, ha="right", va="center", fontsize=8.5)
    patches = [Patch(color=colours[name], label=_label(name, grid)) for name in named]
    if len(counts) > len(named):
        patches.append(Patch(color=FAINT, label=f"{len(counts) - len(named)} more"))
    if patches:
        axes.legend(
            handles=patches, loc="upper left", bbox_to_anchor=(0, -1.05), ncols=LEGEND_COLUMNS,
            fontsize=8.5, handlelength=1.0, columnspacing=1.2, borderpad=0, borderaxespad=0,
        )  # fmt: skip


def _label(name: str, grid: RegionPartition) -> str:
    """Return the description of an octant, such as ``II (+V −A +D)``; otherwise the name."""
    if grid.step != 90:
        return name
    return grid.descriptions[grid.names.index(name)].replace("-", MINUS)


def _colours(named: list[str], grid: RegionPartition) -> dict[str, Any]:
    """Choose the colour of each region, paler than the lines; octants have fixed colours."""
    order = list(grid.names) if len(grid) <= MAX_NAMED_REGIONS else named
    known = dict(zip(order, palette(max(1, len(order))), strict=False))
    return {name: tuple(0.35 + 0.65 * part for part in to_rgb(known[name])) for name in named}


def _grey(axes: Axes, traces: Traces) -> None:
    """Mark skipped and silent windows."""
    for silent, first, last in _runs((traces.silence | traces.silence_warnings).tolist()):
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
