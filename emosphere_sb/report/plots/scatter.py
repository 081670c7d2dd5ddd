"""Predicted against true, a panel a dimension."""

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
    colour_bar,
    nothing,
    styled,
)
from emosphere_sb.results.number_format import count_text, figure_text
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

DENSE = 1500
"""From so many points on their density is drawn and not the points."""


@styled
def predicted_against_true(
    table: pd.DataFrame, figures: Mapping, *, scale: Scale | None = None, name: str = ""
) -> Figure:
    """Predictions over the truth with the line on which both are equal, for every dimension.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it; utterances without a label of a dimension are left out of
        its panel and counted there.
    figures : mapping
        Of the same table, as ``report.figures.figures`` gives them: the CCC in the titles.
    scale : Scale, optional
        The corpus's: the panels cover it, its ends are marked.
    name : str
        Of the set, for the figure's title.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels. Points are drawn up to 1,500, from there on hexagons coloured by the
        logarithm of the number of utterances in them.
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
            nothing(axes, "no labels")
        axes.set_title(f"{TITLES[dimension]}: CCC {figure_text(_ccc(figures, dimension))}")
        axes.set_xlabel(f"true {dimension}{_span(scale)}\n{_counted(known)}")
        axes.set_ylabel(f"predicted {dimension}")
    if name:
        figure.suptitle(f"Predicted against true, {name}", x=0.01, ha="left", fontsize=10.5)
    return figure


def _ccc(figures: Mapping, dimension: str) -> float | None:
    return figures.get(dimension, {}).get("ccc")


def _span(scale: Scale | None) -> str:
    return "" if scale is None else f" (scale {scale.low:g} to {scale.high:g})"


def _counted(known: np.ndarray) -> str:
    unknown = int((~known).sum())
    text = f"n = {count_text(int(known.sum()))}"
    return text + (f", {count_text(unknown)} without a label" if unknown else "")


def _limits(table: pd.DataFrame, scale: Scale | None) -> tuple[float, float]:
    """The same ends for both axes of all panels: the scale, and whatever lies off it."""
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
    if len(true) < DENSE:
        axes.scatter(true, predicted, s=11, color=colour, alpha=0.4, linewidths=0, zorder=2)
        return
    ramp = LinearSegmentedColormap.from_list(dimension, ["#F2F2F2", colour, "#101010"])
    cells = axes.hexbin(
        true, predicted, gridsize=34, extent=(*limits, *limits), bins="log", mincnt=1, cmap=ramp,
        linewidths=0.1, zorder=2,
    )  # fmt: skip
    colour_bar(axes.figure, axes, cells, "utterances")
