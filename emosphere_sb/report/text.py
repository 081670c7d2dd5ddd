"""A report as a table for the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emosphere_sb.console import format_table
from emosphere_sb.results.constants import SYNTHETIC
from emosphere_sb.results.number_format import count_text, figure_text, interval_text, p_text
from emosphere_sb.scale import DIMENSIONS

MEASURES = {
    "ccc": "CCC",
    "pearson": "Pearson",
    "scale_ratio": "scale ratio",
    "shift": "shift",
    "mae": "MAE",
}
COLUMNS = (*DIMENSIONS, "mean_ccc")


def report_text(report: Mapping) -> str:
    """Figures of every set with their intervals, corrected ones below, then comparisons.

    Arguments
    ---------
    report : mapping
        As :func:`emosphere_sb.report.assembly.assemble` puts it together.

    Returns
    -------
    str
        Without a line end at its end.
    """
    parts = [report["title"]]
    if report.get("synthetic"):
        parts.append(SYNTHETIC)
    for name, evaluation in report["sets"].items():
        parts.append(set_text(name, evaluation, (report.get("comparison") or {}).get(name)))
    notes = list(report.get("warnings") or [])
    for name, evaluation in report["sets"].items():
        notes += [f"{name}: {text}" for text in evaluation["warnings"]]
    if notes:
        parts.append("\n".join(f"Note: {note}" for note in notes))
    return "\n\n".join(parts)


def set_text(name: str, evaluation: Mapping, comparison: Mapping | None = None) -> str:
    """One set: a line a figure, a column a dimension."""
    figures, intervals = evaluation["figures"], evaluation["intervals"]
    several = f", mean over {evaluation['runs']} runs" if evaluation["runs"] > 1 else ""
    unit = f"{count_text(intervals['units'])} {intervals['unit']}"
    rows = []
    for key, title in MEASURES.items():
        cells = [_cell(figures[d][key], intervals[d][key]) for d in DIMENSIONS]
        mean = _cell(figures["mean_ccc"], intervals["mean_ccc"]) if key == "ccc" else ""
        rows.append([title, *cells, mean])
    notes = [intervals["note"]] if intervals["note"] else []
    for kind, row in evaluation["calibration"].get("corrected", {}).items():
        values = [row[d]["ccc"] for d in DIMENSIONS] + [row["mean_ccc"]]
        rows.append([f"CCC, {kind}", *map(figure_text, values)])
        learned = evaluation["calibration"]["correction_learned_on"]
        notes += [f"{kind}: a correction learned on {learned}"]
        notes += evaluation["calibration"]["not_corrected"]
    if comparison:
        parts = [comparison[column] for column in COLUMNS]
        cells = [_cell(part["difference"], [part["low"], part["high"]]) for part in parts]
        rows += [["difference in CCC", *cells], ["p", *(p_text(part["p"]) for part in parts)]]
        notes.append(f"difference: ours minus {', '.join(comparison['reference'])}; paired")
    if evaluation["missing_slices"]:
        notes.append(f"no slices by {', '.join(evaluation['missing_slices'])}: not known")
    title = (
        f"{name}: {count_text(figures['utterances'])} utterances{several}; "
        f"{100 * intervals['level']:g}% intervals over {unit}"
    )
    table = format_table(["", *DIMENSIONS, "mean"], rows, align="<<<<<", title=title, indent=2)
    return "\n".join([table, *(f"  ({note})" for note in notes)])


def _cell(value: float | None, ends: Sequence[float | None] | None) -> str:
    return f"{figure_text(value)} {interval_text(ends)}".strip()
