"""Jobs of a table, which start missing runs and resume interrupted ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.recipe.corpora import reader_settings
from emosphere_sb.recipe.cross_corpus import prepare_other_corpus
from emosphere_sb.recipe.workspace import prepare_corpus
from emosphere_sb.tables.cells import CELL_FILE, Cell, Cells
from emosphere_sb.tables.launcher import COMMAND_PREFIX, LOG_FILE, Job, Launcher
from emosphere_sb.tables.progress import Progress
from emosphere_sb.tables.status import DAMAGED, FINISHED, TO_RUN, State, inspect
from emosphere_sb.training.preemption import EXIT_INTERRUPTED, EXIT_STOPPED

if TYPE_CHECKING:  # this package must not depend on data_prep (see CONTRIBUTING.md)
    from data_prep.summary import Summary

logger = logging.getLogger(__name__)


class Preparations:
    """Prepared corpora. Each corpus is prepared only once, before any parallel runs start.

    Arguments
    ---------
    cells : Cells
        Factory of the cells to run.
    """

    def __init__(self, cells: Cells):
        self._cells, self._prepared = cells, {}

    def of(self, cell: Cell) -> Summary:
        """Prepare the training corpus of a cell, or return its earlier preparation.

        Raises
        ------
        ValueError, OSError
            If the corpus cannot be read.
        """
        settings = scalars(self._cells.tree(cell))
        names = {
            "min_duration",
            "max_duration",
            "out_of_range_labels",
            "channel",
            "data_folder",
            "synthetic_corpus",
        }
        names |= reader_settings(cell.corpus)
        key = json.dumps([cell.corpus, {k: settings.get(k) for k in sorted(names)}], default=str)
        if key not in self._prepared:
            self._prepared[key] = prepare_corpus(settings, cell.corpus)
        return self._prepared[key]

    def tested_on(self, cell: Cell) -> dict | None:
        """Return the metadata of the test corpus of a cross-corpus test; ``None`` for other cells.

        Raises
        ------
        ValueError, OSError
            If the test corpus cannot be read.
        """
        if cell.test_corpus is None:
            return None
        own, settings = self.of(cell), scalars(self._cells.tree(cell))
        key = (
            id(own),
            *(settings[f"test_{name}"] for name in ("corpus", "data_folder", "options")),
        )
        if key not in self._prepared:
            self._prepared[key] = prepare_other_corpus(settings, own)
        return self._prepared[key].metadata()


def inspect_all(
    wanted: Iterable[Cell], cells: Cells, preparations: Preparations | None
) -> dict[Cell, State]:
    """Return the state of each cell. Without preparations, the data of runs are not checked."""
    given = (
        (cell, (preparations.of(cell), preparations.tested_on(cell)) if preparations else ())
        for cell in dict.fromkeys(wanted)
    )
    return {cell: inspect(cell, cells, *data) for cell, data in given}


def create_jobs(states: Mapping[Cell, State], *, rerun_damaged: bool) -> list[Job]:
    """Create one job per folder, with one command for each distinct run in that folder.

    Arguments
    ---------
    states : mapping of Cell to State
        States of all cells.
    rerun_damaged : bool
        Whether to rerun damaged runs.
    """
    kinds = (*TO_RUN, DAMAGED) if rerun_damaged else TO_RUN
    names = _presets(states)
    by_folder: dict = {}
    for cell, state in states.items():
        if state.kind in kinds:
            by_folder.setdefault(cell.folder, []).append(cell)
    jobs = []
    for folder, found in by_folder.items():
        # A run with a cross-corpus test also writes the metrics of its own corpus.
        to_run = [cell for cell in found if cell.test_corpus] or found[:1]
        renamed = [replace(cell, preset=names[folder]) for cell in to_run]
        commands = dict.fromkeys(tuple(cell.command()) for cell in renamed)
        jobs.append(Job(folder, found[0].corpus, tuple(commands)))
    return jobs


def _presets(states: Mapping[Cell, State]) -> dict[Path, str]:
    """Return the presets of the first cell of each run folder."""
    return {cell.folder: cell.preset for cell in reversed(states)}


def run_jobs(
    jobs: list[Job], states: Mapping[Cell, State], cells: Cells, launcher: Launcher
) -> dict:
    """Run all jobs and log the progress.

    Returns
    -------
    dict
        One-line reason for each failed run, by folder.
    """
    first = {cell.folder: cell for cell in reversed(states)}
    for job in jobs:
        file = job.folder / CELL_FILE
        if not file.is_file():
            job.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(file, json.dumps({"preset": _presets(states)[job.folder]}))
    epochs = {job.folder: cells.tree(first[job.folder])["number_of_epochs"] for job in jobs}
    progress, failed = Progress(jobs, epochs, log=logger.info), {}
    with closing(launcher.run(jobs)) as running:
        for job, status in running:
            cell = first[job.folder]
            name = f"{cell.corpus} {cell.preset or 'emosphere'} seed {cell.seed}"
            if "fold" in reader_settings(cell.corpus):
                name += f" fold {cell.fold}"
            if status:
                failed[job.folder] = failure_reason(job, status)
                progress.end(job, f"{name}: FAILED: {failed[job.folder]}")
            else:
                progress.end(job, f"{name}: {_score(cell)}")
    return failed


def failure_reason(job: Job, status: int) -> str:
    """Return why a run failed: the last error message in its console output."""
    if status in (EXIT_STOPPED, EXIT_INTERRUPTED):
        return "interrupted after saving a checkpoint; re-run the same command to resume"
    file = job.folder / LOG_FILE
    text = file.read_text(encoding="utf-8", errors="replace")
    lines = text.rpartition(f"\n{COMMAND_PREFIX}")[2].splitlines()[1:]  # skip earlier attempts
    errors = [line for line in lines if "rror" in line and ":" in line] or lines or ["no output"]
    return f"exit status {status}: {errors[-1][:300]} (full output: {file})"


def _score(cell: Cell) -> str:
    metrics = json.loads(cell.metrics.read_text(encoding="utf-8"))
    score = metrics.get(cell.set, {}).get("mean_ccc")
    seconds = metrics["run"]["process_seconds"]
    result = "no CCC" if score is None else f"mean CCC {score:.3f} on {cell.set}"
    return f"{result} in {seconds:.0f} s"


def problems(states: Mapping[Cell, State], failed: Mapping) -> dict[Cell, str]:
    """Return the reason for each cell without results."""
    found = {}
    for cell, state in states.items():
        if state.kind == FINISHED:
            continue
        reason = failed.get(cell.folder) if state.kind != DAMAGED else None
        found[cell] = f"failed: {reason}" if reason else _problem(state)
    return found


def _problem(state: State) -> str:
    return f"{state.kind}: {state.reason}" if state.reason else state.kind
