"""Cross-validation with ``--fold=all``: one run per fold, and a summary over the folds."""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import TRAINING_SETS, Summary
from emosphere_sb.distributed import broadcast_from_main, is_main_process, local_rank_first
from emosphere_sb.fileio.json_file import make_folder, read_json_mapping
from emosphere_sb.fileio.yaml_tree import copy_tree, read_tree, scalars
from emosphere_sb.recipe.cross_corpus import OtherCorpus, metrics_file, prepare_other_corpus
from emosphere_sb.recipe.hparams import ALL_FOLDS, SAVED, differences
from emosphere_sb.recipe.workspace import default_run_folder, matches_data, prepare_corpus
from emosphere_sb.results.constants import NON_SET_KEYS
from emosphere_sb.results.metrics_json import results_error
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.results.scores import prediction_metrics, write_json
from emosphere_sb.scale import DIMENSIONS

logger = logging.getLogger(__name__)

COLUMNS = (*DIMENSIONS, "mean_ccc")
FOLD_KEYS = ("partition", "partition_seed", "folds", "fold")  # identify a fold in the protocol
POOLED = ("ID", *DIMENSIONS, *PREDICTED)  # columns of the predictions that are pooled


def run_folds(tree: CommentedMap, options: dict, *, corpus: str, run) -> dict:
    """Run all unfinished folds and summarise the results.

    All folds are prepared before the first one is trained, so errors in the preparation of any fold
    are found immediately.

    Arguments
    ---------
    tree : CommentedMap
        Merged hyperparameters whose ``fold`` is ``all``.
    options : dict
        SpeechBrain's run options.
    corpus : str
        Name of the corpus, a key of ``emosphere_sb.recipe.corpora.CORPORA``.
    run : callable
        Function ``run(tree, options, corpus=corpus)`` that runs one fold.

    Returns
    -------
    dict
        Content of ``summary.json``.

    Raises
    ------
    ValueError
        If the corpus has no folds, or ``output_folder`` is given.
    """
    if tree["output_folder"]:
        raise ValueError(
            "--output_folder cannot be combined with --fold=all, which writes one folder per fold. "
            "Use --results_folder instead."
        )
    folders, results = [], {}
    prepared = prepared_folds(tree, corpus)
    settings = scalars(tree)
    with local_rank_first() as first:
        settings["reuse_manifests"] |= not first
        other = prepare_other_corpus(settings, prepared[0][1])
    for one, summary in prepared:
        folder = default_run_folder(scalars(one), summary)
        if not broadcast_from_main(is_finished(one, folder, summary, other)):
            run(one, options, corpus=corpus)
        results[str(one["fold"])] = load_results(folder, one["test_corpus"])
        folders.append(folder)
    result = summarise_folds(results, folders)
    name = f"{result['protocol']['partition']}-{ALL_FOLDS}"
    folder = folders[0].parent.with_name(name) / folders[0].name
    if is_main_process():
        make_folder(folder)
        write_json(result, folder / "summary.json")
    logger.info("Summary over %d folds: %s", len(results), folder / "summary.json")
    return {**result, "folder": str(folder)}


def prepared_folds(tree: CommentedMap, corpus: str) -> list[tuple[CommentedMap, Summary]]:
    """Prepare all folds; return the hyperparameters and the preparation summary of each."""
    prepared, number, last = [], 1, 1
    while number <= last:
        one = copy_tree(tree)
        one["fold"] = number
        settings = scalars(one)
        with local_rank_first() as first:
            settings["reuse_manifests"] |= not first
            summary = prepare_corpus(settings, corpus)
        if "folds" not in summary.protocol:
            raise ValueError(
                f"The partition {summary.protocol.get('partition')!r} of {corpus} has no folds. "
                f"Remove --fold=all, or use --partition=… to choose a partition with folds."
            )
        if not summary.sets.keys() - {*TRAINING_SETS}:
            raise ValueError(
                f"Each fold must have a test set; fold {number} of {corpus} has none. "
                f"{' '.join(summary.warnings)}"
            )
        last = summary.protocol["folds"]
        prepared.append((one, summary))
        number += 1
    return prepared


def is_finished(
    tree: CommentedMap, folder: Path, summary: Summary, other: OtherCorpus | None = None
) -> bool:
    """Return whether a fold has already finished with the same settings and data.

    A fold whose results were damaged or modified after the run has to be tested again.
    """
    saved = folder / SAVED
    if not saved.is_file() or not (folder / "metrics.json").is_file():
        return False
    if differences(tree, read_tree(saved)) or not matches_data(folder, summary):
        return False  # the run itself raises an error that lists the differences
    files = [folder / "metrics.json"]
    if other is not None:
        if not metrics_file(folder, other.name).is_file():
            return False
        files.append(metrics_file(folder, other.name))
    if errors := list(filter(None, map(results_error, files))):
        logger.warning("Testing %s again: %s.", folder, errors[0])
        return False
    protocol = _read_metrics(folder / "metrics.json")["protocol"]
    if wrong := [key for key in FOLD_KEYS if protocol.get(key) != summary.protocol.get(key)]:
        logger.warning(
            "Testing %s again: its metrics.json belongs to another fold (%s is %s instead of %s).",
            folder, wrong[0], protocol.get(wrong[0]), summary.protocol.get(wrong[0]),
        )  # fmt: skip
        return False
    if other is not None and not is_tested_on(folder, other):
        return False
    logger.info("Already finished: %s", folder)
    return True


def is_tested_on(folder: Path, other: OtherCorpus) -> bool:
    """Return whether a cross-corpus test has already finished on exactly these data."""
    path = metrics_file(folder, other.name)
    if not path.is_file():
        return False
    protocol = _read_metrics(path)["protocol"]
    return protocol.get("tested_on") == json.loads(json.dumps(other.metadata()))


def load_results(folder: Path, other: str | None) -> dict:
    """Return the metrics of a finished run, including those of a cross-corpus test."""
    metrics = _read_metrics(folder / "metrics.json")
    if other:
        external = _read_metrics(metrics_file(folder, other))
        metrics |= {name: row for name, row in external.items() if name not in NON_SET_KEYS}
        metrics["protocol"]["tested_on"] = external["protocol"]["tested_on"]
    return metrics


def _read_metrics(path: Path) -> dict:
    remedy = "Delete it and re-run the same command to test this fold again."
    return read_json_mapping(path, remedy=remedy, keys=["protocol"])


def summarise_folds(folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """Return the metrics of each test set by fold, their mean and SD, and the pooled metrics.

    The pooled CCC is computed on the predictions of all folds. Unlike the mean over folds, it
    weights folds by size and is sensitive to differences between fold means.
    """
    first, *others = folds.values()
    names = [name for name in first if name not in (*NON_SET_KEYS, "valid")]
    protocol = {  # entries that are the same in all folds
        key: value
        for key, value in first["protocol"].items()
        if all(other["protocol"].get(key) == value for other in others)
    }
    return {
        "by_fold": {name: over_folds(name, folds, folders) for name in names},
        "protocol": protocol,
    }


def over_folds(name: str, folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """Summarise the metrics of one test set over all folds.

    Folds with an undefined CCC (a dimension without labels or with constant values) are excluded
    from the mean and SD; ``defined`` is the number of remaining folds. Predictions are pooled only
    if the test sets of the folds do not overlap. The sets of a cross-corpus test are the same in
    all folds and are not pooled.
    """
    by_fold = {number: ccc_of(metrics[name]) for number, metrics in folds.items()}
    columns = {
        key: [row[key] for row in by_fold.values() if row[key] is not None] for key in COLUMNS
    }
    tables = [read_predictions(folder / "predictions" / f"{name}.csv") for folder in folders]
    # The head's columns are missing if the best epoch is after the end of the auxiliary task.
    pooled = pd.concat([table[list(POOLED)] for table in tables], ignore_index=True)
    return {
        "folds": by_fold,
        "defined": {key: len(values) for key, values in columns.items()},
        "mean_over_folds": {key: _mean(values) for key, values in columns.items()},
        "deviation_over_folds": {key: _deviation(values) for key, values in columns.items()},
        "pooled": ccc_of(prediction_metrics(pooled)) if pooled["ID"].is_unique else None,
        "utterances": int(pooled["ID"].nunique()),
    }


def ccc_of(metrics: Mapping) -> dict[str, float | None]:
    """Return the CCC of each dimension and their mean; ``None`` if undefined."""
    ccc = {name: metrics[name]["ccc"] for name in DIMENSIONS}
    ccc["mean_ccc"] = metrics["mean_ccc"]
    return {key: value if _is_defined(value) else None for key, value in ccc.items()}


def _is_defined(value: float | None) -> bool:
    """Return whether a metric is neither NaN nor ``None`` (NaN is saved as null in JSON)."""
    return value is not None and not math.isnan(value)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    """Return the SD (n - 1 in the denominator); 0 for one value and ``None`` for no values."""
    if not values:
        return None
    return statistics.stdev(values) if len(values) > 1 else 0.0
