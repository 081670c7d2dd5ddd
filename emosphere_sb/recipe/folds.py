"""``--fold=all``: every fold one after the other, and a summary over them."""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import LEARNED_FROM, Summary
from emosphere_sb.distributed import broadcast_from_main, is_main_process, local_rank_first
from emosphere_sb.fileio.yaml_tree import copy_tree, read_tree, scalars
from emosphere_sb.recipe.cross_corpus import OtherCorpus, metrics_file, other_corpus
from emosphere_sb.recipe.hparams import ALL_FOLDS, SAVED, differences
from emosphere_sb.recipe.workspace import default_folder, is_on, prepare_corpus
from emosphere_sb.results.constants import NON_SET_KEYS
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.results.scores import figures, write_json
from emosphere_sb.scale import DIMENSIONS

logger = logging.getLogger(__name__)

COLUMNS = (*DIMENSIONS, "mean_ccc")
POOLED = ("ID", *DIMENSIONS, *PREDICTED)  # columns of predictions that a CCC needs


def run_folds(tree: CommentedMap, options: dict, *, corpus: str, run) -> dict:
    """Run every fold that is not finished, then sum them up.

    All folds are prepared before the first one is trained, so that a corpus that does not allow one
    of them says so at once.

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
    folders, results = [], {}
    prepared = prepared_folds(tree, corpus)
    settings = scalars(tree)
    with local_rank_first() as first:
        settings["reuse_manifests"] |= not first
        other = other_corpus(settings, prepared[0][1])
    for one, summary in prepared:
        folder = default_folder(scalars(one), summary)
        if not broadcast_from_main(is_finished(one, folder, summary, other)):
            run(one, options, corpus=corpus)
        results[str(one["fold"])] = load_results(folder, one["test_corpus"])
        folders.append(folder)
    found = summarise(results, folders)
    name = f"{found['protocol']['partition']}-{ALL_FOLDS}"
    place = folders[0].parent.with_name(name) / folders[0].name
    if is_main_process():
        place.mkdir(parents=True, exist_ok=True)
        write_json(found, place / "summary.json")
    logger.info("Summary over %d folds: %s", len(results), place / "summary.json")
    return {**found, "folder": str(place)}


def prepared_folds(tree: CommentedMap, corpus: str) -> list[tuple[CommentedMap, Summary]]:
    """The tree and the manifests of each fold."""
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
                f"The partition {summary.protocol.get('partition')!r} of {corpus} has no folds; "
                f"leave --fold=all out, or choose one that has with --partition=…."
            )
        if not summary.sets.keys() - {*LEARNED_FROM}:
            raise ValueError(
                f"Every fold must have a test set; fold {number} of {corpus} has none. "
                f"{' '.join(summary.warnings)}"
            )
        last = summary.protocol["folds"]
        prepared.append((one, summary))
        number += 1
    return prepared


def is_finished(
    tree: CommentedMap, folder: Path, summary: Summary, other: OtherCorpus | None = None
) -> bool:
    """Whether a fold ran to its end, with the same settings on the same data."""
    saved = folder / SAVED
    if not saved.is_file() or not (folder / "metrics.json").is_file():
        return False
    if differences(tree, read_tree(saved)) or not is_on(folder, summary):
        return False  # the run itself says what is different
    if other is not None and not is_tested_on(folder, other):
        return False
    logger.info("Finished before: %s", folder)
    return True


def is_tested_on(folder: Path, other: OtherCorpus) -> bool:
    """Whether the figures on another corpus are there, and of exactly these data."""
    path = metrics_file(folder, other.name)
    if not path.is_file():
        return False
    protocol = json.loads(path.read_text(encoding="utf-8"))["protocol"]
    return protocol["tested_on"] == json.loads(json.dumps(other.facts()))


def load_results(folder: Path, other: str | None) -> dict:
    """The figures that a run left, those on another corpus included."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if other:
        foreign = json.loads(metrics_file(folder, other).read_text(encoding="utf-8"))
        metrics |= {name: row for name, row in foreign.items() if name not in NON_SET_KEYS}
        metrics["protocol"]["tested_on"] = foreign["protocol"]["tested_on"]
    return metrics


def summarise(folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """Figures of each test set by fold, their mean and deviation, and of all predictions pooled.

    The two differ: the mean over folds weighs every fold alike and sees no difference between
    folds' means, the pooled CCC does.
    """
    first, *others = folds.values()
    names = [name for name in first if name not in (*NON_SET_KEYS, "valid")]
    protocol = {  # what holds for every fold
        key: value
        for key, value in first["protocol"].items()
        if all(other["protocol"].get(key) == value for other in others)
    }
    return {
        "by_fold": {name: over_folds(name, folds, folders) for name in names},
        "protocol": protocol,
    }


def over_folds(name: str, folds: Mapping[str, Mapping], folders: Sequence[Path]) -> dict:
    """One test set over all folds.

    A fold whose CCC is not defined (a dimension without labels, or constant) is left out of mean
    and deviation; ``defined`` counts the others. Predictions are pooled only where the folds' test
    sets have no utterance in common: those of another corpus are the same in each.
    """
    by_fold = {number: ccc_of(metrics[name]) for number, metrics in folds.items()}
    columns = {
        key: [row[key] for row in by_fold.values() if row[key] is not None] for key in COLUMNS
    }
    tables = [read_predictions(folder / "predictions" / f"{name}.csv") for folder in folders]
    # Not the head's columns: a fold has none where its best epoch is behind the auxiliary task.
    pooled = pd.concat([table[list(POOLED)] for table in tables], ignore_index=True)
    return {
        "folds": by_fold,
        "defined": {key: len(values) for key, values in columns.items()},
        "mean_over_folds": {key: mean(values) for key, values in columns.items()},
        "deviation_over_folds": {key: deviation(values) for key, values in columns.items()},
        "pooled": ccc_of(figures(pooled)) if pooled["ID"].is_unique else None,
        "utterances": int(pooled["ID"].nunique()),
    }


def ccc_of(figures_of_set: Mapping) -> dict[str, float | None]:
    """CCC of each dimension and their mean; ``None`` where it is not defined."""
    ccc = {name: figures_of_set[name]["ccc"] for name in DIMENSIONS}
    ccc["mean_ccc"] = figures_of_set["mean_ccc"]
    return {key: value if is_known(value) else None for key, value in ccc.items()}


def is_known(value: float | None) -> bool:
    """Whether a figure is there: JSON has null for NaN."""
    return value is not None and not math.isnan(value)


def mean(values: Sequence[float]) -> float | None:
    """Mean over folds, ``None`` where there is none."""
    return statistics.mean(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Standard deviation over folds (n - 1); 0 for one fold, ``None`` where there is none."""
    if not values:
        return None
    return statistics.stdev(values) if len(values) > 1 else 0.0
