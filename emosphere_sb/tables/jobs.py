"""From cells to runs: what is missing is run, what was interrupted goes on."""

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
from emosphere_sb.recipe.cross_corpus import other_corpus
from emosphere_sb.recipe.workspace import prepare_corpus
from emosphere_sb.tables.cells import ABOUT, Cell, Cells
from emosphere_sb.tables.launcher import BEGUN, SCREEN, Job, Launcher
from emosphere_sb.tables.progress import Progress
from emosphere_sb.tables.status import DAMAGED, FINISHED, TO_RUN, State, inspect
from emosphere_sb.training.preemption import STOPPED

if TYPE_CHECKING:  # only recipe/ reads corpora; here its summaries are passed on
    from data_prep.summary import Summary

logger = logging.getLogger(__name__)


class Preparations:
    """Manifests, made once before any run: runs at the same time would each make them.

    Arguments
    ---------
    cells : Cells
        Whose runs need them.
    """

    def __init__(self, cells: Cells):
        self._cells, self._made = cells, {}

    def of(self, cell: Cell) -> Summary:
        """The preparation of a cell's corpus, with the cell's settings.

        Raises
        ------
        ValueError, OSError
            If the corpus cannot be read.
        """
        settings = scalars(self._cells.tree(cell))
        asked = {
            "min_duration",
            "max_duration",
            "out_of_range_labels",
            "data_folder",
            "synthetic_corpus",
        }
        asked |= reader_settings(cell.corpus)
        key = json.dumps([cell.corpus, {k: settings.get(k) for k in sorted(asked)}], default=str)
        if key not in self._made:
            self._made[key] = prepare_corpus(settings, cell.corpus)
        return self._made[key]

    def tested_on(self, cell: Cell) -> dict | None:
        """What its figures must say of the other corpus; ``None`` where there is none.

        Raises
        ------
        ValueError, OSError
            If that corpus cannot be read.
        """
        if cell.test_corpus is None:
            return None
        own, settings = self.of(cell), scalars(self._cells.tree(cell))
        key = (
            id(own),
            *(settings[f"test_{name}"] for name in ("corpus", "data_folder", "options")),
        )
        if key not in self._made:
            self._made[key] = other_corpus(settings, own)
        return self._made[key].facts()


def inspect_all(
    wanted: Iterable[Cell], cells: Cells, preparations: Preparations | None
) -> dict[Cell, State]:
    """Where each cell stands; without preparations the runs' own records are believed."""
    given = (
        (cell, (preparations.of(cell), preparations.tested_on(cell)) if preparations else ())
        for cell in dict.fromkeys(wanted)
    )
    return {cell: inspect(cell, cells, *data) for cell, data in given}


def jobs_of(states: Mapping[Cell, State], *, rerun_damaged: bool) -> list[Job]:
    """The runs that are to be made: equal cells once, one folder's one after the other.

    Arguments
    ---------
    states : mapping of Cell to State
        All cells.
    rerun_damaged : bool
        Whether damaged cells are run again.
    """
    kinds = (*TO_RUN, DAMAGED) if rerun_damaged else TO_RUN
    names = _names(states)
    by_folder: dict = {}
    for cell, state in states.items():
        if state.kind in kinds:
            by_folder.setdefault(cell.folder, []).append(cell)
    jobs = []
    for folder, found in by_folder.items():
        # A run with another corpus to test on leaves its own figures as well.
        others = [cell for cell in found if cell.test_corpus] or found[:1]
        alike = [replace(cell, preset=names[folder]) for cell in others]
        commands = dict.fromkeys(tuple(cell.command()) for cell in alike)
        jobs.append(Job(folder, found[0].corpus, tuple(commands)))
    return jobs


def _names(states: Mapping[Cell, State]) -> dict[Path, str]:
    """Under which rows each folder's run is made: those of its first cell."""
    return {cell.folder: cell.preset for cell in reversed(states)}


def run_jobs(
    jobs: list[Job], states: Mapping[Cell, State], cells: Cells, launcher: Launcher
) -> dict:
    """Run them, saying what has ended.

    Returns
    -------
    dict
        Folder of each run that failed: why, in a line.
    """
    first = {cell.folder: cell for cell in reversed(states)}
    for job in jobs:
        about = job.folder / ABOUT
        if not about.is_file():
            job.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(about, json.dumps({"preset": _names(states)[job.folder]}))
    epochs = {job.folder: cells.tree(first[job.folder])["number_of_epochs"] for job in jobs}
    progress, failed = Progress(jobs, epochs, say=logger.info), {}
    with closing(launcher.run(jobs)) as running:
        for job, status in running:
            cell = first[job.folder]
            name = f"{cell.corpus} {cell.preset or 'emosphere'} seed {cell.seed}"
            if "fold" in reader_settings(cell.corpus):
                name += f" fold {cell.fold}"
            if status:
                failed[job.folder] = why(job, status)
                progress.end(job, f"{name}: FAILED, {failed[job.folder]}")
            else:
                progress.end(job, f"{name}: {_score(cell)}")
    return failed


def why(job: Job, status: int) -> str:
    """Why a run failed: the last error that it named."""
    if status == STOPPED:
        return "stopped and saved; the same command goes on"
    screen = job.folder / SCREEN
    whole = screen.read_text(encoding="utf-8", errors="replace")
    lines = whole.rpartition(f"\n{BEGUN}")[2].splitlines()[1:]  # not of an earlier attempt
    said = [line for line in lines if "rror" in line and ":" in line] or lines or ["no word"]
    return f"exit status {status}: {said[-1][:300]} (all of it: {screen})"


def _score(cell: Cell) -> str:
    metrics = json.loads(cell.metrics.read_text(encoding="utf-8"))
    score = metrics.get(cell.set, {}).get("mean_ccc")
    seconds = metrics["run"]["process_seconds"]
    figure = "no CCC" if score is None else f"mean CCC {score:.3f} on {cell.set}"
    return f"{figure} in {seconds:.0f} s"


def marks(states: Mapping[Cell, State], failed: Mapping) -> dict[Cell, str]:
    """What is wrong with each cell that has no figures; those with figures are left out."""
    found = {}
    for cell, state in states.items():
        if state.kind == FINISHED:
            continue
        reason = failed.get(cell.folder) if state.kind != DAMAGED else None
        found[cell] = f"failed: {reason}" if reason else _mark(state)
    return found


def _mark(state: State) -> str:
    return f"{state.kind}: {state.reason}" if state.reason else state.kind
