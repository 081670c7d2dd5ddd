"""Where each cell stands: not begun, interrupted, finished, or no longer what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.hparams import SAVED, differences
from emosphere_sb.recipe.workspace import is_on
from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import Scale
from emosphere_sb.tables.cells import Cell, Cells

if TYPE_CHECKING:  # only recipe/ reads corpora; here its summaries are passed on
    from data_prep.summary import Summary

NOT_BEGUN, INTERRUPTED, FINISHED, DAMAGED = "not begun", "interrupted", "finished", "damaged"

TO_RUN = (NOT_BEGUN, INTERRUPTED)
"""Kinds of cells that a table runs; a damaged one is run again only where that is asked for."""


NEEDED = {
    "run": ("predictions", "commit", "command", "process_seconds", "machine"),
    "protocol": ("scale", "synthetic", "versions"),
}
"""What a table says about a run besides its predictions."""
MAPPINGS = ("versions", "auxiliary_head")
"""Of the protocol, what a table looks into; the head's figures may be missing."""


@dataclass(frozen=True)
class State:
    """Where a cell stands.

    Arguments
    ---------
    kind : str
        One of the four.
    reason : str
        What is wrong, in words; empty where nothing is.
    metrics : mapping
        Of a finished run: what its file of figures holds.
    predictions : pandas.DataFrame or None
        Of a finished run: what the table reads.
    warnings : tuple of str
        What is odd about the predictions.
    """

    kind: str
    reason: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None
    warnings: tuple[str, ...] = ()


def inspect(
    cell: Cell,
    cells: Cells,
    summary: Summary | None = None,
    tested_on: Mapping[str, Any] | None = None,
) -> State:
    """Look at a cell's folder; nothing is changed.

    Arguments
    ---------
    cell : Cell
        To look at.
    cells : Cells
        That made it.
    summary : Summary, optional
        Of the corpus's preparation: the run must have been on exactly these data. Without it the
        run's own record stands alone.
    tested_on : mapping, optional
        ``OtherCorpus.facts()`` of another corpus that is tested on: neither its data nor its
        settings are part of what a run is called, so that the figures must be on exactly these.

    Returns
    -------
    State
        A run whose figures cannot be trusted is ``damaged``, with the reason.
    """
    if not cell.metrics.is_file():
        begun = any((cell.folder / "save").glob("CKPT*"))
        return State(INTERRUPTED if begun else NOT_BEGUN)
    try:
        return _read(cell, cells, summary, tested_on)
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        return State(DAMAGED, _reason(error))


def _read(
    cell: Cell, cells: Cells, summary: Summary | None, tested_on: Mapping[str, Any] | None
) -> State:
    metrics = json.loads(cell.metrics.read_text(encoding="utf-8"))
    for part, names in NEEDED.items():
        for name in names:
            metrics[part][name]  # a KeyError says what is missing
    for name in MAPPINGS:
        if not isinstance(metrics["protocol"].get(name) or {}, dict):
            return State(DAMAGED, f"{name} in the run's file of figures is no mapping")
    saved = read_tree(cell.folder / SAVED)
    different = [key for key in differences(cells.tree(cell), saved) if key != "preset"]
    if different:
        return State(DAMAGED, f"the folder holds a run with other values of {', '.join(different)}")
    if summary is not None and not is_on(cell.folder, summary):
        return State(
            DAMAGED,
            "the run was on other data than those that are given now; another corpus needs "
            "another --results_folder",
        )
    if tested_on is not None:
        asked, told = json.loads(json.dumps(tested_on)), metrics["protocol"]["tested_on"]
        other = [key for key in asked if told.get(key) != asked[key]]
        if other:
            return State(DAMAGED, f"{cell.test_corpus} was tested with other {', '.join(other)}")
    wanted = metrics["run"]["predictions"].get(cell.set)
    if wanted is None:
        there = ", ".join(metrics["run"]["predictions"])
        return State(DAMAGED, f"the run has no set {cell.set!r}; it has {there}")
    if not cell.predictions.is_file():
        return State(DAMAGED, f"predictions/{cell.set}.csv is gone")
    if digest_of(cell.predictions) != wanted:
        return State(DAMAGED, f"predictions/{cell.set}.csv is not the file that the run wrote")
    table = read_predictions(cell.predictions)
    scale = Scale.from_dict(metrics["protocol"]["scale"])
    source = f"{cell.folder.name}, {cell.set}"
    warnings = check_predictions(table, source=source, scale=scale, own=True)
    return State(FINISHED, "", metrics, table, tuple(warnings))


def _reason(error: Exception) -> str:
    """An error in one line; a key that is missing says no more than its name."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is not in the run's file of figures"
    if isinstance(error, (TypeError, AttributeError, json.JSONDecodeError)):
        return f"a file of the run has another form: {' '.join(str(error).split())}"
    return " ".join(str(error).split())
