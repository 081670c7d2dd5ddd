"""Tables, rows and cells that stand in no file: what tests of tables share."""

import json

import numpy as np
import pandas as pd

from emosphere_sb.hparams import SAVED, dump
from emosphere_sb.report.predictions import PREDICTED
from emosphere_sb.report.run import predictions_digests, report_sets, write_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.tables.grid import Group, Row, Table
from emosphere_sb.workspace import DATA

SCALE = Scale(1, 7)


def make_table(**changes):
    facts = {
        "name": "t", "caption": "T", "row": "", "seeds": (1,), "groups": (), "columns": (),
        "labels": ("model",), "reference": None, "rows": (),
    }  # fmt: skip
    return Table(**{**facts, **changes})


def make_row(name="r", row="", options=None, corpus=None):
    return Row(name, (name,), row, options or {}, corpus, ())


def make_group(corpus="MSP-Podcast", name="test1", *, tested_on=None, elsewhere=None, folds=1, **o):
    return Group(tested_on or corpus, corpus, name, elsewhere or name, folds, o)


def cell(cells, line=None, block=None, **changes):
    """The one cell of a row in a block; changes go to the table."""
    table = make_table(**changes)
    (found,) = cells.of(table, line or make_row(), block or make_group()).values()
    return found


def predictions(noise=0.5, *, seed=0, first=0, number=40):
    """Predictions whose truth is the same for every noise and seed, from 12 speakers."""
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


def finish(cells, cell, table, *, synthetic=False, head=None, data=None, **run):
    """Leave behind what a run of a cell leaves, with these predictions."""
    folder, name = cell.folder, cell.set
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SAVED).write_text(dump(cells.tree(cell)), encoding="utf-8")
    (folder / DATA).write_text(json.dumps(data or {}))
    results = report_sets(folder, {name: table})
    digests = predictions_digests(folder, {name: table})
    if cell.metrics.is_file():  # of another set
        digests |= json.loads(cell.metrics.read_text())["run"]["predictions"]
    protocol = {"scale": SCALE.to_dict(), "synthetic": synthetic, "auxiliary_head": head}
    facts = {
        "predictions": digests, "commit": "c0ffee", "command": "python recipe", "machine": "a box",
        "process_seconds": 3.5, **run,
    }  # fmt: skip
    write_metrics(cell.metrics, results, protocol, facts, {})
