"""Acoustic baseline: ridge regression from five acoustic features.

The features are duration, loudness, mean pitch, pitch range and spectral tilt of an utterance;
the targets are valence, arousal and dominance. If the baseline scores
as high as the model, the corpus does not require a deep model. If its CCC is close to 0, the labels
may not be reflected in the audio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from emosphere_sb.audio.reading import SAMPLE_RATE, read_audio
from emosphere_sb.results.acoustic_features import FEATURES, acoustic_features
from emosphere_sb.results.predictions import MANIFEST_COLUMNS, PREDICTED
from emosphere_sb.scale import DIMENSIONS

PENALTIES = tuple(10.0**exponent for exponent in range(-2, 6))


def evaluate_baseline(
    sets: Mapping[str, Mapping[str, Mapping]],
    *,
    train: str = "train",
    workers: int = 2,
    channel: str = "mix",
) -> dict[str, pd.DataFrame]:
    """Fit ridge regression on the acoustic features of one set and predict all other sets.

    Arguments
    ---------
    sets : mapping of str to mapping
        Manifest rows of each set by ID, as returned by ``data_prep.manifest.read_manifest_rows``.
    train : str
        Name of the training set. Utterances without labels are ignored.
    workers : int
        Number of threads that read audio.
    channel : str
        Use of several channels; see :func:`emosphere_sb.audio.check.check_audio`.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        For each set except ``train``, in input order: ID, duration, speaker, gender, emotion, the
        true dimensions (NaN if unknown) and the predicted dimensions, both on the corpus's label
        scale. Suitable for :func:`emosphere_sb.results.scores.prediction_metrics`.

    Raises
    ------
    ValueError
        If ``train`` is not in ``sets``.
    """
    if train not in sets:
        raise ValueError(
            f"The acoustic baseline requires the training set {train!r}; found {', '.join(sets)}. "
            "Set train=… to one of these."
        )
    tables = {name: _manifest_table(rows) for name, rows in sets.items()}
    features = {
        name: _load_features(table.pop("wav"), workers, channel) for name, table in tables.items()
    }
    training = tables.pop(train)
    # Unknown speakers may be the same person, so they form one group.
    speakers = training["speaker"].to_numpy() if training["speaker"].ne("").any() else None
    vad = training[list(DIMENSIONS)].to_numpy()
    for name, table in tables.items():
        table[list(PREDICTED)] = ridge_regression(
            features[train], vad, features[name], groups=speakers
        )
    return tables


def ridge_regression(
    train_features: np.ndarray,
    train_vad: np.ndarray,
    features: np.ndarray,
    *,
    groups: Sequence | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> np.ndarray:
    """Predict with closed-form ridge regression (Hoerl and Kennard, 1970), one penalty per target.

    Features are standardised with the statistics of the training set; missing values (NaN) are
    replaced with the training mean. The penalty minimises the squared error of leave-one-group-out
    cross-validation: with speakers as groups, it is optimal for speakers unseen in training.

    Arguments
    ---------
    train_features : np.ndarray
        Shape (training utterance, feature).
    train_vad : np.ndarray
        Shape (training utterance, dimension); rows with NaN are ignored for that dimension.
    features : np.ndarray
        Features of the utterances to predict, shape (utterance, feature).
    groups : sequence, optional
        Speaker of each training utterance. (default: each utterance is its own group)
    penalties : sequence of float
        Candidate penalties.

    Returns
    -------
    vad : np.ndarray
        Predictions, shape (utterance, dimension).

    Raises
    ------
    ValueError
        If fewer than two groups have labels for a dimension.

    Example
    -------
    >>> x = np.arange(6.0)[:, None]
    >>> ridge_regression(x, 2.0 * x + 1.0, np.array([[10.0]]), penalties=[0.0]).round(6).tolist()
    [[21.0]]
    """
    mean, std = _mean_and_std(np.asarray(train_features, dtype=np.float64))
    train, new = (
        np.nan_to_num((np.asarray(x, dtype=np.float64) - mean) / std)
        for x in (train_features, features)
    )
    labels = np.arange(len(train)) if groups is None else np.unique(groups, return_inverse=True)[1]
    columns = []
    for target in np.asarray(train_vad, dtype=np.float64).T:
        known = np.isfinite(target)
        offset, weights = _fit(train[known], target[known], labels[known], penalties)
        columns.append(offset + new @ weights)
    return np.stack(columns, axis=1)


def _fit(
    x: np.ndarray, y: np.ndarray, labels: np.ndarray, penalties: Sequence[float]
) -> tuple[float, np.ndarray]:
    """Return offset and weights for the penalty with the lowest cross-validation error."""
    held_out = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(held_out) < 2:
        raise ValueError(
            "Ridge regression requires labelled utterances from at least two speakers; found "
            f"{len(held_out)}. Disable the acoustic baseline with --acoustic_baseline=False."
        )
    x = np.column_stack([np.ones(len(x)), x])
    gram, moment = x.T @ x, x.T @ y
    errors = []
    for penalty in penalties:
        error = 0.0
        for rows in held_out:  # subtract the contribution of the held-out group
            weights = _solve(gram - x[rows].T @ x[rows], moment - x[rows].T @ y[rows], penalty)
            error += float(np.sum((y[rows] - x[rows] @ weights) ** 2))
        errors.append(error)
    weights = _solve(gram, moment, penalties[int(np.argmin(errors))])
    return float(weights[0]), weights[1:]


def _solve(gram: np.ndarray, moment: np.ndarray, penalty: float) -> np.ndarray:
    """Solve the penalised normal equations; the first weight (offset) is not penalised."""
    penalties = np.diag([0.0] + [penalty] * (len(gram) - 1))
    return np.linalg.lstsq(gram + penalties, moment, rcond=None)[0]


def _mean_and_std(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and SD of each feature over its known values; 0 and 1 if undefined."""
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, features, 0.0).sum(axis=0) / count
    std = np.sqrt((np.where(known, features - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(std > 0, std, 1.0)


def _manifest_table(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """Convert manifest rows to the columns of a prediction table, plus the audio path."""
    table = pd.DataFrame({"ID": list(rows)})
    for column in MANIFEST_COLUMNS:
        table[column] = [row[column] for row in rows.values()]
    for name in DIMENSIONS:
        table[name] = [float(row[name] or "nan") for row in rows.values()]
    table["wav"] = [row["wav"] for row in rows.values()]
    return table


def _load_features(paths: Sequence[str], workers: int, channel: str) -> np.ndarray:
    """Compute the acoustic features of several files in parallel threads, shape (file, 5)."""
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        rows = pool.map(
            lambda path: acoustic_features(read_audio(path, channel=channel), SAMPLE_RATE), paths
        )
        return np.array(list(rows)).reshape(len(paths), len(FEATURES))
