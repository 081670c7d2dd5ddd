"""Tables on the screen, and what a run prints at its end.

Neither torch nor pandas is imported: predictions are printed where neither is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emosphere_sb.results.constants import CAP, NON_SET_KEYS, RIDGE, SYNTHETIC
from emosphere_sb.results.number_format import UNDEFINED
from emosphere_sb.scale import DIMENSIONS

GAP = "  "
"""Between two columns."""


def format_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    align: str | None = None,
    title: str | None = None,
    indent: int = 0,
) -> str:
    """A table as text, each column as wide as its widest cell.

    Arguments
    ---------
    header : sequence of str
        Names of the columns; empty for a table without a header.
    rows : iterable of (sequence of str)
        Cells. Every row has as many as the header, or as the first row.
    align : str, optional
        One of ``<``, ``^``, ``>`` for each column. By default the first column is aligned to the
        left and the others to the right.
    title : str, optional
        A line above the table.
    indent : int
        Blanks before each line but the title.

    Returns
    -------
    str
        Lines without blanks at their ends, and without a line end behind the last.

    Raises
    ------
    ValueError
        If rows differ in length.

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
    """One line of a table whose columns have known widths.

    Arguments
    ---------
    cells : sequence of str
        Cells behind the last of ``widths`` are appended as they are.
    widths : sequence of int
        Of the columns; a longer cell moves the ones behind it.
    align : str, optional
        As for :func:`format_table`.
    indent : int
        Blanks before the line.

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
    """What a run prints at its end: CCC of every set, and what it is to be compared with.

    Arguments
    ---------
    metrics : mapping
        The content of ``metrics.json``, or of ``summary.json`` for a run over folds.
    """
    if "by_fold" in metrics:
        return folds_summary(metrics)
    results = {name: row for name, row in metrics.items() if name not in NON_SET_KEYS}
    beside, parts = metrics["beside"], []
    if metrics["protocol"]["synthetic"]:
        parts.append(SYNTHETIC)
    parts.append(ccc_table(results))
    if "acoustic_baseline" in beside:
        parts.append(ccc_table(beside["acoustic_baseline"], title=RIDGE))
    if "cap" in beside:
        rows = [
            [name, *(f"{row[dimension]:.4f}" for dimension in DIMENSIONS)]
            for name, row in beside["cap"].items()
            if name in results
        ]
        parts.append(format_table([], rows, title=CAP))
    parts.append(f"Predictions, metrics and checkpoints: {metrics['run']['folder']}")
    return "\n\n".join(parts)


def ccc_table(results: Mapping[str, Mapping], *, title: str | None = None) -> str:
    """CCC by dimension and their mean, one line for each set.

    Arguments
    ---------
    results : mapping of str to mapping
        Figures by the name of their set, as in ``metrics.json``.
    title : str, optional
        A line above the table.

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


def folds_summary(summary: Mapping) -> str:
    """What a run over folds prints at its end: CCC of each fold, their mean and deviation.

    Arguments
    ---------
    summary : mapping
        The content of ``summary.json``.
    """
    parts = [SYNTHETIC] if summary["protocol"]["synthetic"] else []
    tables = [_fold_table(name, facts) for name, facts in summary["by_fold"].items()]
    place = f"Summary: {summary['folder']}/summary.json"
    return "\n\n".join([*parts, "\n".join([*tables, place])])


def _fold_table(name: str, facts: Mapping) -> str:
    """CCC of one set by fold, and notes on what the last lines mean."""
    rows = {f"fold {number}": row for number, row in facts["folds"].items()}
    rows |= {"mean over folds": facts["mean_over_folds"]}
    rows |= {"± over folds": facts["deviation_over_folds"]}
    note = f"{facts['utterances']} utterances"
    if facts["pooled"] is not None:
        rows |= {"pooled": facts["pooled"]}
        note += "; pooled: CCC over all folds' predictions"
    if any(count < len(facts["folds"]) for count in facts["defined"].values()):
        note += f"; {UNDEFINED}: not defined, left out of the mean"
    cells = []
    for label, row in rows.items():
        values = (row[key] for key in (*DIMENSIONS, "mean_ccc"))
        cells.append([label, *(UNDEFINED if v is None else f"{v:.4f}" for v in values)])
    return f"{format_table([f'CCC, {name}', *DIMENSIONS, 'mean'], cells)}\n({note})"
