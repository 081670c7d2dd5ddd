"""Format a report for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emosphere_sb.console import format_table
from emosphere_sb.report.notes import MISSING_LABELS, grouped_notes
from emosphere_sb.results.constants import SYNTHETIC_WARNING
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
COLUMNS = (*DIMENSIONS, "mean_ccc")


def report_text(report: Mapping) -> str:
    """Format the metrics of each set with confidence intervals, corrections and comparisons.

    Arguments
    ---------
    report : mapping
        Content of a report (see :class:`emosphere_sb.report.assembly.Report`).

    Returns
    -------
    str
        Text without a final newline.
    """
    parts = [report["title"]]
    if report.get("synthetic"):
        parts.append(SYNTHETIC_WARNING)
    if unfinished := report.get("unfinished"):
        parts += unfinished_parts(unfinished)
    compared, found = report.get("comparison") or {}, []
    for name, evaluation in report["sets"].items():
        parts.append(format_set(name, evaluation, compared.get(name)))
        found += [(name, text) for text in set_notes(evaluation, compared.get(name))]
    notes = [*(report.get("warnings") or []), *grouped_notes(found)]
    if notes:
        parts.append("\n".join(f"Note: {note}" for note in notes))
    return "\n\n".join(parts)


def unfinished_parts(progress: Mapping) -> list[str]:
    """Format the progress of an unfinished run: a message, and its best and last epoch.

    Arguments
    ---------
    progress : mapping
        See :func:`emosphere_sb.report.read.unfinished.training_progress`.
    """
    rows = [
        [f"{name} epoch", str(row["epoch"]), *(format_score(row[column]) for column in COLUMNS)]
        for name, row in (("best", progress["best"]), ("last", progress["last"]))
        if row is not None
    ]
    if not rows:
        return [progress["message"]]
    head = ["", "number", *DIMENSIONS, "mean"]
    table = format_table(head, rows, title="CCC on the development set so far", indent=2)
    return [progress["message"], table]


def format_set(name: str, evaluation: Mapping, comparison: Mapping | None = None) -> str:
    """Format one set: one line per metric, one column per dimension, without its notes."""
    metrics, intervals = evaluation["metrics"], evaluation["intervals"]
    several = f", mean over {evaluation['runs']} runs" if evaluation["runs"] > 1 else ""
    unit = f"{format_count(intervals['units'])} {intervals['unit']}"
    rows = []
    for key, title in METRIC_LABELS.items():
        cells = [_cell(metrics[d][key], intervals[d][key]) for d in DIMENSIONS]
        mean = _cell(metrics["mean_ccc"], intervals["mean_ccc"]) if key == "ccc" else ""
        rows.append([title, *cells, mean])
    for kind, row in evaluation["calibration"].get("corrected", {}).items():
        values = [row[d]["ccc"] for d in DIMENSIONS] + [row["mean_ccc"]]
        rows.append([f"CCC, {kind}", *map(format_score, values)])
    if comparison:
        parts = [comparison[column] for column in COLUMNS]
        cells = [_cell(part["difference"], [part["low"], part["high"]]) for part in parts]
        rows += [
            ["difference in CCC", *cells],
            ["p", *(format_p_value(part["p"]) for part in parts)],
        ]
    title = (
        f"{name}: {format_count(metrics['utterances'])} utterances{several}; "
        f"{100 * intervals['level']:g}% confidence intervals over {unit}"
    )
    return format_table(["", *DIMENSIONS, "mean"], rows, align="<<<<<", title=title, indent=2)


def set_notes(evaluation: Mapping, comparison: Mapping | None = None) -> list[str]:
    """Collect the notes on one set: intervals, corrections, comparison, breakdowns, warnings."""
    notes = [evaluation["intervals"]["note"]] if evaluation["intervals"]["note"] else []
    for kind in evaluation["calibration"].get("corrected", {}):
        fitted_on = evaluation["calibration"]["correction_learned_on"]
        notes.append(f"The {kind} correction is fitted on {fitted_on}.")
        notes += evaluation["calibration"]["not_corrected"]
    if comparison:
        reference = ", ".join(comparison["reference"])
        notes.append(f"The difference is this system minus {reference} (paired test).")
    if evaluation["missing_slices"]:
        missing = ", ".join(MISSING_LABELS.get(name, name) for name in evaluation["missing_slices"])
        notes.append(f"No breakdown by {missing}: not recorded.")
    return notes + list(evaluation["warnings"])


def _cell(value: float | None, ends: Sequence[float | None] | None) -> str:
    return f"{format_score(value)} {format_interval(ends)}".strip()
