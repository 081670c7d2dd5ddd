"""From finished runs to a table's figures: means over seeds, intervals, comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from emosphere_sb.report.stats.comparison import compare, holm
from emosphere_sb.report.stats.intervals import intervals
from emosphere_sb.results.alignment import aligned
from emosphere_sb.results.scores import figures
from emosphere_sb.tables.cells import Cell, Cells
from emosphere_sb.tables.columns import Column
from emosphere_sb.tables.spec import Group, Row, Table
from emosphere_sb.tables.status import State


@dataclass
class Entry:
    """One row in one block of columns.

    Arguments
    ---------
    row, group
        Which.
    cells : mapping of (int, int) to Cell
        By (seed, fold).
    marks : mapping of (int, int) to str
        What is wrong with those that have no figures.
    by_seed : mapping of int to dict
        Figures of each seed whose folds are all there: pooled over them.
    tables : mapping of int to DataFrame
        Their predictions.
    interval : mapping
        What ``intervals`` gives for the mean over seeds.
    difference : mapping or None
        What ``compare`` gives against the reference row; ``None`` for that row itself, and where
        either has no figures.
    corrected : mapping of str to float
        p-values after Holm's correction over the rows of the block, by column.
    not_compared : str
        Why there is no comparison with a reference that has figures.
    """

    row: Row
    group: Group
    cells: Mapping[tuple[int, int], Cell]
    marks: Mapping[tuple[int, int], str]
    by_seed: dict[int, dict] = field(default_factory=dict)
    tables: dict[int, pd.DataFrame] = field(default_factory=dict)
    interval: Mapping[str, Any] = field(default_factory=dict)
    difference: Mapping[str, Any] | None = None
    corrected: dict[str, float | None] = field(default_factory=dict)
    not_compared: str = ""

    def values(self, column: Column) -> list[float]:
        """A column's figure for each seed that has one."""
        found = (column.read(figure) for figure in self.by_seed.values())
        return [value for value in found if not math.isnan(value)]

    def mean(self, column: Column) -> float | None:
        """Mean over seeds; ``None`` where there is none."""
        values = self.values(column)
        return statistics.mean(values) if values else None

    def deviation(self, column: Column) -> float | None:
        """Standard deviation over seeds (n - 1); ``None`` below two."""
        values = self.values(column)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass
class Collected:
    """Everything that a table says.

    Arguments
    ---------
    table : Table
        Which.
    entries : list of Entry
        In the order of rows, then groups.
    states : mapping of Cell to State
        Of all cells.
    synthetic : bool
        Whether any of it is synthetic speech.
    resamples : int
        Of every bootstrap.
    """

    table: Table
    entries: list[Entry]
    states: Mapping[Cell, State]
    synthetic: bool
    resamples: int

    def entry(self, row: Row, group: Group) -> Entry:
        """One of them."""
        return next(e for e in self.entries if e.row is row and e.group is group)

    def marked(self) -> int:
        """How many runs lack figures that the table needs."""
        marked = (e.cells[key] for e in self.entries for key in e.marks)
        return len({cell.folder for cell in marked})


def collect(
    table: Table,
    cells: Cells,
    states: Mapping[Cell, State],
    marks: Mapping[Cell, str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Collected:
    """Figures, intervals and comparisons of a table.

    Arguments
    ---------
    table : Table
        Which.
    cells : Cells
        That made the states' cells.
    states : mapping of Cell to State
        Of every cell of the table, and maybe of others.
    marks : mapping of Cell to str
        What is wrong with those that are not finished.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    Collected
        A seed counts where all its folds are there; what is missing is in the entry's marks.
    """
    entries = []
    for row, group in table.pairs():
        own = cells.of(table, row, group)
        entry = Entry(row, group, own, {key: marks[c] for key, c in own.items() if c in marks})
        _fill(entry, states)
        entries.append(entry)
    own = {cell: states[cell] for entry in entries for cell in entry.cells.values()}
    found = Collected(table, entries, own, _any_synthetic(own.values()), resamples)
    for entry in entries:
        if entry.tables:
            entry.interval = intervals(list(entry.tables.values()), resamples=resamples, seed=seed)
    for group in table.groups:
        _compare(found, group, resamples=resamples, seed=seed)
    return found


def _fill(entry: Entry, states: Mapping[Cell, State]) -> None:
    seeds = dict.fromkeys(seed for seed, _ in entry.cells)
    for seed in seeds:
        own = {fold: cell for (s, fold), cell in entry.cells.items() if s == seed}
        if any((seed, fold) in entry.marks for fold in own):
            continue
        parts = [states[cell].predictions for cell in own.values()]
        pooled = _pool(parts)
        if not pooled["ID"].is_unique:
            for fold in own:
                entry.marks = {**entry.marks, (seed, fold): "its folds share utterances"}
            continue
        entry.tables[seed] = pooled
        entry.by_seed[seed] = figures(pooled)
        heads = [_head(states[cell].metrics) for cell in own.values()]
        if all(heads):
            keys = ("accuracy", "macro_f1")
            entry.by_seed[seed]["head_seen"] = {
                key: statistics.mean(head[key] for head in heads) for key in keys
            } | {"epochs": sorted({head["epoch"] for head in heads})}
    _refuse_unlike_seeds(entry)


def _refuse_unlike_seeds(entry: Entry) -> None:
    """Mark a row whose seeds are of other utterances or labels: nobody can tell which are right."""
    if len(entry.tables) < 2:
        return
    try:
        aligned(list(entry.tables.values()))
    except ValueError as error:
        unlike = dict.fromkeys(entry.cells, f"its seeds do not go together: {error}")
        entry.marks = {**unlike, **entry.marks}
        entry.tables, entry.by_seed = {}, {}


def _pool(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Predictions of all folds; columns that only some have (a head's) are left out."""
    if len(parts) == 1:
        return parts[0]
    shared = [column for column in parts[0] if all(column in part for part in parts)]
    return pd.concat([part[shared] for part in parts], ignore_index=True)


def _head(metrics: Mapping) -> Mapping | None:
    """The head's figures on the development set, of the epoch in which it was last trained."""
    head = metrics["protocol"].get("auxiliary_head") or {}
    known = all(head.get(key) is not None for key in ("accuracy", "macro_f1", "epoch"))
    return head if known else None


def _compare(found: Collected, group: Group, *, resamples: int, seed: int) -> None:
    """Each row of a block against the reference row."""
    reference = found.table.reference
    own = [entry for entry in found.entries if entry.group is group]
    base = next((entry for entry in own if entry.row.name == reference), None)
    if base is None or not base.tables:
        return
    others = [entry for entry in own if entry is not base]
    for entry in others:
        if entry.tables:
            try:
                entry.difference = compare(
                    list(entry.tables.values()), list(base.tables.values()),
                    resamples=resamples, seed=seed,
                )  # fmt: skip
            except ValueError as error:  # other utterances: each row's figures hold, no difference
                entry.not_compared = str(error)
    for column in (column for column in found.table.columns if column.compared):
        name = column.compared
        raw = [entry.difference[name]["p"] if entry.difference else None for entry in others]
        for entry, p in zip(others, holm(raw), strict=True):
            entry.corrected[name] = p


def _any_synthetic(states: Iterable[State]) -> bool:
    return any(s.metrics["protocol"]["synthetic"] for s in states if s.metrics)
