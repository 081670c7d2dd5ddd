"""Plot predicted versus true values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import (
    COLOURS,
    FAINT,
    GREY,
    TITLES,
    add_colour_bar,
    annotate_empty,
    with_plot_style,
)
from emosphere_sb.results.number_format import format_count, format_score
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

MIN_HEXBIN_POINTS = 1500
"""Minimum number of points for which densities are plotted instead of points."""


@with_plot_style
def plot_predictions(
    table: pd.DataFrame, metrics: Mapping, *, scale: Scale | None = None, name: str = ""
) -> Figure:
    """Plot predicted versus true values, with the identity line, for each dimension.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``. Utterances without a label are excluded
        from the panel of that dimension; their number is shown.
    metrics : mapping
        Metrics of the table, as returned by ``prediction_metrics``. Titles show the CCC.
    scale : Scale, optional
        Label scale of the corpus, which determines the axis limits.
    name : str
        Name of the set for the title.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with points, or with hexagonal bins on a logarithmic colour scale for 1,500 or
        more points.
    """
    figure = Figure(figsize=(10.6, 3.7), layout="constrained")
    low, high = _limits(table, scale)
    for axes, dimension in zip(figure.subplots(1, 3), DIMENSIONS, strict=True):
        true = table[dimension].to_numpy(dtype=float)
        predicted = table[f"{dimension}_predicted"].to_numpy(dtype=float)
        known = np.isfinite(true) & np.isfinite(predicted)
        _frame(axes, low, high, scale)
        if known.any():
            _points(axes, true[known], predicted[known], dimension, (low, high))
        else:
            annotate_empty(axes, "no labels")
        axes.set_title(f"{TITLES[dimension]}: CCC {format_score(_ccc(metrics, dimension))}")
        axes.set_xlabel(f"true {dimension}{_range(scale)}\n{_counts(known)}")
        axes.set_ylabel(f"predicted {dimension}")
    if name:
        figure.suptitle(f"Predicted versus true values, {name}", x=0.01, ha="left", fontsize=10.5)
    return figure


def _ccc(metrics: Mapping, dimension: str) -> float | None:
    return metrics.get(dimension, {}).get("ccc")


def _range(scale: Scale | None) -> str:
    return "" if scale is None else f" (scale {scale.low:g} to {scale.high:g})"


def _counts(known: np.ndarray) -> str:
    unknown = int((~known).sum())
    text = f"n = {format_count(int(known.sum()))}"
    return text + (f", {format_count(unknown)} without a label" if unknown else "")


def _limits(table: pd.DataFrame, scale: Scale | None) -> tuple[float, float]:
    """Return common axis limits for all panels: the label scale, extended to values outside it."""
    values = table[[*DIMENSIONS, *PREDICTED]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    ends = [*([scale.low, scale.high] if scale else []), *values.tolist()] or [0.0, 1.0]
    margin = 0.03 * (max(ends) - min(ends) or 1.0)
    return min(ends) - margin, max(ends) + margin


def _frame(axes: Axes, low: float, high: float, scale: Scale | None) -> None:
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    for end in (scale.low, scale.high) if scale else ():
        axes.axhline(end, color=FAINT, linewidth=0.8, zorder=0)
        axes.axvline(end, color=FAINT, linewidth=0.8, zorder=0)


def _points(
    axes: Axes, true: np.ndarray, predicted: np.ndarray, dimension: str, limits: tuple
) -> None:
    colour = COLOURS[dimension]
    if len(true) < MIN_HEXBIN_POINTS:
        axes.scatter(true, predicted, s=11, color=colour, alpha=0.4, linewidths=0, zorder=2)
        return
    ramp = LinearSegmentedColormap.from_list(dimension, ["#F2F2F2", colour, "#101010"])
    cells = axes.hexbin(
        true, predicted, gridsize=34, extent=(*limits, *limits), bins="log", mincnt=1, cmap=ramp,
        linewidths=0.1, zorder=2,
    )  # fmt: skip
    add_colour_bar(axes.figure, axes, cells, "utterances")
