"""What five acoustic figures and a linear map reach: the yardstick beside the model.

Duration, loudness, mean pitch, pitch range and spectral tilt of an utterance, and ridge
regression from them to valence, arousal and dominance. A corpus on which this does as well as
the model needs no model; one on which it does nothing may have labels that cannot be heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from emosphere_sb.audio.reading import SAMPLE_RATE, read_audio
from emosphere_sb.results.acoustic_features import FEATURES, acoustic_features
from emosphere_sb.results.predictions import KEPT, PREDICTED
from emosphere_sb.scale import DIMENSIONS

PENALTIES = tuple(10.0**exponent for exponent in range(-2, 6))


def evaluate_baseline(
    sets: Mapping[str, Mapping[str, Mapping]],
    *,
    train: str = "train",
    workers: int = 2,
) -> dict[str, pd.DataFrame]:
    """Fit ridge regression on one set's acoustics and predict the other sets.

    Arguments
    ---------
    sets : mapping of str to mapping
        Rows of each set by id, as ``data_prep.manifest.read_rows`` gives them.
    train : str
        The set to learn from; utterances without labels are left out.
    workers : int
        Threads that read the audio.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        For every set but ``train``, in the order given: ID, duration, speaker, gender, emotion,
        the true dimensions (NaN where unknown) and the predicted ones, both on the corpus's
        scale; :func:`emosphere_sb.results.scores.figures` reads them.

    Raises
    ------
    ValueError
        If there is no set of that name.
    """
    if train not in sets:
        raise ValueError(
            f"The baseline needs the set {train!r} to learn from; found "
            f"{', '.join(sets)}. Name another one with train=…."
        )
    tables = {name: _truth(rows) for name, rows in sets.items()}
    features = {name: _features(table.pop("wav"), workers) for name, table in tables.items()}
    learn = tables.pop(train)
    # Unknown speakers may be the same person: they count as one.
    speakers = learn["speaker"].to_numpy() if learn["speaker"].ne("").any() else None
    vad = learn[list(DIMENSIONS)].to_numpy()
    for name, table in tables.items():
        table[list(PREDICTED)] = ridge(features[train], vad, features[name], groups=speakers)
    return tables


def ridge(
    train_features: np.ndarray,
    train_vad: np.ndarray,
    features: np.ndarray,
    *,
    groups: Sequence | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> np.ndarray:
    """Ridge regression in closed form (Hoerl and Kennard, 1970), one penalty per dimension.

    Features are standardised by the training set, unknown ones (NaN) set to its mean. The
    penalty is the one with the least squared error when each group is left out in turn, so that
    with speakers as groups it is chosen for speakers that are not heard in training.

    Arguments
    ---------
    train_features : np.ndarray
        Shape (training utterance, feature).
    train_vad : np.ndarray
        Shape (training utterance, dimension); rows with NaN are left out of that dimension.
    features : np.ndarray
        Shape (utterance, feature): what to predict from.
    groups : sequence, optional
        Speaker of each training utterance; without it each utterance is its own group.
    penalties : sequence of float
        To choose from.

    Returns
    -------
    vad : np.ndarray
        Shape (utterance, dimension).

    Raises
    ------
    ValueError
        If a dimension is known for fewer than two groups.

    Example
    -------
    >>> x = np.arange(6.0)[:, None]
    >>> ridge(x, 2.0 * x + 1.0, np.array([[10.0]]), penalties=[0.0]).round(6).tolist()
    [[21.0]]
    """
    mean, deviation = _moments(np.asarray(train_features, dtype=np.float64))
    train, new = (
        np.nan_to_num((np.asarray(x, dtype=np.float64) - mean) / deviation)
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
    """Offset and weights with the penalty that serves groups left out best."""
    held_out = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(held_out) < 2:
        raise ValueError(
            f"Ridge regression needs labelled utterances of two speakers; found {len(held_out)}. "
            "Leave the acoustic baseline out: --acoustic_baseline=False."
        )
    x = np.column_stack([np.ones(len(x)), x])
    gram, moment = x.T @ x, x.T @ y
    errors = []
    for penalty in penalties:
        error = 0.0
        for rows in held_out:  # what was summed over the group is taken out of the sums
            weights = _solve(gram - x[rows].T @ x[rows], moment - x[rows].T @ y[rows], penalty)
            error += float(np.sum((y[rows] - x[rows] @ weights) ** 2))
        errors.append(error)
    weights = _solve(gram, moment, penalties[int(np.argmin(errors))])
    return float(weights[0]), weights[1:]


def _solve(gram: np.ndarray, moment: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of the penalised normal equations; the offset, which comes first, goes free."""
    free = np.diag([0.0] + [penalty] * (len(gram) - 1))
    return np.linalg.lstsq(gram + free, moment, rcond=None)[0]


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each feature over its known values; 0 and 1 where that fails."""
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, features, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, features - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(deviation > 0, deviation, 1.0)


def _truth(rows: Mapping[str, Mapping]) -> pd.DataFrame:
    """What a manifest says: the columns of a table of predictions, and the file to read."""
    table = pd.DataFrame({"ID": list(rows)})
    for column in KEPT:
        table[column] = [row[column] for row in rows.values()]
    for name in DIMENSIONS:
        table[name] = [float(row[name] or "nan") for row in rows.values()]
    table["wav"] = [row["wav"] for row in rows.values()]
    return table


def _features(paths: Sequence[str], workers: int) -> np.ndarray:
    """Acoustic features of many files, (file, 5): NumPy's transforms let threads run at once."""
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        rows = pool.map(
            lambda path: acoustic_features(read_audio(path).numpy(), SAMPLE_RATE), paths
        )
        return np.array(list(rows)).reshape(len(paths), len(FEATURES))
