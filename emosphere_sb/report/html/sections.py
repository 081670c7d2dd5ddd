"""What the sections of a run's page show: all sets, a comparison, and each set by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from emosphere_sb.report.html.facts import facts_list
from emosphere_sb.report.plots.registry import CONFUSIONS
from emosphere_sb.report.plots.slices import SLICES, ccc, ccc_interval
from emosphere_sb.report.plots.style import COLOURS, TITLES
from emosphere_sb.results.constants import CAP, RIDGE
from emosphere_sb.results.number_format import count_text, figure_text, interval_text, p_text
from emosphere_sb.scale import DIMENSIONS

MEASURES = {
    "ccc": "CCC",
    "pearson": "Pearson",
    "scale_ratio": "scale ratio",
    "shift": "shift",
    "mae": "MAE",
}
"""Of a dimension, in the order of the table."""

CALIBRATION = {
    "slope_of_prediction": "slope of prediction on truth",
    "slope_of_truth": "slope of truth on prediction",
    "scale_ratio": "ratio of deviations",
}

SHOWN = (
    "figures", "intervals", "warnings", "runs", "confusion", "slices", "missing_slices",
    "calibration",
)  # fmt: skip
"""Keys of an evaluation that have a place of their own."""

HEADS = ["set", "utterances", *(f"{TITLES[name]} CCC" for name in COLOURS)]


class Score(NamedTuple):
    """A cell of a table: a figure with its interval below."""

    value: str
    interval: str


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Arguments
    ---------
    heads : sequence of str
        Heads of the columns.
    rows : sequence of sequence
        Cells of type str or :class:`Score`, as many as there are heads.
    caption : str
        Text above the table.
    label : str
        Name of the table for a screen reader. (default: the caption)

    Raises
    ------
    ValueError
        If a row has more or fewer cells than there are heads.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str | Score]]
    caption: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Check that every row has a cell for each head."""
        for number, cells in enumerate(self.rows, start=1):
            if len(cells) != len(self.heads):
                raise ValueError(
                    f"Row {number} of a table must have {len(self.heads)} cells, one for each "
                    f"head; found {len(cells)}."
                )


def anchor(text: str) -> str:
    """A name fit for a link and for a file.

    Example
    -------
    >>> anchor("test 1/a")
    'test_1_a'
    """
    return re.sub(r"[^\w.-]", "_", text)


def figures_section(sets: Mapping[str, Mapping], unlabelled: Sequence[str]) -> dict[str, Any]:
    """CCC of every set with intervals, and on what those stand.

    Returns
    -------
    dict
        ``table`` and ``notes``.
    """
    rows = [
        [name, count_text(part["figures"]["utterances"]), *_cells(part)]
        for name, part in sets.items()
    ]
    notes = list(dict.fromkeys(_about(name, part) for name, part in sets.items()))
    if unlabelled:
        notes.append(f"Without labels, predictions only: {', '.join(unlabelled)}.")
    return {
        "table": Table(HEADS, rows, "Concordance correlation coefficient by set"),
        "notes": notes,
    }


def comparison_section(whole: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """Differences to another system, set by set.

    Returns
    -------
    list of dict
        ``table`` and ``facts`` of each set.
    """
    heads = ["dimension", "difference in CCC", "interval", "p"]
    parts = []
    for name, facts in whole.items():
        rows = []
        for key, title in TITLES.items():
            row = facts.get(key) or {}
            ends = interval_text([row.get("low"), row.get("high")])
            rows.append([title, figure_text(row.get("difference")), ends, p_text(row.get("p"))])
        rest = {key: value for key, value in facts.items() if key not in TITLES}
        table = Table(heads, rows, f"{name}: ours minus the other")
        parts.append({"table": table, "facts": facts_list(rest)})
    return parts


def beside_section(beside: Mapping, sets: Mapping[str, Mapping]) -> dict[str, Any]:
    """What the figures have to be held against.

    Returns
    -------
    dict
        ``tables``, each with the text above it, and ``facts``.
    """
    tables = []
    if baseline := beside.get("acoustic_baseline"):
        rows = [
            [name, count_text(row.get("utterances")), *(figure_text(ccc(row, d)) for d in COLOURS)]
            for name, row in baseline.items()
        ]
        tables.append((RIDGE, Table(HEADS, rows, label="acoustic baseline")))
    if cap := beside.get("cap"):
        rows = [
            [name, *(figure_text(row.get(d)) for d in DIMENSIONS)]
            for name, row in cap.items()
            if name in sets
        ]
        heads = ["set", *(TITLES[d] for d in DIMENSIONS)]
        tables.append((CAP, Table(heads, rows, label="highest CCC of a perfect model")))
    rest = {key: value for key, value in beside.items() if key not in ("acoustic_baseline", "cap")}
    return {"tables": tables, "facts": _facts(rest)}


def set_section(
    name: str, evaluation: Mapping, pictures: Mapping[str, Sequence[dict]], note: str | None
) -> dict[str, Any]:
    """Everything about one set.

    Arguments
    ---------
    name : str
        Of the set.
    evaluation : mapping
        What ``evaluation.evaluate`` gives.
    pictures : mapping of str to sequence of dict
        By section: ``points``, ``sphere``, ``confusion``, ``slices``.
    note : str or None
        Why a picture is missing.

    Returns
    -------
    dict
        Variables of a set in the template.
    """
    calibration = evaluation.get("calibration")
    slices = {key: rows for key, rows in (evaluation.get("slices") or {}).items() if rows}
    rest = {key: value for key, value in evaluation.items() if key not in SHOWN}
    return {
        "name": name,
        "anchor": anchor(name),
        "measures": _measures(name, evaluation),
        **{section: pictures.get(section, []) for section in ("points", "sphere", "confusion")},
        "note": note,
        "classes": _classes(evaluation["figures"]),
        "calibration": calibration and _calibration(calibration, evaluation["figures"]),
        "slices": [
            _slice(SLICES.get(key, f"By {key}"), rows, drawn)
            for (key, rows), drawn in zip(slices.items(), pictures.get("slices", []), strict=True)
        ],
        "missing_slices": evaluation.get("missing_slices") or [],
        "facts": _facts(rest),
    }


def _facts(facts: Mapping) -> Markup | str:
    """A list of facts; empty where there are none."""
    return facts_list(facts) if facts else ""


def _cells(part: Mapping) -> list[str | Score]:
    """CCC of the dimensions and their mean, with intervals below."""
    return [
        _with_interval(ccc(part["figures"], name), ccc_interval(part.get("intervals"), name))
        for name in COLOURS
    ]


def _with_interval(value: float | None, ends: Sequence[float] | None) -> str | Score:
    return Score(figure_text(value), interval_text(ends)) if ends else figure_text(value)


def _about(name: str, part: Mapping) -> str:
    """On what a set's intervals stand."""
    facts = part.get("intervals")
    if not facts:
        return f"{name}: no intervals."
    level = f"{100 * facts['level']:g}% intervals" if "level" in facts else "Intervals"
    times = f", {count_text(facts['resamples'])} resamples" if facts.get("resamples") else ""
    several = f"mean over {part['runs']} runs; " if part.get("runs", 1) > 1 else ""
    units = f"{count_text(facts['units'])} {facts['unit']}"
    text = f"{name}: {several}{level} by bootstrap over {units}{times}."
    lost = f" {count_text(facts['undefined'])} undefined." if facts.get("undefined") else ""
    return f"{text}{lost} {facts['note']}" if facts.get("note") else f"{text}{lost}"


def _measures(name: str, evaluation: Mapping) -> Table:
    figures, intervals = evaluation["figures"], evaluation.get("intervals") or {}
    rows = []
    for key, title in MEASURES.items():
        cells = [
            _with_interval(figures[d].get(key), (intervals.get(d) or {}).get(key))
            for d in DIMENSIONS
        ]
        mean = _with_interval(figures.get("mean_ccc"), intervals.get("mean_ccc"))
        rows.append([title, *cells, mean if key == "ccc" else ""])
    labelled = (count_text(figures[d].get("n")) for d in DIMENSIONS)
    rows.append(["labelled utterances", *labelled, ""])
    heads = ["figure", *(TITLES[d] for d in DIMENSIONS), "Mean"]
    return Table(heads, rows, f"{name}: figures on the corpus's own scale")


def _classes(figures: Mapping) -> Table | None:
    rows = []
    for key, (_, title) in CONFUSIONS.items():
        if row := figures.get(key):
            shares = (row.get(k) for k in ("accuracy", "macro_f1", "unweighted_recall"))
            agreement = figure_text(row.get("agreement_with_point"))
            rows.append([title, count_text(row.get("n")), *map(figure_text, shares), agreement])
    heads = ["classes", "utterances", "accuracy", "macro F1", "unweighted recall",
             "agreement with the point"]  # fmt: skip
    return Table(heads, rows, label="figures of classes") if rows else None


def _calibration(facts: Mapping, figures: Mapping) -> dict[str, Any]:
    rows = [
        [title, *(figure_text((facts.get(d) or {}).get(key)) for d in DIMENSIONS)]
        for key, title in CALIBRATION.items()
    ]
    heads = ["calibration", *(TITLES[d] for d in DIMENSIONS)]
    table, fitted = Table(heads, rows, label="calibration"), None
    if corrected := facts.get("corrected"):
        every = {"as predicted": figures, **corrected}
        rows = [[kind, *(figure_text(ccc(row, d)) for d in COLOURS)] for kind, row in every.items()]
        heads = ["correction", *(f"{TITLES[d]} CCC" for d in COLOURS)]
        fitted = Table(heads, rows, "With a correction fitted on another set")
    rest = {k: v for k, v in facts.items() if k not in (*DIMENSIONS, "corrected")}
    return {"table": table, "corrected": fitted, "facts": _facts(rest)}


def _slice(title: str, parts: Sequence[Mapping], picture: Mapping) -> dict[str, Any]:
    rows = [
        [part["value"] or "unknown", count_text(part["utterances"]), *_cells(part)]
        for part in parts
    ]
    table = Table(["part", *HEADS[1:]], rows, label=title)
    return {"title": title, "picture": picture, "table": table}
