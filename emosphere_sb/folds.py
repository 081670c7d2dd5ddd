"""``--fold=all``: every fold one after the other, and a summary over them."""

from __future__ import annotations

import copy
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from ruamel.yaml.comments import CommentedMap

from emosphere_sb.hparams import ALL_FOLDS, SAVED, differences, read_tree, scalars
from emosphere_sb.report.figures import figures, write_json
from emosphere_sb.report.predictions import read_predictions
from emosphere_sb.report.screen import APART
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.workspace import default_folder, prepare_corpus

logger = logging.getLogger(__name__)

QUOTED = ("corpus", "partition", "row", "seed", "synthetic")


def run_folds(tree: CommentedMap, options: dict, *, corpus: str, run) -> dict:
    """Run every fold that is not finished, then sum them up.

    Arguments
    ---------
    tree : CommentedMap
        Merged hyperparameters whose ``fold`` is ``all``.
    options : dict
        SpeechBrain's run options.
    corpus : str
        One of ``CORPORA``.
    run : callable
        ``run(tree, options, corpus=corpus)``: one fold's run.

    Returns
    -------
    dict
        What stands in ``summary.json``.

    Raises
    ------
    ValueError
        If the corpus has no folds, or ``output_folder`` is given: each fold has its own.
    """
    if tree["output_folder"]:
        raise ValueError("--fold=all gives each fold its own folder; leave --output_folder out.")
    folders, folds = [], {}
    for number in range(1, number_of_folds(tree, corpus) + 1):
        one = copy.deepcopy(tree)
        one["fold"] = number
        folder = fold_folder(one, corpus)
        folds[str(number)] = finished(one, folder) or run(one, options, corpus=corpus)
        folders.append(folder)
    summary = summarise(folds, folders)
    place = folders[0].parent.with_name(folders[0].parent.name.rpartition("-")[0] + f"-{ALL_FOLDS}")
    place = place / folders[0].name
    place.mkdir(parents=True, exist_ok=True)
    write_json(summary, place / "summary.json")
    logger.info("Summary over %d folds: %s", len(folds), place / "summary.json")
    return {**summary, "folder": str(place)}


def number_of_folds(tree: CommentedMap, corpus: str) -> int:
    """How many folds the chosen partition has."""
    protocol = prepare_corpus({**scalars(tree), "fold": 1}, corpus).protocol
    if "folds" not in protocol:
        raise ValueError(
            f"The partition {protocol['partition']!r} of {corpus} has no folds; leave --fold=all "
            f"out, or choose one that has with --partition=…."
        )
    return protocol["folds"]


def fold_folder(tree: CommentedMap, corpus: str) -> Path:
    """Where a fold's run lies."""
    settings = scalars(tree)
    return default_folder(settings, prepare_corpus(settings, corpus))


def finished(tree: CommentedMap, folder: Path) -> dict | None:
    """The metrics of a fold that ran to its end with the same settings, if there are any."""
    path, saved = folder / "metrics.json", folder / SAVED
    if not path.is_file() or not saved.is_file() or differences(tree, read_tree(saved)):
        return None
    logger.info("Finished before: %s", folder)
    return json.loads(path.read_text(encoding="utf-8"))


def summarise(folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """Figures of each test set by fold, their mean and deviation, and of all predictions pooled.

    The two differ: the mean over folds weighs every fold alike and sees no difference between
    folds' means, the pooled CCC does.
    """
    metrics = next(iter(folds.values()))
    names = [name for name in metrics if name not in (*APART, "valid")]
    return {
        "by_fold": {name: over_folds(name, folds, folders) for name in names},
        "protocol": {key: metrics["protocol"][key] for key in QUOTED},
    }


def over_folds(name: str, folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """One test set over all folds."""
    by_fold = {number: ccc_of(metrics[name]) for number, metrics in folds.items()}
    columns = {key: [row[key] for row in by_fold.values()] for key in (*DIMENSIONS, "mean_ccc")}
    tables = [read_predictions(folder / "predictions" / f"{name}.csv") for folder in folders]
    return {
        "folds": by_fold,
        "mean_over_folds": {key: statistics.mean(values) for key, values in columns.items()},
        "deviation_over_folds": {key: deviation(values) for key, values in columns.items()},
        "pooled": ccc_of(figures(pd.concat(tables, ignore_index=True))),
        "utterances": sum(len(table) for table in tables),
    }


def ccc_of(figures_of_set: Mapping) -> dict[str, float]:
    """CCC of each dimension and their mean."""
    ccc = {name: figures_of_set[name]["ccc"] for name in DIMENSIONS}
    return {**ccc, "mean_ccc": figures_of_set["mean_ccc"]}


def deviation(values: Sequence[float]) -> float:
    """Standard deviation over folds (n - 1); 0 for one fold."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
