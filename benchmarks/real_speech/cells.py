"""The runs of the tables on real speech: their definitions, and running the missing ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emosphere_sb.tables.cells import Cell, Cells
from emosphere_sb.tables.collect import TableEntry, collect
from emosphere_sb.tables.jobs import Preparations, create_jobs, inspect_all, problems, run_jobs
from emosphere_sb.tables.spec import Table, read_table_spec, table_names
from emosphere_sb.tables.status import State
from real_speech.pool import PoolLauncher

ENCODER = "ENCODER"
"""Placeholder for the folder of the encoder in the definitions of the tables."""


@dataclass(frozen=True)
class Settings:
    """Settings of the tables on real speech.

    Arguments
    ---------
    data : Path
        Folder of the corpus, in the format of OwnData.
    encoder : Path
        Folder of the pretrained encoder.
    tables : Path
        Definitions of the tables.
    results : Path
        Folder for runs and features.
    jobs : int
        Number of parallel runs.
    resamples : int
        Number of bootstrap resamples.
    """

    data: Path
    encoder: Path
    tables: Path
    results: Path
    jobs: int = 2
    resamples: int = 10_000


def read_tables(settings: Settings) -> list[Table]:
    """Read the definitions of the tables, with the folder of the encoder."""
    tables = [read_table_spec(name, settings.tables) for name in table_names(settings.tables)]
    return [
        replace(
            table,
            groups=tuple(
                replace(group, options=with_encoder(group.options, settings.encoder))
                for group in table.groups
            ),
        )
        for table in tables
    ]


def with_encoder(options: Mapping[str, str], encoder: Path) -> dict[str, str]:
    """Replace the placeholder for the encoder in options.

    Example
    -------
    >>> with_encoder({"backbone": "ENCODER", "lr": "0.1"}, Path("whisper"))
    {'backbone': 'whisper', 'lr': '0.1'}
    """
    return {key: str(encoder) if value == ENCODER else value for key, value in options.items()}


@dataclass(frozen=True)
class Runs:
    """Runs of the tables with their states.

    Arguments
    ---------
    tables : list of Table
        Definitions.
    cells : Cells
        Factory of the cells.
    states : dict of Cell to State
        State of each cell.
    problems : dict of Cell to str
        Reason for each cell without results.
    """

    tables: list[Table]
    cells: Cells
    states: dict[Cell, State]
    problems: dict[Cell, str]

    def entries(self, table: Table, resamples: int) -> list[TableEntry]:
        """Return metrics, predictions and intervals of the rows of a table."""
        found = collect(table, self.cells, self.states, self.problems, resamples=resamples)
        return found.entries


def run_missing(settings: Settings, *, only_collect: bool = False) -> Runs:
    """Start the missing runs, one table after the other, and return all runs."""
    tables = read_tables(settings)
    cells = Cells(settings.results, data_folders={"OwnData": str(settings.data)})
    wanted = _cells(tables, cells)
    preparations = Preparations(cells)
    states = inspect_all(wanted, cells, preparations)
    jobs = [] if only_collect else create_jobs(states, rerun_damaged=True)
    print(f"{len({cell.folder for cell in wanted})} runs, {len(jobs)} of them to do", flush=True)
    failed: dict = {}
    if jobs:
        failed = run_jobs(jobs, states, cells, PoolLauncher(settings.jobs))
        touched = {job.folder for job in jobs}
        changed = [cell for cell in wanted if cell.folder in touched]
        states |= inspect_all(changed, cells, preparations)
    return Runs(tables, cells, states, problems(states, failed))


def _cells(tables: Sequence[Table], cells: Cells) -> list[Cell]:
    every = (cells.of(table, *pair).values() for table in tables for pair in table.pairs())
    return list(dict.fromkeys(cell for part in every for cell in part))
