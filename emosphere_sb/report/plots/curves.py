"""Plot training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emosphere_sb.report.plots.style import COLOURS, GREY, TITLES, annotate_empty, with_plot_style
from emosphere_sb.results.number_format import format_score

LOSSES = {
    "train loss": ("total", "#333333"),
    "train regression_loss": ("VAD (1 - CCC, summed)", "#56B4E9"),
    "train auxiliary_loss": ("auxiliary", "#CC79A7"),
}
WEIGHT = "train weight"
WEIGHT_COLOUR = "#E69F00"


@with_plot_style
def plot_training_curves(log: Mapping[str, Sequence[float]], *, best: int | None = None) -> Figure:
    """Plot losses, CCC on the development set, and weight of the auxiliary loss by epoch.

    Arguments
    ---------
    log : mapping of str to sequence of float
        Training log as returned by ``read_train_log``.
    best : int, optional
        Epoch of the tested checkpoint, marked by a line.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with a shared epoch axis; two without an auxiliary loss.
    """
    weighted = WEIGHT in log
    heights = [3, 3, 1.4] if weighted else [3, 3]
    figure = Figure(figsize=(8.6, sum(heights) + 0.8), layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    epochs = np.asarray(log["epoch"], dtype=float)
    lines = {name: entry for name, entry in LOSSES.items() if name in log}
    _curves(panels[0], epochs, log, lines)
    panels[0].set(title="Training losses", ylabel="loss")
    development = {
        f"valid {name}": (TITLES[name], colour)
        for name, colour in COLOURS.items()
        if f"valid {name}" in log
    }
    _curves(panels[1], epochs, log, development)
    panels[1].set(title="Development set", ylabel="CCC")
    if weighted:
        _curves(panels[2], epochs, log, {WEIGHT: ("", WEIGHT_COLOUR)})
        panels[2].set(title="Weight of the auxiliary loss", ylabel="weight")
        panels[2].set_ylim(bottom=0, top=1.1 * max(1e-3, float(np.nanmax(log[WEIGHT]))))
    if best is not None:
        _mark(panels, log, best)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _curves(axes: Axes, epochs: np.ndarray, log: Mapping, lines: Mapping) -> None:
    """Plot several columns of the log in one panel, with a legend."""
    axes.grid(axis="y")
    for name, (label, colour) in lines.items():
        style = {"linewidth": 2.2 if label in ("total", "Mean") else 1.5, "color": colour}
        axes.plot(epochs, log[name], marker="o", markersize=3.5, label=label, **style)
    if not lines:
        annotate_empty(axes, "not in the log")
    elif any(label for label, _ in lines.values()):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _mark(panels: Sequence[Axes], log: Mapping, best: int) -> None:
    for axes in panels:
        axes.axvline(best, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
    scores = dict(zip(log["epoch"], log.get("valid mean_ccc", []), strict=False))
    score = f", mean CCC {format_score(scores[best])}" if best in scores else ""
    panels[1].set_title(f"Development set (tested: epoch {best}{score})")
