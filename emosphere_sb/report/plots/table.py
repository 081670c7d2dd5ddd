"""Plot a results table: one line per row, with confidence interval and seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emosphere_sb.report.plots.style import GREY, with_plot_style
from emosphere_sb.results.number_format import format_score, is_finite_interval

RUN_COLOUR, REFERENCE_COLOUR, PUBLISHED_COLOUR = "#0072B2", "#333333", "#D55E00"

TITLE_CHARACTERS = 30
"""Maximum length of a line in the title of one of several panels."""


@with_plot_style
def plot_table(
    rows: Sequence[Mapping] | Sequence[tuple[str, Sequence[Mapping]]],
    xlabel: str,
    *,
    title: str = "",
) -> Figure:
    """Plot the rows of a results table as points, with one panel per block of columns.

    Arguments
    ---------
    rows : sequence of mapping, or of (str, sequence of mapping)
        Rows of a single panel, or title and rows of several panels with the same labels in the
        same order. Each row has ``label``; ``mean`` over seeds, or ``None`` if it has not been run;
        ``interval`` (two ends or ``None``); ``seeds``, the score of each seed; ``published``, a
        score or ``None``; and ``reference``, whether other rows are compared with this one.
    xlabel : str
        Label of the x axes.
    title : str
        Title of the plot.

    Returns
    -------
    matplotlib.figure.Figure
        Plot with the first row at the top. Points are means, lines are intervals, small dots are
        seeds, open diamonds are published scores, and a dotted line marks the reference. Rows that
        have not been run are marked.

    Raises
    ------
    ValueError
        If the panels have different rows.
    """
    single = not rows or isinstance(rows[0], Mapping)
    panels = [("", list(rows))] if single else [(head, list(part)) for head, part in rows]
    labels = [row["label"] for row in panels[0][1]]
    for head, part in panels:
        if [row["label"] for row in part] != labels:
            raise ValueError(
                f"All panels must have the rows {', '.join(labels)}; found "
                f"{', '.join(row['label'] for row in part)} in {head!r}. Use mean=None for a row "
                "that has not been run."
            )
    height = 1.5 + 0.42 * max(len(labels), 2) + 0.3 * bool(title)
    figure = Figure(figsize=(8.6 if single else 3.4 + 3.6 * len(panels), height),
                    layout="constrained")  # fmt: skip
    for axes, (head, part) in zip(
        figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True
    ):
        # Long titles of neighbouring panels would touch.
        heading = textwrap.fill(head, TITLE_CHARACTERS) if len(panels) > 1 else head
        _panel(axes, part, xlabel if len(panels) == 1 else "", heading or title)
    above = title if panels[0][0] else ""
    if len(panels) > 1:  # labels below narrow panels would overlap
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
    # Means as text at the right, like the last column of a table.
    for place, row in enumerate(rows):
        if row["mean"] is not None:
            axes.text(1.01, place, format_score(row["mean"]), transform=axes.get_yaxis_transform(),
                      va="center", fontsize=9)  # fmt: skip


def _row(axes: Axes, place: int, row: Mapping) -> None:
    colour = REFERENCE_COLOUR if row["reference"] else RUN_COLOUR
    if row["reference"] and row["mean"] is not None:
        axes.axvline(row["mean"], color=GREY, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    seeds = np.asarray(row["seeds"], dtype=float)
    # Shifted, since the interval would hide them.
    axes.plot(seeds, np.full(seeds.size, place + 0.17), ".", color=colour, alpha=0.6, markersize=6)
    if is_finite_interval(row["interval"]):
        axes.plot(row["interval"], [place, place], color=colour, linewidth=2, alpha=0.85)
    if row["mean"] is not None:
        axes.plot(row["mean"], place, "o", color=colour, markersize=7.5, zorder=4)
    else:
        axes.text(0.01, place, "not run", transform=axes.get_yaxis_transform(), va="center",
                  fontsize=8.5, color=GREY)  # fmt: skip
    if row["published"] is not None:
        axes.plot(row["published"], place, "D", markerfacecolor="none",
                  markeredgecolor=PUBLISHED_COLOUR, markersize=7.5, markeredgewidth=1.5,
                  zorder=5)  # fmt: skip


def _marks(rows: Sequence[Mapping]) -> list[Line2D]:
    """Return legend handles for the elements that occur."""
    marks = []
    if any(row["mean"] is not None for row in rows):
        marks.append(
            Line2D([], [], marker="o", linestyle="", color=RUN_COLOUR, label="mean over seeds")
        )
    if any(row["mean"] is not None and row["reference"] for row in rows):
        marks.append(
            Line2D([], [], marker="o", linestyle="", color=REFERENCE_COLOUR, label="reference")
        )
    if any(is_finite_interval(row["interval"]) for row in rows):
        marks.append(Line2D([], [], color=RUN_COLOUR, linewidth=2, label="interval"))
    if any(len(row["seeds"]) for row in rows):
        marks.append(
            Line2D([], [], marker=".", linestyle="", color=RUN_COLOUR, alpha=0.5, label="seed")
        )
    if any(row["published"] is not None for row in rows):
        marks.append(Line2D([], [], marker="D", linestyle="", markerfacecolor="none",
                            markeredgecolor=PUBLISHED_COLOUR, label="published"))  # fmt: skip
    return marks
