"""CCC of parts of a set: by gender, speaker, duration, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import COLOURS, GREY, TITLES, styled
from emosphere_sb.results.number_format import count_text, known_interval

SLICES = {
    "gender": "By gender",
    "speaker": "By speaker",
    "duration": "By duration",
    "emotion": "By emotion class",
    "region": "By true region",
    "raters": "By number of raters",
}
"""Titles of the slices of a report, in their order."""


@styled
def slice_bars(parts: Sequence[Mapping], whole: Mapping | None = None, *, title: str) -> Figure:
    """CCC of every part as a bar with its interval, a panel a dimension and one for their mean.

    Arguments
    ---------
    parts : sequence of mapping
        Each with ``value``, ``utterances``, ``figures``, and ``intervals`` or ``None``.
    whole : mapping, optional
        Figures of the whole set: a line marks them.
    title : str
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels side by side. Where the CCC of a part is not defined it says so.
    """
    height = 1.25 + 0.3 * max(len(parts), 2)
    figure = Figure(figsize=(10.6, height), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True, sharex=True)
    for axes, name in zip(panels, COLOURS, strict=True):
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)  # the line at 0 is the one that counts
        axes.axvline(0, color=GREY, linewidth=0.8)
        for row, part in enumerate(parts):
            _bar(axes, row, part, name)
        overall = ccc(whole, name) if whole else None
        if overall is not None:
            axes.axvline(overall, color="#111111", linewidth=1, linestyle=(0, (2, 2)), zorder=3)
        axes.set(title=TITLES[name], xlabel="CCC")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(parts)), [_label(part) for part in parts])
    panels[0].set_ylim(len(parts) - 0.4, -0.6)
    dashed = " (dashed: the whole set)" if whole else ""
    figure.suptitle(f"{title}{dashed}", x=0.01, ha="left", fontsize=10.5)
    return figure


def ccc(figures: Mapping, name: str) -> float | None:
    """CCC of a dimension or of ``mean_ccc``; ``None`` where it is not defined."""
    value = figures.get(name) if name == "mean_ccc" else figures.get(name, {}).get("ccc")
    return None if value is None or not np.isfinite(value) else float(value)


def ccc_interval(intervals: Mapping | None, name: str) -> Sequence[float] | None:
    """Its interval; ``None`` where there is none."""
    if not intervals:
        return None
    ends = intervals.get(name) if name == "mean_ccc" else (intervals.get(name) or {}).get("ccc")
    return ends if known_interval(ends) else None


def _label(part: Mapping) -> str:
    return f"{part['value'] or 'unknown'} (n = {count_text(part['utterances'])})"


def _bar(axes: Axes, row: int, part: Mapping, name: str) -> None:
    value = ccc(part["figures"], name)
    if value is None:
        axes.text(0, row, " not defined", va="center", fontsize=8, color=GREY)
        return
    axes.barh(row, value, height=0.64, color=COLOURS[name], alpha=0.75)
    ends = ccc_interval(part.get("intervals"), name)
    if ends is not None:
        axes.plot(ends, [row, row], color="#222222", linewidth=1.3, zorder=4)
