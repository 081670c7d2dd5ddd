"""Which plots a report holds, and what they say to those who do not see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emosphere_sb.report.plots import all
from emosphere_sb.report.plots.curves import WEIGHT
from emosphere_sb.report.plots.slices import ccc
from emosphere_sb.report.plots.style import COLOURS
from emosphere_sb.results.number_format import count_text, figure_text
from emosphere_sb.scale import DIMENSIONS, Scale

CONFUSIONS = {
    "region_point": ("region", "Region of the regressed point"),
    "region_head": ("region", "Region by the head"),
    "emotion_head": ("emotion", "Emotion by the head"),
}
"""Key of ``confusion``: what the classes are, and whose they are."""

ROOM = 40
"""An alternative text names so many parts at most."""


@dataclass(frozen=True)
class Picture:
    """A plot with its words.

    Arguments
    ---------
    name : str
        File name without an ending: letters, digits, ``_``, ``-``.
    set : str
        The set that it shows; empty for the whole run.
    section : str
        Of the page: ``points``, ``sphere``, ``confusion``, ``slices`` or ``training``.
    figure : matplotlib.figure.Figure
        The plot.
    caption : str
        Below it.
    alt : str
        In place of it: the figures that it shows.
    """

    name: str
    set: str
    section: str
    figure: Figure
    caption: str
    alt: str

    @cached_property
    def png(self) -> bytes:
        """The plot as PNG, rendered once however often it is shown."""
        return all.png(self.figure)


def pictures(
    report: Mapping, tables: Mapping[str, pd.DataFrame], log: Mapping | None = None
) -> Iterator[Picture]:
    """Draw the plots of a report, one after the other.

    Arguments
    ---------
    report : mapping
        As :func:`emosphere_sb.report.html.page.run_page` takes it.
    tables : mapping of str to pandas.DataFrame
        Predictions by set.
    log : mapping, optional
        As ``training_log.read_log`` gives it.

    Yields
    ------
    Picture
        Of each set in the report's order, then of the training.
    """
    for name, evaluation in report["sets"].items():
        if name in tables:
            yield from _of_points(name, evaluation, tables[name], scale_of(report))
        for key, matrix in (evaluation.get("confusion") or {}).items():
            yield _of_confusion(name, key, matrix, evaluation.get("runs", 1))
        for key, parts in (evaluation.get("slices") or {}).items():
            if parts:
                yield _of_slices(name, key, parts, evaluation["figures"])
    if log is not None:
        yield _of_training(log, report["protocol"].get("best_epoch"))


def scale_of(report: Mapping) -> Scale | None:
    """The corpus's scale; ``None`` where the run is too old to say."""
    fields = report["protocol"].get("scale")
    return None if fields is None else Scale.from_dict(fields)


def without_sphere(table: pd.DataFrame, scale: Scale | None) -> str | None:
    """Why a set has no picture of the sphere; ``None`` where it has one."""
    if scale is None:
        return "The results do not say on which scale they are, so there is no sphere."
    if not {"region", "region_point"} <= set(table):
        return "The predictions have no regions, so there is no sphere."
    return None


def _of_points(
    name: str, evaluation: Mapping, table: pd.DataFrame, scale: Scale | None
) -> Iterator[Picture]:
    figures, runs = evaluation["figures"], evaluation.get("runs", 1)
    several = f" The CCC is the mean over {runs} runs." if runs > 1 else ""
    said = "; ".join(f"{d} CCC {figure_text(ccc(figures, d))}" for d in DIMENSIONS)
    size = f"{count_text(len(table))} utterances"
    yield Picture(
        name=f"{name}_predicted_against_true",
        set=name,
        section="points",
        figure=all.predicted_against_true(table, figures, scale=scale, name=name),
        caption="Each panel covers the label scale, whose ends are marked; on the dashed line "
        "prediction and truth are equal." + several,
        alt=f"Predicted against true values of {name}, {size}: {said}.",
    )
    if without_sphere(table, scale) is not None:
        return
    known = table[(table["region"] != "") & (table["region_point"] != "")]
    share = float((known["region"] == known["region_point"]).mean()) if len(known) else None
    right = "" if share is None else f"; {100 * share:.1f}% of them lie in their true region"
    yield Picture(
        name=f"{name}_sphere",
        set=name,
        section="sphere",
        figure=all.sphere(table, scale=scale, name=name),
        caption="Directions from neutral, true on the left, predicted on the right, coloured by "
        "region. Valence points up.",
        alt=f"True and predicted directions of {name} on the sphere, {size}{right}.",
    )


def _of_confusion(name: str, key: str, matrix: Mapping, runs: int) -> Picture:
    classes, title = CONFUSIONS.get(key, ("class", key.replace("_", " ")))
    counts = np.asarray(matrix["counts"], dtype=int)
    total, right = int(counts.sum()), int(counts.trace())
    accuracy = f", accuracy {100 * right / total:.1f}%" if total else ""
    several = f", summed over {runs} runs" if runs > 1 else ""
    lost = matrix.get("left_out") or 0
    unknown = f" Left out, a class not being known: {count_text(lost)}." if lost else ""
    size = f"{count_text(total)} utterances{several}, {len(matrix['classes'])} classes{accuracy}"
    return Picture(
        name=f"{name}_confusion_{key}",
        set=name,
        section="confusion",
        figure=all.confusion(matrix, title=f"{title}, {name}", classes=classes),
        caption=f"{title} (columns) against the truth (rows): {size}. Shares are those of the row."
        + unknown,
        alt=f"Confusion matrix of {name}, {title.lower()}: {size}.",
    )


def _of_slices(name: str, key: str, parts: list, figures: Mapping) -> Picture:
    title = all.SLICES.get(key, f"By {key.replace('_', ' ')}")
    said = [
        f"{part['value'] or 'unknown'} {figure_text(ccc(part['figures'], 'mean_ccc'))}"
        for part in parts[:ROOM]
    ]
    more = f"; and {len(parts) - ROOM} more" if len(parts) > ROOM else ""
    bare = any(not part.get("intervals") for part in parts)
    return Picture(
        name=f"{name}_by_{key}",
        set=name,
        section="slices",
        figure=all.slice_bars(parts, figures, title=f"{title}, {name}"),
        caption="CCC within each part; n is its number of utterances."
        + (" Bars without a line have no interval: too few utterances." if bare else ""),
        alt=f"CCC of {name} {title.lower()}, means: {'; '.join(said)}{more}.",
    )


def _of_training(log: Mapping, best: int | None) -> Picture:
    epochs = len(log["epoch"])
    last = ", ".join(
        f"{name.replace('_', ' ')} {figure_text(log[f'valid {name}'][-1])}"
        for name in COLOURS
        if f"valid {name}" in log
    )
    tested = "" if best is None else f" Epoch {best} was tested."
    ended = f" After the last: {last}." if last else ""
    gone = WEIGHT in log and bool(np.isnan(log[WEIGHT][-1]))
    return Picture(
        name="training",
        set="",
        section="training",
        figure=all.training_curves(log, best=best),
        caption="From train_log.txt, which holds three digits." + tested
        + (" The auxiliary loss ends where it is left out." if gone else ""),
        alt=f"Training losses and CCC of the development set over {epochs} epochs.{ended}{tested}",
    )  # fmt: skip
