"""Baselines without a neural head: support vector regression, and ridge on acoustic features.

Both need no development set, so they are also trained on the development speakers of each fold,
which the neural models only use to monitor training.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.manifest import Summary
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.metrics.regression import ccc
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.build import make_brain, make_datasets
from emosphere_sb.recipe.command_line import RunRequest, read_command
from emosphere_sb.recipe.folds import prepared_folds
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.recipe.run import read_from_cache, read_sets
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
    """

    ridge: pd.DataFrame
    svr: pd.DataFrame
    chosen: list[dict]


def evaluate_baselines(settings: Settings, options: Mapping[str, str]) -> Baselines:
    """Train and test the baselines on all folds.

    Arguments
    ---------
    settings : Settings
        Settings of the tables.
    options : mapping of str to str
        Options of the group of runs to compare with.
    """
    request, prepared = _prepare(settings, options, "--layer_normalisation=none")
    features = layer_averages(*prepared[0], request.run_options, settings.results)
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
    return Baselines(*pooled, chosen)


def extraction_cost(settings: Settings, options: Mapping[str, str]) -> dict[str, float]:
    """Compute the features of the preset ``frozen`` for all clips, and return the time.

    The time is measured only once and then read from a file. See :func:`evaluate_baselines` for the
    arguments.

    Returns
    -------
    dict of str to float
        ``seconds`` and ``cpu_seconds``, from loading the weights to the stored features.
    """
    file = settings.results / "extraction.json"
    if not file.is_file():
        with tempfile.TemporaryDirectory(dir=settings.results) as folder:
            request, prepared = _prepare(settings, options, f"--feature_cache_folder={folder}")
            start, cpu = time.perf_counter(), time.process_time()
            layer_averages(*prepared[0], request.run_options, Path(folder))
            found = [time.perf_counter() - start, time.process_time() - cpu]
        names = ("seconds", "cpu_seconds")
        cost = {name: round(value, 1) for name, value in zip(names, found, strict=True)}
        atomic_write(file, json.dumps(cost))
    return json.loads(file.read_text(encoding="utf-8"))


def _prepare(settings: Settings, options: Mapping[str, str], *more: str) -> tuple[RunRequest, list]:
    """Return the request of a cross-validated run of ``frozen``, and its prepared folds."""
    words = [str(HPARAMS / "emosphere.yaml"), "--preset=frozen", "--fold=all", "--noprogressbar"]
    words += [f"--{key}={value}" for key, value in options.items()]
    words += [f"--data_folder={settings.data}", f"--results_folder={settings.results}", *more]
    request = read_command(words, corpus="OwnData")
    return request, prepared_folds(request.tree, request.corpus)


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
