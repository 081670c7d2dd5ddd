"""Baselines without a neural head: support vector regression, and ridge on acoustic features.

Both need no development set, so they are also trained on the development speakers of each fold,
which the neural models only use to monitor training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.manifest import Summary
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.metrics.regression import ccc
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.folds import prepared_folds
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.recipe.run import make_brain, make_datasets, read_from_cache, read_sets
from emosphere_sb.results.acoustic_baseline import evaluate_baseline
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS
from real_speech.cells import Settings

COSTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidates for C of support vector regression."""
INNER_FOLDS = 4


@dataclass(frozen=True)
class Fold:
    """Manifest rows of a fold, by ID."""

    train: dict[str, dict]
    test: dict[str, dict]


@dataclass(frozen=True)
class Baselines:
    """Pooled predictions of the baselines.

    Arguments
    ---------
    ridge, svr : pandas.DataFrame
        Predictions of all utterances.
    chosen : list of dict
        Layer and C of support vector regression for each fold and dimension.
    extraction_seconds : float
        Time in which the averages of all layers were computed or read from the cache.
    """

    ridge: pd.DataFrame
    svr: pd.DataFrame
    chosen: list[dict]
    extraction_seconds: float


def evaluate_baselines(settings: Settings, options: Mapping[str, str]) -> Baselines:
    """Train and test the baselines on all folds.

    Arguments
    ---------
    settings : Settings
        Settings of the tables.
    options : mapping of str to str
        Options of the group of runs to compare with.
    """
    words = [str(HPARAMS / "emosphere.yaml"), "--preset=frozen", "--fold=all", "--noprogressbar"]
    words += [f"--{key}={value}" for key, value in options.items()]
    words += [f"--data_folder={settings.data}", f"--results_folder={settings.results}"]
    request = read_command([*words, "--layer_normalisation=none"], corpus="OwnData")
    prepared = prepared_folds(request.tree, request.corpus)
    start = time.perf_counter()
    features = layer_averages(*prepared[0], request.run_options, settings.results)
    seconds = time.perf_counter() - start
    folds = [_fold(read_sets(summary, scalars(tree))) for tree, summary in prepared]
    ridge = [evaluate_baseline({"train": fold.train, "test": fold.test})["test"] for fold in folds]
    svr, chosen = [], []
    for number, (fold, table) in enumerate(zip(folds, ridge, strict=True), start=1):
        predicted, choices = support_vector_regression(fold, features)
        table = table.copy()
        table[list(PREDICTED)] = predicted
        svr.append(table)
        chosen += [{"fold": number, **choice} for choice in choices]
    pooled = (pd.concat(tables, ignore_index=True) for tables in (ridge, svr))
    return Baselines(*pooled, chosen, seconds)


def layer_averages(
    tree, summary: Summary, run_options: dict, folder: Path
) -> dict[str, np.ndarray]:
    """Return the averages over time of all layers by ID, shape (layer, dimension)."""
    hparams = build_objects(tree)
    sets = make_datasets(read_sets(summary, scalars(tree)), summary, hparams)
    brain = make_brain(hparams, run_options, sets, folder / "averages")
    read_from_cache(brain, hparams, sets, summary)
    return {
        utterance: part.cache[utterance].numpy()
        for part in sets.values()
        for utterance in part.data_ids
    }


def _fold(sets: Mapping[str, Mapping[str, Mapping]]) -> Fold:
    return Fold({**sets["train"], **sets["valid"]}, dict(sets["test"]))


def support_vector_regression(
    fold: Fold, features: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, list[dict]]:
    """Predict the test set with support vector regression (Drucker et al., 1997).

    For each dimension, the layer and C with the highest CCC in cross-validation over the training
    speakers are chosen. Features are standardised over the training set.

    Arguments
    ---------
    fold : Fold
        Training set and test set.
    features : mapping of str to numpy.ndarray
        Averages over time by ID, shape (layer, dimension).

    Returns
    -------
    predictions : numpy.ndarray
        Shape (utterance, 3).
    chosen : list of dict
        ``dimension``, ``layer`` and ``C``.
    """
    train, test = (
        np.stack([features[key] for key in part], axis=1) for part in (fold.train, fold.test)
    )
    speakers = [row["speaker"] for row in fold.train.values()]
    columns, chosen = [], []
    for name in DIMENSIONS:
        target = np.array([float(row[name]) for row in fold.train.values()])
        scores = {
            (layer, cost): ccc(target, _inner_predictions(x, target, speakers, cost))
            for layer, x in enumerate(train)
            for cost in COSTS
        }
        layer, cost = max(scores, key=scores.get)
        chosen.append({"dimension": name, "layer": layer, "C": cost})
        columns.append(_regressor(cost).fit(train[layer], target).predict(test[layer]))
    return np.stack(columns, axis=1), chosen


def _inner_predictions(
    x: np.ndarray, target: np.ndarray, speakers: Sequence[str], cost: float
) -> np.ndarray:
    from sklearn.model_selection import GroupKFold, cross_val_predict

    folds = GroupKFold(min(INNER_FOLDS, len(set(speakers))))
    return cross_val_predict(_regressor(cost), x, target, groups=speakers, cv=folds)


def _regressor(cost: float):
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR
    except ImportError as error:
        raise ImportError(
            "Support vector regression requires scikit-learn: "
            "pip install 'emosphere-sb[benchmarks]'"
        ) from error
    return make_pipeline(StandardScaler(), SVR(C=cost))
