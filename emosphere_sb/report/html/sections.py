"""Content of the sections of a report: results of all sets, comparison, baselines, each set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from emosphere_sb.report.html.metadata import metadata_list
from emosphere_sb.report.notes import MISSING_LABELS, grouped_notes
from emosphere_sb.report.plots.registry import CONFUSIONS
from emosphere_sb.report.plots.slices import (
    MIN_BAR,
    SUBGROUP_TITLES,
    get_ccc,
    get_ccc_interval,
    has_bars,
)
from emosphere_sb.report.plots.style import COLOURS, TITLES
from emosphere_sb.results.constants import BASELINE_HEADING, CEILING_HEADING
from emosphere_sb.results.number_format import (
    format_count,
    format_interval,
    format_p_value,
    format_score,
)
from emosphere_sb.scale import DIMENSIONS

METRIC_LABELS = {
    "ccc": "CCC",
    "pearson": "Pearson",
    "scale_ratio": "scale ratio",
    "shift": "shift",
    "mae": "MAE",
}
"""Labels of the metrics of a dimension, in table order."""

CALIBRATION_LABELS = {
    "slope_of_prediction": "slope of prediction on truth",
    "slope_of_truth": "slope of truth on prediction",
    "scale_ratio": "ratio of SDs",
}

EVALUATION_KEYS = (
    "metrics", "intervals", "warnings", "runs", "confusion", "slices", "missing_slices",
    "calibration",
)  # fmt: skip
"""Keys of an evaluation that have a dedicated place on the page."""

CALIBRATION_TEXT = (
    "If the ratio of SDs is below 1, predictions shrink towards their mean. The slope of "
    "prediction on truth is the conditional bias: below 1, low values are on average overestimated "
    "and high values underestimated. It equals Pearson correlation times ratio of SDs, so it does "
    "not measure shrinkage. If the slope of truth on prediction is 1, predictions are calibrated: "
    "a difference in prediction corresponds to an equal difference in truth."
)
SUBGROUP_TEXT = (
    f"CCC within each subgroup; n: number of utterances. Subgroups of fewer than {MIN_BAR} "
    f"utterances have no bar. If all subgroups are that small, there is only a table. A bar or a "
    f"row has no interval if the subgroup has too few utterances for one."
)
RESTRICTED_TEXT = (
    "Within the subgroups of an emotion or a region, the range of the true values is restricted. "
    "This lowers the CCC even if errors are as small as in the entire set, so these CCCs cannot be "
    "compared with that of the entire set."
)
RESTRICTED = ("emotion", "region")
"""Subgroups within which the range of the true values is restricted."""

HEADS = ["set", "utterances", *(f"{TITLES[name]} CCC" for name in COLOURS)]


class Score(NamedTuple):
    """Table cell with a score and its confidence interval."""

    value: str
    interval: str


@dataclass(frozen=True)
class HtmlTable:
    """HTML table whose first column has the row names.

    Arguments
    ---------
    heads : sequence of str
        Column headings.
    rows : sequence of sequence
        Rows of cells of type str or :class:`Score`, one per heading.
    caption : str
        Caption above the table.
    label : str
        Accessible name of the table. (default: the caption)

    Raises
    ------
    ValueError
        If the number of cells in a row differs from the number of headings.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str | Score]]
    caption: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Check that each row has one cell per heading."""
        for number, cells in enumerate(self.rows, start=1):
            if len(cells) != len(self.heads):
                raise ValueError(
                    f"Row {number} of a table must have {len(self.heads)} cells, one per heading; "
                    f"found {len(cells)}."
                )


def anchor(text: str) -> str:
    """Convert a name to a valid link target and file name.

    Example
    -------
    >>> anchor("test 1/a")
    'test_1_a'
    """
    return re.sub(r"[^\w.-]", "_", text)


def scores_section(
    sets: Mapping[str, Mapping], unlabelled: Sequence[str], missing: Mapping[str, str | None]
) -> dict[str, Any]:
    """Build the overview of all sets: CCC with confidence intervals.

    Arguments
    ---------
    sets : mapping of str to mapping
        Results of ``evaluate_predictions`` by set.
    unlabelled : sequence of str
        Names of the sets without labels.
    missing : mapping of str to (str or None)
        Reason for a missing plot of each set.

    Returns
    -------
    dict
        ``table``, and ``notes`` about intervals, missing plots and missing breakdowns, each once.
    """
    rows = [
        [name, format_count(part["metrics"]["utterances"]), *_cells(part)]
        for name, part in sets.items()
    ]
    found = [(name, _interval_note(part)) for name, part in sets.items()]
    found += [(name, text) for name, text in missing.items() if text]
    for name, part in sets.items():
        if slices := part.get("missing_slices"):
            slices = ", ".join(MISSING_LABELS.get(key, key) for key in slices)
            found.append((name, f"No breakdown by {slices}: not recorded."))
    notes = grouped_notes(found)
    if unlabelled:
        notes.append(f"Predictions only, no labels: {', '.join(unlabelled)}.")
    return {
        "table": HtmlTable(HEADS, rows, "Concordance correlation coefficient by set"),
        "notes": notes,
    }


def progress_section(progress: Mapping | None) -> dict[str, Any] | None:
    """Build the section on the progress of an unfinished run; None if the run is finished.

    Returns
    -------
    dict or None
        ``message`` for the banner, and ``table`` with the best and the last epoch, or None.
    """
    if not progress:
        return None
    rows = [
        [f"{name} epoch", str(row["epoch"]), *(format_score(row[d]) for d in COLOURS)]
        for name, row in (("best", progress["best"]), ("last", progress["last"]))
        if row is not None
    ]
    heads = ["", "number", *(f"{TITLES[name]} CCC" for name in COLOURS)]
    table = HtmlTable(heads, rows, "CCC on the development set so far") if rows else None
    return {"message": progress["message"], "table": table}


def comparison_section(comparison: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """Build the comparison with another system, by set.

    Returns
    -------
    list of dict
        ``table`` and ``metadata`` of each set.
    """
    heads = ["dimension", "difference in CCC", "confidence interval", "p"]
    parts = []
    for name, result in comparison.items():
        rows = []
        for key, title in TITLES.items():
            row = result.get(key) or {}
            ends = format_interval([row.get("low"), row.get("high")])
            rows.append(
                [title, format_score(row.get("difference")), ends, format_p_value(row.get("p"))]
            )
        rest = {key: value for key, value in result.items() if key not in TITLES}
        table = HtmlTable(heads, rows, f"{name}: this system minus the reference")
        parts.append({"table": table, "metadata": metadata_list(rest)})
    return parts


def baselines_section(references: Mapping, sets: Mapping[str, Mapping]) -> dict[str, Any]:
    """Build the section with the acoustic baseline and the ceiling.

    Returns
    -------
    dict
        ``tables``, each with an introduction, and ``metadata``.
    """
    tables = []
    if baseline := references.get("acoustic_baseline"):
        rows = [
            [
                name,
                format_count(row.get("utterances")),
                *(format_score(get_ccc(row, d)) for d in COLOURS),
            ]
            for name, row in baseline.items()
        ]
        tables.append((BASELINE_HEADING, HtmlTable(HEADS, rows, label="acoustic baseline")))
    if cap := references.get("cap"):
        rows = [
            [name, *(format_score(row.get(d)) for d in DIMENSIONS)]
            for name, row in cap.items()
            if name in sets
        ]
        heads = ["set", *(TITLES[d] for d in DIMENSIONS)]
        tables.append(
            (CEILING_HEADING, HtmlTable(heads, rows, label="highest CCC of a perfect model"))
        )
    rest = {k: v for k, v in references.items() if k not in ("acoustic_baseline", "cap")}
    return {"tables": tables, "metadata": _metadata(rest)}


def set_section(
    name: str, evaluation: Mapping, images: Mapping[str, Sequence[dict]]
) -> dict[str, Any]:
    """Build the section of one set.

    Arguments
    ---------
    name : str
        Name of the set.
    evaluation : mapping
        Result of ``evaluate_predictions``.
    images : mapping of str to sequence of dict
        Images by section: ``points``, ``sphere``, ``confusion``, ``slices``.

    Returns
    -------
    dict
        Template variables of the set.
    """
    calibration = evaluation.get("calibration")
    slices = {key: rows for key, rows in (evaluation.get("slices") or {}).items() if rows}
    drawn = iter(images.get("slices", []))
    rest = {key: value for key, value in evaluation.items() if key not in EVALUATION_KEYS}
    return {
        "name": name,
        "anchor": anchor(name),
        "measures": _measures(name, evaluation),
        **{section: images.get(section, []) for section in ("points", "sphere", "confusion")},
        "classes": _classes(evaluation["metrics"]),
        "calibration": calibration and _calibration(calibration, evaluation["metrics"]),
        "slices": [
            _slice(
                key,
                SUBGROUP_TITLES.get(key, f"By {key}"),
                rows,
                next(drawn) if has_bars(rows) else None,
            )
            for key, rows in slices.items()
        ],
        "metadata": _metadata(rest),
    }


def explanations(sections: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Collect the titles and texts that explain the sections of the sets, each once.

    Arguments
    ---------
    sections : sequence of mapping
        Results of :func:`set_section`.
    """
    found = []
    if any(section["calibration"] for section in sections):
        found.append(("Calibration", CALIBRATION_TEXT))
    slices = [part for section in sections for part in section["slices"]]
    if slices:
        restricted = any(part["restricted"] for part in slices)
        text = f"{SUBGROUP_TEXT} {RESTRICTED_TEXT}" if restricted else SUBGROUP_TEXT
        found.append(("Results by subgroup", text))
    return found


def _metadata(metadata: Mapping) -> Markup | str:
    """Render metadata as a list, or as an empty string without metadata."""
    return metadata_list(metadata) if metadata else ""


def _cells(part: Mapping) -> list[str | Score]:
    """Return the CCC of each dimension and their mean, with confidence intervals."""
    return [
        _with_interval(
            get_ccc(part["metrics"], name), get_ccc_interval(part.get("intervals"), name)
        )
        for name in COLOURS
    ]


def _with_interval(value: float | None, ends: Sequence[float] | None) -> str | Score:
    return Score(format_score(value), format_interval(ends)) if ends else format_score(value)


def _interval_note(part: Mapping) -> str:
    """Describe how the confidence intervals of a set were computed."""
    info = part.get("intervals")
    if not info:
        return "no confidence intervals."
    level = f"{100 * info['level']:g}% " if "level" in info else ""
    times = f", {format_count(info['resamples'])} resamples" if info.get("resamples") else ""
    several = f"mean over {part['runs']} runs; " if part.get("runs", 1) > 1 else ""
    units = f"{format_count(info['units'])} {info['unit']}"
    text = f"{several}{level}confidence intervals from a bootstrap over {units}{times}."
    if info.get("undefined"):
        text += f" {format_count(info['undefined'])} resamples were undefined."
    return f"{text} {info['note']}" if info.get("note") else text


def _measures(name: str, evaluation: Mapping) -> HtmlTable:
    metrics, intervals = evaluation["metrics"], evaluation.get("intervals") or {}
    rows = []
    for key, title in METRIC_LABELS.items():
        cells = [
            _with_interval(metrics[d].get(key), (intervals.get(d) or {}).get(key))
            for d in DIMENSIONS
        ]
        mean = _with_interval(metrics.get("mean_ccc"), intervals.get("mean_ccc"))
        rows.append([title, *cells, mean if key == "ccc" else ""])
    labelled = (format_count(metrics[d].get("n")) for d in DIMENSIONS)
    rows.append(["labelled utterances", *labelled, ""])
    heads = ["metric", *(TITLES[d] for d in DIMENSIONS), "Mean"]
    return HtmlTable(heads, rows, f"{name}: metrics on the corpus's label scale")


def _classes(metrics: Mapping) -> HtmlTable | None:
    rows = []
    for key, (_, title) in CONFUSIONS.items():
        if row := metrics.get(key):
            shares = (row.get(k) for k in ("accuracy", "macro_f1", "unweighted_recall"))
            agreement = format_score(row.get("agreement_with_point"))
            rows.append([title, format_count(row.get("n")), *map(format_score, shares), agreement])
    heads = ["classes", "utterances", "accuracy", "macro F1", "unweighted recall",
             "agreement with the point"]  # fmt: skip
    return HtmlTable(heads, rows, label="classification metrics") if rows else None


def _calibration(calibration: Mapping, metrics: Mapping) -> dict[str, Any]:
    rows = [
        [title, *(format_score((calibration.get(d) or {}).get(key)) for d in DIMENSIONS)]
        for key, title in CALIBRATION_LABELS.items()
    ]
    heads = ["calibration", *(TITLES[d] for d in DIMENSIONS)]
    table, fitted = HtmlTable(heads, rows, label="calibration"), None
    if corrected := calibration.get("corrected"):
        every = {"none": metrics, **corrected}
        rows = [
            [kind, *(format_score(get_ccc(row, d)) for d in COLOURS)] for kind, row in every.items()
        ]
        heads = ["correction", *(f"{TITLES[d]} CCC" for d in COLOURS)]
        fitted = HtmlTable(heads, rows, "CCC with a correction fitted on another set")
    rest = {k: v for k, v in calibration.items() if k not in (*DIMENSIONS, "corrected")}
    return {"table": table, "corrected": fitted, "metadata": _metadata(rest)}


def _slice(key: str, title: str, parts: Sequence[Mapping], image: Mapping | None) -> dict[str, Any]:
    rows = [
        [part["value"] or "unknown", format_count(part["utterances"]), *_cells(part)]
        for part in parts
    ]
    table = HtmlTable(["subgroup", *HEADS[1:]], rows, label=title)
    return {"title": title, "image": image, "table": table, "restricted": key in RESTRICTED}
