"""A table of runs as a picture: a line a row, with its interval and its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emosphere_sb.report.plots.style import GREY, styled
from emosphere_sb.results.number_format import figure_text, known_interval

OURS, REFERENCE, PUBLISHED = "#0072B2", "#333333", "#D55E00"


@styled
def table_figure(
    rows: Sequence[Mapping] | Sequence[tuple[str, Sequence[Mapping]]],
    xlabel: str,
    *,
    title: str = "",
) -> Figure:
    """Rows of a table as points over one axis, a panel a block of its columns.

    Arguments
    ---------
    rows : sequence of mapping, or of (str, sequence of mapping)
        The rows of one panel, or for each of several panels its title and its rows, which have the
        same labels in the same order. Each row has ``label``; ``mean`` over seeds or ``None`` (not
        run); ``interval``, two ends, or ``None``; ``seeds``, the figure of each; ``published``, a
        figure or ``None``; ``reference``, whether the others are compared with this row.
    xlabel : str
        What the axes show.
    title : str
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The first row on top. A point is the mean, its line the interval, small dots are seeds, an
        open diamond is the published figure; a dotted line goes through the reference. A row that
        has not been run says so. Panels stand side by side, each with an axis of its own.

    Raises
    ------
    ValueError
        If the panels do not have the same rows.
    """
    single = not rows or isinstance(rows[0], Mapping)
    panels = [("", list(rows))] if single else [(head, list(part)) for head, part in rows]
    labels = [row["label"] for row in panels[0][1]]
    for head, part in panels:
        if [row["label"] for row in part] != labels:
            raise ValueError(
                f"Every panel must have the rows {', '.join(labels)}; found "
                f"{', '.join(row['label'] for row in part)} in {head!r}. Give a row that has not "
                "been run with mean=None."
            )
    height = 1.5 + 0.42 * max(len(labels), 2) + 0.3 * bool(title)
    figure = Figure(figsize=(8.6 if single else 3.4 + 3.6 * len(panels), height),
                    layout="constrained")  # fmt: skip
    for axes, (head, part) in zip(
        figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True
    ):
        _panel(axes, part, xlabel if len(panels) < 3 else "", head or title)
    above = title if panels[0][0] else ""
    if len(panels) > 2:  # below the panels one label would run into the next
        above = f"{title}: {xlabel}" if title else xlabel
    if above:
        figure.suptitle(above, x=0.01, ha="left", fontsize=10.5)
    if marks := _marks([row for _, part in panels for row in part]):
        figure.legend(handles=marks, loc="outside lower left", ncols=len(marks), fontsize=8.5)
    return figure


def _panel(axes: Axes, rows: Sequence[Mapping], xlabel: str, title: str) -> None:
    axes.grid(axis="x")
    for place, row in enumerate(rows):
        _row(axes, place, row)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel=xlabel, title=title)
    axes.margins(x=0.12)
    # The figures in words stand at the right, as a table's last column.
    for place, row in enumerate(rows):
        if row["mean"] is not None:
            axes.text(1.01, place, figure_text(row["mean"]), transform=axes.get_yaxis_transform(),
                      va="center", fontsize=9)  # fmt: skip


def _row(axes: Axes, place: int, row: Mapping) -> None:
    colour = REFERENCE if row["reference"] else OURS
    if row["reference"] and row["mean"] is not None:
        axes.axvline(row["mean"], color=GREY, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    seeds = np.asarray(row["seeds"], dtype=float)
    # Beside the line, which would hide them.
    axes.plot(seeds, np.full(seeds.size, place + 0.17), ".", color=colour, alpha=0.6, markersize=6)
    if known_interval(row["interval"]):
        axes.plot(row["interval"], [place, place], color=colour, linewidth=2, alpha=0.85)
    if row["mean"] is not None:
        axes.plot(row["mean"], place, "o", color=colour, markersize=7.5, zorder=4)
    else:
        axes.text(0.01, place, "not run", transform=axes.get_yaxis_transform(), va="center",
                  fontsize=8.5, color=GREY)  # fmt: skip
    if row["published"] is not None:
        axes.plot(row["published"], place, "D", markerfacecolor="none", markeredgecolor=PUBLISHED,
                  markersize=7.5, markeredgewidth=1.5, zorder=5)  # fmt: skip


def _marks(rows: Sequence[Mapping]) -> list[Line2D]:
    """What the legend shows: what occurs."""
    marks = []
    if any(row["mean"] is not None for row in rows):
        marks.append(Line2D([], [], marker="o", linestyle="", color=OURS, label="mean over seeds"))
    if any(row["mean"] is not None and row["reference"] for row in rows):
        marks.append(Line2D([], [], marker="o", linestyle="", color=REFERENCE, label="reference"))
    if any(known_interval(row["interval"]) for row in rows):
        marks.append(Line2D([], [], color=OURS, linewidth=2, label="interval"))
    if any(len(row["seeds"]) for row in rows):
        marks.append(Line2D([], [], marker=".", linestyle="", color=OURS, alpha=0.5, label="seed"))
    if any(row["published"] is not None for row in rows):
        marks.append(Line2D([], [], marker="D", linestyle="", markerfacecolor="none",
                            markeredgecolor=PUBLISHED, label="published"))  # fmt: skip
    return marks
