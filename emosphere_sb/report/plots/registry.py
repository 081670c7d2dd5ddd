"""Plots of a report, with captions and alternative text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emosphere_sb.report.plots.confusion import plot_confusion
from emosphere_sb.report.plots.curves import WEIGHT, plot_training_curves
from emosphere_sb.report.plots.scatter import plot_predictions
from emosphere_sb.report.plots.slices import SUBGROUP_TITLES, get_ccc, has_bars, plot_subgroups
from emosphere_sb.report.plots.sphere import plot_sphere
from emosphere_sb.report.plots.style import COLOURS, render_png
from emosphere_sb.results.number_format import format_count, format_score
from emosphere_sb.scale import DIMENSIONS, Scale

CONFUSIONS = {
    "region_point": ("region", "Region of the predicted point"),
    "region_head": ("region", "Region predicted by the head"),
    "emotion_head": ("emotion", "Emotion predicted by the head"),
}
"""Kind of classes and title, by key of ``confusion``."""

MAX_ALT_PARTS = 40
"""Maximum number of subgroups in alternative text."""


@dataclass(frozen=True)
class Plot:
    """Plot with caption and alternative text.

    Arguments
    ---------
    name : str
        File name without suffix.
    set : str
        Name of the set; empty for training plots.
    section : str
        Section of the page: ``points``, ``sphere``, ``confusion``, ``slices`` or ``training``.
    figure : matplotlib.figure.Figure
        Drawn plot.
    caption : str
        Caption below the plot; empty if the explanations of the page describe it.
    alt : str
        Alternative text with the plotted values.
    """

    name: str
    set: str
    section: str
    figure: Figure
    caption: str
    alt: str

    @cached_property
    def png(self) -> bytes:
        """Content of a PNG file, rendered on first use."""
        return render_png(self.figure)


def draw_plots(
    report: Mapping, tables: Mapping[str, pd.DataFrame], log: Mapping | None = None
) -> Iterator[Plot]:
    """Draw the plots of a report one by one.

    Arguments
    ---------
    report : mapping
        Content of a report (see :func:`emosphere_sb.report.html.page.run_page`).
    tables : mapping of str to pandas.DataFrame
        Predictions by set.
    log : mapping, optional
        Training log as returned by ``read_train_log``.

    Yields
    ------
    Plot
        Plots of each set in report order, then the training plot. A kind of subgroup without any
        bar (see :func:`emosphere_sb.report.plots.slices.has_bars`) has no plot.
    """
    for name, evaluation in report["sets"].items():
        if name in tables:
            yield from _point_plots(name, evaluation, tables[name], report_scale(report))
        for key, matrix in (evaluation.get("confusion") or {}).items():
            yield _confusion_plot(name, key, matrix, evaluation.get("runs", 1))
        for key, parts in (evaluation.get("slices") or {}).items():
            if has_bars(parts):
                yield _subgroup_plot(name, key, parts, evaluation["metrics"])
    if log is not None:
        yield _training_plot(log, report["protocol"].get("best_epoch"))


def report_scale(report: Mapping) -> Scale | None:
    """Return the label scale of the corpus; ``None`` if unknown (runs of older versions)."""
    fields = report["protocol"].get("scale")
    return None if fields is None else Scale.from_dict(fields)


def missing_sphere_reason(table: pd.DataFrame, scale: Scale | None) -> str | None:
    """Return the reason why a set has no sphere plot; ``None`` if it has one."""
    if scale is None:
        return "No sphere plot: the label scale is not recorded."
    if not {"region", "region_point"} <= set(table):
        return "No sphere plot: the predictions have no regions."
    return None


def _point_plots(
    name: str, evaluation: Mapping, table: pd.DataFrame, scale: Scale | None
) -> Iterator[Plot]:
    metrics, runs = evaluation["metrics"], evaluation.get("runs", 1)
    several = f" The CCC is the mean over {runs} runs." if runs > 1 else ""
    scores = "; ".join(f"{d} CCC {format_score(get_ccc(metrics, d))}" for d in DIMENSIONS)
    size = f"{format_count(len(table))} utterances"
    yield Plot(
        name=f"{name}_predicted_against_true",
        set=name,
        section="points",
        figure=plot_predictions(table, metrics, scale=scale, name=name),
        caption="Solid lines: ends of the label scale. Dashed line: prediction equals truth."
        + several,
        alt=f"Predicted versus true values of {name}, {size}: {scores}.",
    )
    if missing_sphere_reason(table, scale) is not None:
        return
    known = table[(table["region"] != "") & (table["region_point"] != "")]
    share = float((known["region"] == known["region_point"]).mean()) if len(known) else None
    correct = "" if share is None else f"; {100 * share:.1f}% are in the true region"
    yield Plot(
        name=f"{name}_sphere",
        set=name,
        section="sphere",
        figure=plot_sphere(table, scale=scale, name=name),
        caption="True (left) and predicted (right) directions from neutral, coloured by region. "
        "Valence points up.",
        alt=f"True and predicted directions of {name} on the sphere, {size}{correct}.",
    )


def _confusion_plot(name: str, key: str, matrix: Mapping, runs: int) -> Plot:
    classes, title = CONFUSIONS.get(key, ("class", key.replace("_", " ")))
    counts = np.asarray(matrix["counts"], dtype=int)
    total, correct = int(counts.sum()), int(counts.trace())
    accuracy = f", accuracy {100 * correct / total:.1f}%" if total else ""
    several = f", summed over {runs} runs" if runs > 1 else ""
    excluded = matrix.get("left_out") or 0
    unknown = (
        f" Excluded because of an unknown class: {format_count(excluded)}." if excluded else ""
    )
    size = f"{format_count(total)} utterances{several}, {len(matrix['classes'])} classes{accuracy}"
    return Plot(
        name=f"{name}_confusion_{key}",
        set=name,
        section="confusion",
        figure=plot_confusion(matrix, title=f"{title}, {name}", classes=classes),
        caption=f"{title} (columns) versus true class (rows): {size}. Shares are per row."
        + unknown,
        alt=f"Confusion matrix of {name}, {title.lower()}: {size}.",
    )


def _subgroup_plot(name: str, key: str, parts: list, metrics: Mapping) -> Plot:
    title = SUBGROUP_TITLES.get(key, f"By {key.replace('_', ' ')}")
    scores = [
        f"{part['value'] or 'unknown'} {format_score(get_ccc(part['metrics'], 'mean_ccc'))}"
        for part in parts[:MAX_ALT_PARTS]
    ]
    more = f"; and {len(parts) - MAX_ALT_PARTS} more" if len(parts) > MAX_ALT_PARTS else ""
    return Plot(
        name=f"{name}_by_{key}",
        set=name,
        section="slices",
        figure=plot_subgroups(parts, metrics, title=f"{title}, {name}"),
        caption="",
        alt=f"Mean CCC of {name} {title.lower()}: {'; '.join(scores)}{more}.",
    )


def _training_plot(log: Mapping, best: int | None) -> Plot:
    epochs = len(log["epoch"])
    last = ", ".join(
        f"{name.replace('_', ' ')} {format_score(log[f'valid {name}'][-1])}"
        for name in COLOURS
        if f"valid {name}" in log
    )
    tested = "" if best is None else f" Epoch {best} was tested."
    ended = f" Last epoch: {last}." if last else ""
    removed = _auxiliary_end(log)
    return Plot(
        name="training",
        set="",
        section="training",
        figure=plot_training_curves(log, best=best),
        caption="From train_log.txt (three significant digits)." + tested
        + ("" if removed is None else f" Auxiliary loss removed after epoch {removed}."),
        alt=f"Training losses and CCC on the development set over {epochs} epochs.{ended}{tested}",
    )  # fmt: skip


def _auxiliary_end(log: Mapping) -> int | None:
    """Return the last epoch with an auxiliary loss; ``None`` if it was never removed."""
    if WEIGHT not in log or not np.isnan(log[WEIGHT][-1]):
        return None
    used = [epoch for epoch, w in zip(log["epoch"], log[WEIGHT], strict=True) if not np.isnan(w)]
    return int(max(used, default=0))
