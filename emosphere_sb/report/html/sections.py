"""The sections of a run's page: figures of all sets, comparison, and each set by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from emosphere_sb.report.html.facts import facts_list
from emosphere_sb.report.html.markup import Markup, element, join, table
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


def anchor(text: str) -> str:
    """A name fit for a link and for a file.

    Example
    -------
    >>> anchor("test 1/a")
    'test_1_a'
    """
    return re.sub(r"[^\w.-]", "_", text)


def figures_section(sets: Mapping[str, Mapping], unlabelled: Sequence[str]) -> Markup:
    """CCC of every set with intervals, and on what those stand."""
    rows = [
        [name, count_text(part["figures"]["utterances"]), *_cells(part)]
        for name, part in sets.items()
    ]
    about = dict.fromkeys(_about(name, part) for name, part in sets.items())
    notes = [element("p", text, class_="note") for text in about if text]
    if unlabelled:
        text = f"Without labels, predictions only: {', '.join(unlabelled)}."
        notes.append(element("p", text, class_="note"))
    whole = table(HEADS, rows, caption="Concordance correlation coefficient by set")
    return element("section", element("h2", "Figures"), whole, *notes, id="figures")


def comparison_section(whole: Mapping[str, Mapping]) -> Markup:
    """Differences to another system, set by set."""
    heads = ["dimension", "difference in CCC", "interval", "p"]
    parts = []
    for name, facts in whole.items():
        rows = []
        for key, title in TITLES.items():
            row = facts.get(key) or {}
            ends = interval_text([row.get("low"), row.get("high")])
            rows.append([title, figure_text(row.get("difference")), ends, p_text(row.get("p"))])
        parts.append(table(heads, rows, caption=f"{name}: ours minus the other"))
        rest = {key: value for key, value in facts.items() if key not in TITLES}
        parts.append(facts_list(rest))
    text = "Paired: both systems on the same resampled utterances. Above 0, ours is better."
    said = element("p", text, class_="note")
    return element("section", element("h2", "Comparison"), said, *parts, id="comparison")


def beside_section(beside: Mapping, sets: Mapping[str, Mapping]) -> Markup | None:
    """What the figures have to be held against."""
    parts = []
    if baseline := beside.get("acoustic_baseline"):
        rows = [
            [name, count_text(row.get("utterances")), *(figure_text(ccc(row, d)) for d in COLOURS)]
            for name, row in baseline.items()
        ]
        parts += [element("p", RIDGE), table(HEADS, rows, label="acoustic baseline")]
    if cap := beside.get("cap"):
        rows = [
            [name, *(figure_text(row.get(d)) for d in DIMENSIONS)]
            for name, row in cap.items()
            if name in sets
        ]
        heads = ["set", *(TITLES[d] for d in DIMENSIONS)]
        parts += [element("p", CAP), table(heads, rows, label="highest CCC of a perfect model")]
    rest = {key: value for key, value in beside.items() if key not in ("acoustic_baseline", "cap")}
    parts += [facts_list(rest)] if rest else []
    if not parts:
        return None
    return element("section", element("h2", "To hold them against"), *parts, id="beside")


def set_section(
    name: str, evaluation: Mapping, pictures: Mapping[str, Sequence[Markup]], note: str | None
) -> Markup:
    """Everything about one set.

    Arguments
    ---------
    name : str
        Of the set.
    evaluation : mapping
        What ``evaluation.evaluate`` gives.
    pictures : mapping of str to sequence of Markup
        By section: ``points``, ``sphere``, ``confusion``, ``slices``.
    note : str or None
        Why a picture is missing.
    """
    parts = [element("h2", name), _measures(name, evaluation), *pictures.get("points", [])]
    parts += pictures.get("sphere", [])
    parts.append(None if note is None else element("p", note, class_="note"))
    if classes := _classes(evaluation["figures"]):
        parts += [element("h3", "Classes"), classes]
    parts += pictures.get("confusion", [])
    if calibration := evaluation.get("calibration"):
        parts += [element("h3", "Calibration"), _calibration(calibration, evaluation["figures"])]
    slices = {key: rows for key, rows in (evaluation.get("slices") or {}).items() if rows}
    missing = evaluation.get("missing_slices") or []
    if slices or missing:
        parts.append(element("h3", "Parts of the set"))
        shown = pictures.get("slices", [])
        for (key, rows), drawn in zip(slices.items(), shown, strict=True):
            title = SLICES.get(key, f"By {key}")
            numbers = element("summary", f"{title}: the numbers")
            parts += [drawn, element("details", numbers, _slice(title, rows))]
    if missing:
        text = f"Not known of these utterances, so not shown: {', '.join(missing)}."
        parts.append(element("p", text, class_="note"))
    rest = {key: value for key, value in evaluation.items() if key not in SHOWN}
    parts += [element("h3", "Further facts"), facts_list(rest)] if rest else []
    return element("section", *parts, id=f"set-{anchor(name)}")


def _cells(part: Mapping) -> list[Markup]:
    """CCC of the dimensions and their mean, with intervals below."""
    return [
        _with_interval(ccc(part["figures"], name), ccc_interval(part.get("intervals"), name))
        for name in COLOURS
    ]


def _with_interval(value: float | None, ends: Sequence[float] | None) -> Markup:
    below = element("span", interval_text(ends), class_="interval") if ends else None
    return join([figure_text(value), below])


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


def _measures(name: str, evaluation: Mapping) -> Markup:
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
    return table(heads, rows, caption=f"{name}: figures on the corpus's own scale")


def _classes(figures: Mapping) -> Markup | None:
    rows = []
    for key, (_, title) in CONFUSIONS.items():
        if row := figures.get(key):
            shares = (row.get(k) for k in ("accuracy", "macro_f1", "unweighted_recall"))
            agreement = figure_text(row.get("agreement_with_point"))
            rows.append([title, count_text(row.get("n")), *map(figure_text, shares), agreement])
    heads = ["classes", "utterances", "accuracy", "macro F1", "unweighted recall",
             "agreement with the point"]  # fmt: skip
    return table(heads, rows, label="figures of classes") if rows else None


def _calibration(facts: Mapping, figures: Mapping) -> Markup:
    rows = [
        [title, *(figure_text((facts.get(d) or {}).get(key)) for d in DIMENSIONS)]
        for key, title in CALIBRATION.items()
    ]
    heads = ["calibration", *(TITLES[d] for d in DIMENSIONS)]
    text = (
        "A slope of prediction on truth below 1: predictions shrink towards the middle. A slope of "
        "truth on prediction of 1: a step of the prediction means as large a step of the truth."
    )
    parts = [table(heads, rows, label="calibration"), element("p", text, class_="note")]
    if corrected := facts.get("corrected"):
        every = {"as predicted": figures, **corrected}
        rows = [[kind, *(figure_text(ccc(row, d)) for d in COLOURS)] for kind, row in every.items()]
        heads = ["correction", *(f"{TITLES[d]} CCC" for d in COLOURS)]
        parts.append(table(heads, rows, caption="With a correction fitted on another set"))
    rest = {k: v for k, v in facts.items() if k not in (*DIMENSIONS, "corrected")}
    return join([*parts, facts_list(rest) if rest else None])


def _slice(title: str, parts: Sequence[Mapping]) -> Markup:
    rows = [
        [part["value"] or "unknown", count_text(part["utterances"]), *_cells(part)]
        for part in parts
    ]
    return table(["part", *HEADS[1:]], rows, label=title)
