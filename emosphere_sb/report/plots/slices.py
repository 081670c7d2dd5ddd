"""Plot the CCC of subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import COLOURS, GREY, TITLES, with_plot_style
from emosphere_sb.results.number_format import format_count, is_finite_interval

SUBGROUP_TITLES = {
    "gender": "By gender",
    "speaker": "By speaker",
    "duration": "By duration (s)",
    "emotion": "By emotion class",
    "region": "By true region",
    "raters": "By number of raters",
}
"""Titles of the kinds of subgroups, in report order."""

MIN_BAR = 20
"""Number of utterances below which the CCC of a subgroup is not drawn."""


def has_bars(parts: Sequence[Mapping]) -> bool:
    """Return whether any subgroup has at least :data:`MIN_BAR` utterances.

    Example
    -------
    >>> has_bars([{"utterances": 3}, {"utterances": 20}]), has_bars([{"utterances": 19}])
    (True, False)
    """
    return any(part["utterances"] >= MIN_BAR for part in parts)


@with_plot_style
def plot_subgroups(
    parts: Sequence[Mapping], metrics: Mapping | None = None, *, title: str
) -> Figure:
    """Plot the CCC of each subgroup as a bar with its confidence interval.

    Arguments
    ---------
    parts : sequence of mapping
        Subgroups with ``value``, ``utterances``, ``metrics``, and ``intervals`` or ``None``.
    metrics : mapping, optional
        Metrics of the entire set, marked by dashed lines.
    title : str
        Title of the plot.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels: one per dimension, and one for the mean. An undefined CCC, and subgroups of
        fewer than 20 utterances, are marked and have no bar.
    """
    height = 1.25 + 0.3 * max(len(parts), 2)
    figure = Figure(figsize=(10.6, height), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True, sharex=True)
    for axes, name in zip(panels, COLOURS, strict=True):
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)  # the line at 0 replaces it
        axes.axvline(0, color=GREY, linewidth=0.8)
        for row, part in enumerate(parts):
            _bar(axes, row, part, name)
        overall = get_ccc(metrics, name) if metrics else None
        if overall is not None:
            axes.axvline(overall, color="#111111", linewidth=1, linestyle=(0, (2, 2)), zorder=3)
        axes.set(title=TITLES[name], xlabel="CCC")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(parts)), [_label(part) for part in parts])
    panels[0].set_ylim(len(parts) - 0.4, -0.6)
    dashed = " (dashed: entire set)" if metrics else ""
    figure.suptitle(f"{title}{dashed}", x=0.01, ha="left", fontsize=10.5)
    return figure


def get_ccc(metrics: Mapping, name: str) -> float | None:
    """Return the CCC of a dimension or ``mean_ccc``; ``None`` if undefined."""
    value = metrics.get(name) if name == "mean_ccc" else metrics.get(name, {}).get("ccc")
    return None if value is None or not np.isfinite(value) else float(value)


def get_ccc_interval(intervals: Mapping | None, name: str) -> Sequence[float] | None:
    """Return the confidence interval of a CCC; ``None`` if undefined."""
    if not intervals:
        return None
    ends = intervals.get(name) if name == "mean_ccc" else (intervals.get(name) or {}).get("ccc")
    return ends if is_finite_interval(ends) else None


def _label(part: Mapping) -> str:
    return f"{part['value'] or 'unknown'} (n = {format_count(part['utterances'])})"


def _bar(axes: Axes, row: int, part: Mapping, name: str) -> None:
    if part["utterances"] < MIN_BAR:
        axes.text(0, row, f" n < {MIN_BAR}", va="center", fontsize=8, color=GREY)
        return
    value = get_ccc(part["metrics"], name)
    if value is None:
        axes.text(0, row, " undefined", va="center", fontsize=8, color=GREY)
        return
    axes.barh(row, value, height=0.64, color=COLOURS[name], alpha=0.75)
    ends = get_ccc_interval(part.get("intervals"), name)
    if ends is not None:
        axes.plot(ends, [row, row], color="#222222", linewidth=1.3, zorder=4)
