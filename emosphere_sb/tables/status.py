"""State of each cell: not started, interrupted, finished or damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.fileio.json_file import read_json_mapping
from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.hparams import SAVED, differences
from emosphere_sb.recipe.workspace import matches_data
from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import Scale
from emosphere_sb.tables.cells import Cell, Cells

if TYPE_CHECKING:  # this package must not depend on data_prep (see CONTRIBUTING.md)
    from data_prep.summary import Summary

NOT_STARTED, INTERRUPTED, FINISHED, DAMAGED = "not started", "interrupted", "finished", "damaged"

TO_RUN = (NOT_STARTED, INTERRUPTED)
"""States in which a cell is run. Damaged cells are rerun only with ``--rerun-damaged``."""


REQUIRED_KEYS = {
    "run": ("predictions", "commit", "command", "process_seconds", "machine"),
    "protocol": ("scale", "synthetic", "versions"),
}
"""Keys of ``metrics.json`` that a table requires, by section."""
MAPPING_KEYS = ("versions", "auxiliary_head")
"""Keys of the protocol whose values must be mappings, if they are present."""


@dataclass(frozen=True)
class State:
    """State of a cell.

    Arguments
    ---------
    kind : str
        ``NOT_STARTED``, ``INTERRUPTED``, ``FINISHED`` or ``DAMAGED``.
    reason : str
        Description of the damage; empty for other states.
    metrics : mapping
        Content of the metrics file of a finished run.
    predictions : pandas.DataFrame or None
        Predictions of a finished run.
    warnings : tuple of str
        Warnings about the predictions.
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
    """Determine the state of a cell from the files in its folder.

    Arguments
    ---------
    cell : Cell
        Cell to inspect.
    cells : Cells
        Factory that created the cell.
    summary : Summary, optional
        Prepared corpus. If given, the run must have used exactly these data.
    tested_on : mapping, optional
        ``OtherCorpus.metadata()`` of the test corpus of a cross-corpus test. If given, the test
        must have used exactly these data and settings, which are not part of the folder's name.

    Returns
    -------
    State
        State of the cell; ``DAMAGED`` with a reason if its results cannot be used.
    """
    if not cell.metrics.is_file():
        started = any((cell.folder / "save").glob("CKPT*"))
        return State(INTERRUPTED if started else NOT_STARTED)
    try:
        return _read(cell, cells, summary, tested_on)
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        return State(DAMAGED, _reason(error))


def _read(
    cell: Cell, cells: Cells, summary: Summary | None, tested_on: Mapping[str, Any] | None
) -> State:
    metrics = read_json_mapping(cell.metrics, remedy="Run the table with --rerun-damaged.")
    for part, names in REQUIRED_KEYS.items():
        for name in names:
            metrics[part][name]  # raises KeyError if it is missing
    for name in MAPPING_KEYS:
        if not isinstance(metrics["protocol"].get(name) or {}, dict):
            return State(DAMAGED, f"{name} in {cell.metrics.name} is not a mapping")
    saved = read_tree(cell.folder / SAVED)
    different = [key for key in differences(cells.tree(cell), saved) if key != "preset"]
    if different:
        return State(DAMAGED, f"the run has different values of {', '.join(different)}")
    if summary is not None and not matches_data(cell.folder, summary):
        return State(
            DAMAGED,
            "the run used data other than those given now; use a separate --results_folder for "
            "each version of a corpus",
        )
    if tested_on is not None:
        expected, found = json.loads(json.dumps(tested_on)), metrics["protocol"]["tested_on"]
        other = [key for key in expected if found.get(key) != expected[key]]
        if other:
            return State(
                DAMAGED,
                f"the test on {cell.test_corpus} used different values of {', '.join(other)}",
            )
    wanted = metrics["run"]["predictions"].get(cell.set)
    if wanted is None:
        sets = ", ".join(metrics["run"]["predictions"])
        return State(DAMAGED, f"the run has no set {cell.set!r}; found {sets}")
    if not cell.predictions.is_file():
        return State(DAMAGED, f"predictions/{cell.set}.csv is missing")
    if digest_of(cell.predictions) != wanted:
        return State(DAMAGED, f"predictions/{cell.set}.csv was modified after the run")
    table = read_predictions(cell.predictions)
    scale = Scale.from_dict(metrics["protocol"]["scale"])
    source = f"{cell.folder.name}, {cell.set}"
    warnings = check_predictions(table, source=source, scale=scale, own=True)
    return State(FINISHED, "", metrics, table, tuple(warnings))


def _reason(error: Exception) -> str:
    """Describe an error on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"the metrics file has no key {error.args[0]!r}"
    if isinstance(error, (TypeError, AttributeError, json.JSONDecodeError)):
        return f"a file of the run is invalid: {text}"
    return text
