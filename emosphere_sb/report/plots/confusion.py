"""Plot confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import add_colour_bar, annotate_empty, with_plot_style
from emosphere_sb.results.number_format import format_count

MAX_ANNOTATED_CLASSES = 12
"""Maximum number of classes for which cells are annotated with share and count."""


@with_plot_style
def plot_confusion(matrix: Mapping, *, title: str, classes: str = "region") -> Figure:
    """Plot a confusion matrix with counts and row-wise shares.

    Arguments
    ---------
    matrix : mapping
        ``classes`` (class names) and ``counts``, shape (true class, predicted class).
    title : str
        Title of the plot.
    classes : str
        Kind of classes for the axis labels: ``region`` or ``emotion``.

    Returns
    -------
    matplotlib.figure.Figure
        For up to 12 classes, one panel coloured by share, with share and count in each cell. For
        more classes, two panels: counts on a logarithmic scale, and shares. Rows of classes that do
        not occur are white.

    Raises
    ------
    ValueError
        If ``counts`` is not a square matrix with one row per class.
    """
    names, counts = list(matrix["classes"]), np.asarray(matrix["counts"], dtype=int)
    if counts.shape != (len(names), len(names)):
        raise ValueError(
            f"counts must have shape ({len(names)}, {len(names)}), true classes in rows and "
            f"predicted classes in columns; found {counts.shape}."
        )
    shares = row_shares(counts)
    if len(names) <= MAX_ANNOTATED_CLASSES:
        return _plot_annotated_matrix(names, counts, shares, title, classes)
    return _dense(names, counts, shares, title, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; NaN if the sum is 0.

    Example
    -------
    >>> row_shares(np.array([[3, 1], [0, 0]])).tolist()
    [[0.75, 0.25], [nan, nan]]
    """
    sums = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)


def _plot_annotated_matrix(names, counts, shares, title: str, classes: str) -> Figure:
    size = 1.9 + 0.68 * len(names)
    figure = Figure(figsize=(size + 1.2, size), layout="constrained")
    axes = figure.subplots()
    _shares(figure, axes, shares)
    for row, column in np.argwhere(np.isfinite(shares)):
        share, count = shares[row, column], counts[row, column]
        shade = "white" if share > 0.55 else "#222222" if count else "#AAAAAA"
        axes.text(column, row - 0.14, f"{100 * share:.0f}%", ha="center", va="center", color=shade)
        axes.text(column, row + 0.22, format_count(int(count)), ha="center", va="center",
                  color=shade, fontsize=7.5)  # fmt: skip
    ticks = range(len(names))
    longest = max(map(len, names), default=0)
    axes.set_xticks(ticks, names, rotation=45 if longest > 5 else 0,
                    ha="right" if longest > 5 else "center")  # fmt: skip
    sums = [format_count(int(total)) for total in counts.sum(axis=1)]
    axes.set_yticks(ticks, [f"{n} (n = {total})" for n, total in zip(names, sums, strict=True)])
    axes.tick_params(length=0)
    axes.set(title=title, xlabel=f"predicted {classes}", ylabel=f"true {classes}")
    return figure


def _dense(names, counts, shares, title: str, classes: str) -> Figure:
    figure = Figure(figsize=(11.4, 5.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    if counts.max() > 0:
        cells = np.ma.masked_equal(counts, 0)
        norm = LogNorm(vmin=1, vmax=max(int(counts.max()), 2))
        image = left.imshow(cells, cmap="Blues", norm=norm, interpolation="nearest")
        add_colour_bar(figure, left, image, "utterances")
    else:
        annotate_empty(left, "no utterances")
    # With many classes, no share is close to 1.
    _shares(figure, right, shares, most=float(np.nanmax(shares, initial=0.01)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    for axes, what in ((left, "counts"), (right, "shares of the true class")):
        # Rings of regions have 12 (of 72), 8 (of 32) or 6 (of 18) classes.
        step = next((step for step in (12, 8, 6) if len(names) % step == 0), 4)
        ticks = range(0, len(names), step if len(names) > 20 else 2)
        axes.set_xticks(ticks, [names[tick] for tick in ticks], rotation=60, ha="right", fontsize=8)
        axes.set_yticks(ticks, [names[tick] for tick in ticks], fontsize=8)
        axes.set_title(f"{what} ({len(names)} {classes}s)")
        axes.set(xlabel=f"predicted {classes}", ylabel=f"true {classes}")
    return figure


def _shares(figure: Figure, axes: Axes, shares: np.ndarray, *, most: float = 1.0) -> None:
    image = axes.imshow(
        np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=most, interpolation="nearest"
    )
    add_colour_bar(figure, axes, image, "share of the true class")
    for spine in axes.spines.values():
        spine.set_visible(False)
