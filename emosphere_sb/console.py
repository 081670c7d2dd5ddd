"""Console tables and the summary printed at the end of a run.

This module imports neither torch nor pandas, so it works without them.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence

from emosphere_sb.results.constants import (
    BASELINE_HEADING,
    CEILING_HEADING,
    NON_SET_KEYS,
    SYNTHETIC_WARNING,
)
from emosphere_sb.results.number_format import UNDEFINED
from emosphere_sb.scale import DIMENSIONS

GAP = "  "
"""Separator between columns."""


def format_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    align: str | None = None,
    title: str | None = None,
    indent: int = 0,
) -> str:
    """Format a table as text; each column is as wide as its widest cell.

    Arguments
    ---------
    header : sequence of str
        Column names. Empty for a table without a header.
    rows : iterable of (sequence of str)
        Cells. All rows must have the same length as the header, or as the first row.
    align : str, optional
        Alignment of each column: ``<``, ``^`` or ``>``. (default: first column left, others right)
    title : str, optional
        Line above the table.
    indent : int
        Number of spaces before each line except the title.

    Returns
    -------
    str
        Lines without trailing spaces and without a final newline.

    Raises
    ------
    ValueError
        If the rows differ in length.

    Example
    -------
    >>> print(format_table(["set", "CCC"], [["valid", "0.5"], ["test", "0.25"]], title="A run"))
    A run
    set     CCC
    valid   0.5
    test   0.25
    """
    lines = [list(cells) for cells in ([header, *rows] if header else rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [format_row(cells, widths, align, indent=indent) for cells in lines]
    return "\n".join(text if title is None else [title, *text])


def format_row(
    cells: Sequence[str], widths: Sequence[int], align: str | None = None, *, indent: int = 0
) -> str:
    """Format one line of a table with given column widths.

    Arguments
    ---------
    cells : sequence of str
        Cells. Those without a width are appended unpadded.
    widths : sequence of int
        Minimum column widths.
    align : str, optional
        Alignment of each column, as in :func:`format_table`.
    indent : int
        Number of spaces before the line.

    Example
    -------
    >>> format_row(["a", "1.5", "note"], [4, 5])
    'a       1.5  note'
    """
    align = align or "<".ljust(len(widths), ">")
    columns = zip(cells, align, widths, strict=False)
    padded = [f"{cell:{side}{width}}" for cell, side, width in columns]
    return (" " * indent + GAP.join([*padded, *cells[len(widths) :]])).rstrip()


def run_summary(metrics: Mapping) -> str:
    """Format the summary of a run: CCC of each set, the acoustic baseline, and the ceiling.

    Arguments
    ---------
    metrics : mapping
        Content of ``metrics.json``, or of ``summary.json`` for cross-validation.
    """
    if "by_fold" in metrics:
        return folds_summary(metrics)
    results = {name: row for name, row in metrics.items() if name not in NON_SET_KEYS}
    references, parts = metrics["beside"], []
    if metrics["protocol"]["synthetic"]:
        parts.append(SYNTHETIC_WARNING)
    parts.append(ccc_table(results))
    parts += undefined_notes(results)
    if "acoustic_baseline" in references:
        parts.append(ccc_table(references["acoustic_baseline"], title=BASELINE_HEADING))
    if "cap" in references:
        rows = [
            [name, *(f"{row[dimension]:.4f}" for dimension in DIMENSIONS)]
            for name, row in references["cap"].items()
            if name in results
        ]
        parts.append(format_table([], rows, title=CEILING_HEADING))
    folder = shlex.quote(metrics["run"]["folder"])
    parts.append(f"Confidence intervals and plots: emosphere report {folder}")
    return "\n\n".join(parts)


def ccc_table(results: Mapping[str, Mapping], *, title: str | None = None) -> str:
    """Format the CCC of each dimension and their mean, one line per set.

    Arguments
    ---------
    results : mapping of str to mapping
        Metrics by set, as in ``metrics.json``.
    title : str, optional
        Line above the table.

    Example
    -------
    >>> row = {"valence": {"ccc": 0.5}, "arousal": {"ccc": 0.75}, "dominance": {"ccc": 0.25}}
    >>> print(ccc_table({"test1": {**row, "mean_ccc": 0.5, "utterances": 2}}))
    CCC    valence  arousal  dominance    mean  utterances
    test1   0.5000   0.7500     0.2500  0.5000           2
    """
    rows = []
    for name, row in results.items():
        values = [*(row[dimension]["ccc"] for dimension in DIMENSIONS), row["mean_ccc"]]
        rows.append([name, *(f"{value:.4f}" for value in values), str(row["utterances"])])
    return format_table(["CCC", *DIMENSIONS, "mean", "utterances"], rows, title=title)


def undefined_notes(results: Mapping[str, Mapping]) -> list[str]:
    """Say for each set with an undefined CCC of which dimensions the mean CCC is the mean.

    Arguments
    ---------
    results : mapping of str to mapping
        Metrics by set, as in ``metrics.json``.

    Example
    -------
    >>> row = {"valence": {"ccc": 0.5}, "arousal": {"ccc": 0.75}, "dominance": {"ccc": math.nan}}
    >>> undefined_notes({"test1": {**row, "mean_ccc": 0.625}})
    ['test1: the CCC of dominance is undefined; the mean is that of valence and arousal.']
    """
    notes = []
    for name, row in results.items():
        undefined = [one for one in DIMENSIONS if not math.isfinite(row[one]["ccc"])]
        defined = [one for one in DIMENSIONS if one not in undefined]
        if undefined and defined:
            notes.append(
                f"{name}: the CCC of {' and '.join(undefined)} is undefined; the mean is that of "
                f"{' and '.join(defined)}."
            )
    return notes


def folds_summary(summary: Mapping) -> str:
    """Format the summary of a cross-validation: CCC of each fold, mean and SD.

    Arguments
    ---------
    summary : mapping
        Content of ``summary.json``.
    """
    parts = [SYNTHETIC_WARNING] if summary["protocol"]["synthetic"] else []
    tables = [_fold_table(name, result) for name, result in summary["by_fold"].items()]
    location = f"Summary: {summary['folder']}/summary.json"
    return "\n\n".join([*parts, "\n".join([*tables, location])])


def _fold_table(name: str, result: Mapping) -> str:
    """Format the CCC of one set by fold, with a note that explains the last lines."""
    rows = {f"fold {number}": row for number, row in result["folds"].items()}
    rows |= {"mean over folds": result["mean_over_folds"]}
    rows |= {"SD over folds": result["deviation_over_folds"]}
    note = f"{result['utterances']} utterances"
    if result["pooled"] is not None:
        rows |= {"pooled": result["pooled"]}
        note += "; pooled: CCC over the predictions of all folds"
    if any(count < len(result["folds"]) for count in result["defined"].values()):
        note += f"; {UNDEFINED}: undefined, excluded from the mean"
    cells = []
    for label, row in rows.items():
        values = (row[key] for key in (*DIMENSIONS, "mean_ccc"))
        cells.append([label, *(UNDEFINED if v is None else f"{v:.4f}" for v in values)])
    return f"{format_table([f'CCC, {name}', *DIMENSIONS, 'mean'], cells)}\n({note})"
