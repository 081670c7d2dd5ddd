"""Build tables, rows, cells and their runs without tables.yaml."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from emosphere_sb.fileio.yaml_tree import dump
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.recipe.workspace import DATA_FILE
from emosphere_sb.results.metrics_json import (
    prediction_digests,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.tables.cells import Cell
from emosphere_sb.tables.collect import collect
from emosphere_sb.tables.spec import Group, Row, Table
from emosphere_sb.tables.status import FINISHED, NOT_STARTED, State

SCALE = Scale(1, 7)


def make_table(**changes):
    facts = {
        "name": "t", "caption": "T", "preset": "", "seeds": (1,), "groups": (), "columns": (),
        "labels": ("model",), "reference": None, "rows": (),
    }  # fmt: skip
    return Table(**{**facts, **changes})


def make_row(name="r", preset="", options=None, corpus=None, published=()):
    return Row(name, (name,), preset, options or {}, corpus, published)


def make_group(corpus="MSP-Podcast", name="test1", *, tested_on=None, elsewhere=None, folds=1, **o):
    return Group(tested_on or corpus, corpus, name, elsewhere or name, folds, o)


def cell(cells, line=None, block=None, **changes):
    """Return the only cell of a row in a group; ``changes`` are fields of the table."""
    table = make_table(**changes)
    (found,) = cells.of(table, line or make_row(), block or make_group()).values()
    return found


def predictions(noise=0.5, *, seed=0, first=0, number=40):
    """Generate predictions for 12 speakers; the labels do not depend on noise and seed."""
    ids = range(first, first + number)
    truth = np.array([np.random.default_rng(900 + i).uniform(1.5, 6.5, 3) for i in ids])
    guess = truth + np.random.default_rng(seed).normal(0, noise, truth.shape)
    table = pd.DataFrame({"ID": [f"u{i:03d}" for i in ids]})
    table["speaker"] = [f"s{i % 12}" for i in ids]
    table[list(DIMENSIONS)] = truth
    table[list(PREDICTED)] = guess
    table["region"] = np.where(truth[:, 0] >= 4, "I", "II")
    table["region_point"] = np.where(guess[:, 0] >= 4, "I", "II")
    return table


def finish(cells, cell, table, *, synthetic=False, head=None, tests=None, data=None, **run):
    """Write the folder of a finished run of a cell with these predictions."""
    folder, name = cell.folder, cell.set
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SAVED).write_text(dump(cells.tree(cell)), encoding="utf-8")
    (folder / DATA_FILE).write_text(json.dumps(data or {}))
    results = write_and_score_sets(folder, {name: table})
    if tests is not None:
        results[name]["auxiliary_head"] = tests
    digests = prediction_digests(folder, {name: table})
    if cell.metrics.is_file():  # from another set
        digests = json.loads(cell.metrics.read_text())["run"]["predictions"] | digests
    protocol, facts = about(synthetic=synthetic, head=head, predictions=digests, **run)
    write_metrics(cell.metrics, results, protocol, facts, {})


def about(*, synthetic=False, head=None, **run):
    """Return the ``protocol`` and ``run`` blocks of metrics.json."""
    protocol = {
        "scale": SCALE.to_dict(), "synthetic": synthetic, "auxiliary_head": head,
        "versions": {"torch": "2"},
    }  # fmt: skip
    return protocol, {
        "commit": "c0ffee", "command": "python recipe", "machine": "a box", "process_seconds": 3.5,
        **run,
    }  # fmt: skip


class NoCells:
    """Stand-in for :class:`Cells` without settings, in which each cell is a separate run."""

    def of(self, table, row, group):
        """Return the cells like ``Cells.of``."""
        folder = Path("runs", group.tested_on, row.name)
        return {
            (seed, fold): Cell(
                group.tested_on, row.preset, (f"--seed={seed}",), seed, fold, group.set,
                folder / f"{seed}-{fold}", None,
            )
            for seed in table.seeds
            for fold in range(1, group.folds + 1)
        }  # fmt: skip


def done(table, *, name="test1", tests=None, **options) -> State:
    """Return the state of a finished run with these predictions, and head metrics of a set."""
    protocol, run = about(**options)
    own = {} if tests is None else {name: {"auxiliary_head": tests}}
    return State(FINISHED, "", {"protocol": protocol, "run": run, **own}, table)


def gathered(fill, table, marks=None, **options):
    """Collect a table.

    ``fill(cell, row)`` returns the state of a cell; ``marks`` gives reasons by (row, seed, fold).
    """
    states, marked = {}, {}
    for row, group in table.pairs():
        for (seed, fold), cell in NoCells().of(table, row, group).items():
            reason = (marks or {}).get((row.name, seed, fold))
            states[cell] = State(NOT_STARTED) if reason else fill(cell, row)
            marked |= {cell: reason} if reason else {}
    return collect(table, NoCells(), states, marked, **{"resamples": 99, **options})


def ccc(table, name) -> float:
    """Compute the concordance correlation coefficient (Lin, 1989) with population variances."""
    x, y = table[name].to_numpy(), table[f"{name}_predicted"].to_numpy()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
