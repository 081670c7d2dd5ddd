"""Collection of a table's results: means over seeds, intervals and comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from emosphere_sb.report.stats.comparison import compare_systems, holm_correction
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.alignment import align_tables
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.tables.cells import Cell, Cells
from emosphere_sb.tables.columns import Column
from emosphere_sb.tables.spec import Group, Row, Table
from emosphere_sb.tables.status import State

HEAD_METRICS = ("accuracy", "macro_f1")
"""Metrics of the auxiliary head in tables."""


@dataclass
class TableEntry:
    """Results of one row in one block of columns.

    Arguments
    ---------
    row, group
        Row and block of the entry.
    cells : mapping of (int, int) to Cell
        Cell of each (seed, fold).
    problems : mapping of (int, int) to str
        Reason for each (seed, fold) without results.
    by_seed : mapping of int to dict
        Metrics of each seed with results for all folds, computed on the pooled predictions.
    tables : mapping of int to DataFrame
        Pooled predictions of each of these seeds.
    interval : mapping
        Result of ``confidence_intervals`` for the mean over seeds.
    difference : mapping or None
        Result of ``compare_systems`` with the reference row; ``None`` for the reference row itself
        and if either row has no results.
    corrected : mapping of str to float
        p-value of each metric after Holm correction across the rows of the block.
    not_compared : str
        Reason why the row could not be compared with the reference row.
    """

    row: Row
    group: Group
    cells: Mapping[tuple[int, int], Cell]
    problems: Mapping[tuple[int, int], str]
    by_seed: dict[int, dict] = field(default_factory=dict)
    tables: dict[int, pd.DataFrame] = field(default_factory=dict)
    interval: Mapping[str, Any] = field(default_factory=dict)
    difference: Mapping[str, Any] | None = None
    corrected: dict[str, float | None] = field(default_factory=dict)
    not_compared: str = ""

    def values(self, column: Column) -> list[float]:
        """Return a column's metric for each seed that has one."""
        values = (column.extract(metrics) for metrics in self.by_seed.values())
        return [value for value in values if not math.isnan(value)]

    def mean(self, column: Column) -> float | None:
        """Return the mean over seeds; ``None`` if no seed has a value."""
        values = self.values(column)
        return statistics.mean(values) if values else None

    def deviation(self, column: Column) -> float | None:
        """Return the SD over seeds (n - 1 in the denominator); ``None`` for fewer than two."""
        values = self.values(column)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass
class CollectedRuns:
    """Results of a table.

    Arguments
    ---------
    table : Table
        Definition of the table.
    entries : list of TableEntry
        Results of each row and block, ordered by row, then by block.
    states : mapping of Cell to State
        States of all cells.
    synthetic : bool
        Whether any of the results are on synthetic speech.
    resamples : int
        Number of bootstrap resamples.
    """

    table: Table
    entries: list[TableEntry]
    states: Mapping[Cell, State]
    synthetic: bool
    resamples: int

    def entry(self, row: Row, group: Group) -> TableEntry:
        """Return the entry of a row in a block of columns."""
        return next(e for e in self.entries if e.row is row and e.group is group)

    def count_incomplete(self) -> int:
        """Return the number of runs without results."""
        incomplete = (e.cells[key] for e in self.entries for key in e.problems)
        return len({cell.folder for cell in incomplete})


def collect(
    table: Table,
    cells: Cells,
    states: Mapping[Cell, State],
    problems: Mapping[Cell, str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> CollectedRuns:
    """Compute the metrics, intervals and comparisons of a table.

    Seeds with missing folds are excluded; ``problems`` of each entry gives the reasons.

    Arguments
    ---------
    table : Table
        Definition of the table.
    cells : Cells
        Factory that created the cells of ``states``.
    states : mapping of Cell to State
        States of at least all cells of the table.
    problems : mapping of Cell to str
        Reason for each cell that is not finished.
    resamples, seed : int
        Number of resamples and random seed of the bootstrap.

    Returns
    -------
    CollectedRuns
        The results of the table.
    """
    entries = []
    for row, group in table.pairs():
        own = cells.of(table, row, group)
        missing = {key: problems[cell] for key, cell in own.items() if cell in problems}
        entry = TableEntry(row, group, own, missing)
        _fill(entry, states)
        entries.append(entry)
    own = {cell: states[cell] for entry in entries for cell in entry.cells.values()}
    found = CollectedRuns(table, entries, own, _any_synthetic(own.values()), resamples)
    for entry in entries:
        if entry.tables:
            entry.interval = confidence_intervals(
                list(entry.tables.values()), resamples=resamples, seed=seed
            )
    for group in table.groups:
        _compare(found, group, resamples=resamples, seed=seed)
    return found


def _fill(entry: TableEntry, states: Mapping[Cell, State]) -> None:
    seeds = dict.fromkeys(seed for seed, _ in entry.cells)
    for seed in seeds:
        own = {fold: cell for (s, fold), cell in entry.cells.items() if s == seed}
        if any((seed, fold) in entry.problems for fold in own):
            continue
        parts = [states[cell].predictions for cell in own.values()]
        pooled = _pool(parts)
        if not pooled["ID"].is_unique:
            for fold in own:
                entry.problems = {
                    **entry.problems,
                    (seed, fold): "the test sets of its folds overlap",
                }
            continue
        entry.tables[seed] = pooled
        entry.by_seed[seed] = prediction_metrics(pooled)
        heads = [auxiliary_head_metrics(states[cell].metrics, cell.set) for cell in own.values()]
        for name in set.intersection(*map(set, heads)):
            found = [head[name] for head in heads]
            entry.by_seed[seed][name] = {
                key: statistics.mean(head[key] for head in found) for key in HEAD_METRICS
            } | {"epochs": sorted({head["epoch"] for head in found})}
    _check_seeds(entry)


def _check_seeds(entry: TableEntry) -> None:
    """Discard the results of a row whose seeds differ in utterances or labels."""
    if len(entry.tables) < 2:
        return
    try:
        align_tables(list(entry.tables.values()))
    except ValueError as error:
        inconsistent = dict.fromkeys(entry.cells, f"its seeds are inconsistent: {error}")
        entry.problems = {**inconsistent, **entry.problems}
        entry.tables, entry.by_seed = {}, {}


def _pool(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the predictions of all folds, keeping the columns that all folds have."""
    if len(parts) == 1:
        return parts[0]
    shared = [column for column in parts[0] if all(column in part for part in parts)]
    return pd.concat([part[shared] for part in parts], ignore_index=True)


def auxiliary_head_metrics(metrics: Mapping, name: str) -> dict[str, Mapping]:
    """Return the metrics of the auxiliary head of a run.

    Arguments
    ---------
    metrics : mapping
        Content of ``metrics.json``.
    name : str
        Name of the evaluated set.

    Returns
    -------
    dict
        Those that are known of ``head_last`` and ``head_tested`` (on the set, with the weights of
        the last epoch in which the head was trained and with the tested weights), and
        ``head_valid`` (on the development set).
    """
    tests = (metrics.get(name) or {}).get("auxiliary_head") or {}
    heads = {
        "head_last": tests.get("last_trained"),
        "head_tested": tests.get("tested_weights"),
        "head_valid": metrics["protocol"].get("auxiliary_head"),
    }
    required = (*HEAD_METRICS, "epoch")
    return {
        key: head
        for key, head in heads.items()
        if head and all(head.get(field) is not None for field in required)
    }


def _compare(found: CollectedRuns, group: Group, *, resamples: int, seed: int) -> None:
    """Compare each row of a block with the reference row."""
    reference = found.table.reference
    own = [entry for entry in found.entries if entry.group is group]
    base = next((entry for entry in own if entry.row.name == reference), None)
    if base is None or not base.tables:
        return
    others = [entry for entry in own if entry is not base]
    for entry in others:
        if entry.tables:
            try:
                entry.difference = compare_systems(
                    list(entry.tables.values()), list(base.tables.values()),
                    resamples=resamples, seed=seed,
                )  # fmt: skip
            except ValueError as error:  # different utterances: valid, but not comparable
                entry.not_compared = str(error)
    for column in (column for column in found.table.columns if column.compared):
        name = column.compared
        raw = [entry.difference[name]["p"] if entry.difference else None for entry in others]
        for entry, p in zip(others, holm_correction(raw), strict=True):
            entry.corrected[name] = p


def _any_synthetic(states: Iterable[State]) -> bool:
    return any(s.metrics["protocol"]["synthetic"] for s in states if s.metrics)
