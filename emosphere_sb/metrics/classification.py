"""Classification metrics for regions of the sphere or emotions.

Classes are non-negative integers. Pairs with a negative (unknown) class are ignored. Undefined
metrics are NaN, never 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def confusion_matrix(truth: Any, prediction: Any, *, classes: int | None = None) -> np.ndarray:
    """Compute the confusion matrix, with true classes in rows and predicted classes in columns.

    Arguments
    ---------
    truth : array_like
        Indices of the true classes, negative where unknown, shape (utterances,).
    prediction : array_like
        Indices of the predicted classes, shape (utterances,).
    classes : int
        Number of classes. (default: the largest class index plus one)

    Returns
    -------
    numpy.ndarray
        Counts, int64, shape (classes, classes).

    Raises
    ------
    ValueError
        If the shapes differ, a value is not an integer, or a class index is not less than
        ``classes``.

    Example
    -------
    >>> confusion_matrix([0, 0, 1, -1], [0, 1, 1, 0]).tolist()
    [[1, 1], [0, 1]]
    """
    x, y = _classes(truth, prediction)
    largest = max(x.max(initial=-1), y.max(initial=-1))
    classes = int(largest) + 1 if classes is None else classes
    if largest >= classes:
        raise ValueError(
            f"Class indices must be less than the number of classes, {classes}; found {largest}."
        )
    return np.bincount(x * classes + y, minlength=classes**2).reshape(classes, classes)


def accuracy(truth: Any, prediction: Any) -> float:
    """Compute the share of utterances with a correct class.

    Arguments
    ---------
    truth : array_like
        Indices of the true classes, negative where unknown, shape (utterances,).
    prediction : array_like
        Indices of the predicted classes, shape (utterances,).

    Returns
    -------
    float
        Value in [0, 1]; NaN without any pairs.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not an integer.

    Example
    -------
    >>> accuracy([0, 1, 1, -1], [0, 1, 0, 0]) == 2 / 3
    True
    """
    x, y = _classes(truth, prediction)
    return float(np.mean(x == y)) if x.size else math.nan


def macro_f1(truth: Any, prediction: Any) -> float:
    r"""Compute the macro F1 score: the mean of the F1 scores of the classes.

    .. math:: F_k = \frac{2\,n_{kk}}{\sum_j n_{kj} + \sum_j n_{jk}}

    The mean is taken over the classes that occur in the truth or in the predictions; n is the
    confusion matrix.

    Arguments
    ---------
    truth : array_like
        Indices of the true classes, negative where unknown, shape (utterances,).
    prediction : array_like
        Indices of the predicted classes, shape (utterances,).

    Returns
    -------
    float
        Value in [0, 1]; NaN without any pairs.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not an integer.

    Example
    -------
    >>> macro_f1([0, 0, 2, 2], [0, 0, 2, 0])
    0.7333333333333334
    """
    counts = confusion_matrix(truth, prediction)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = total > 0
    return _mean_or_nan(2 * counts.diagonal()[occurs] / total[occurs])


def unweighted_recall(truth: Any, prediction: Any) -> float:
    r"""Compute the unweighted average recall (UAR) over the classes that occur in the truth.

    .. math:: \mathrm{UAR} = \frac{1}{K} \sum_k \frac{n_{kk}}{\sum_j n_{kj}}

    Arguments
    ---------
    truth : array_like
        Indices of the true classes, negative where unknown, shape (utterances,).
    prediction : array_like
        Indices of the predicted classes, shape (utterances,).

    Returns
    -------
    float
        Value in [0, 1]; NaN without any pairs.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not an integer.

    Example
    -------
    >>> unweighted_recall([0, 0, 0, 0, 1], [0, 0, 0, 1, 1])
    0.875
    """
    counts = confusion_matrix(truth, prediction)
    true = counts.sum(axis=1)
    occurs = true > 0
    return _mean_or_nan(counts.diagonal()[occurs] / true[occurs])


def classification_metrics(truth: Any, prediction: Any) -> dict[str, Any]:
    """Compute all classification metrics of a set.

    Arguments
    ---------
    truth : array_like
        Indices of the true classes, negative where unknown, shape (utterances,).
    prediction : array_like
        Indices of the predicted classes, shape (utterances,).

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``unweighted_recall`` and ``n``, the number of pairs with known
        classes.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not an integer.

    Example
    -------
    >>> classification_metrics([0, 0, 1, -1], [0, 0, 1, 1])
    {'accuracy': 1.0, 'macro_f1': 1.0, 'unweighted_recall': 1.0, 'n': 3}
    """
    measures = (accuracy, macro_f1, unweighted_recall)
    metrics: dict[str, Any] = {measure.__name__: measure(truth, prediction) for measure in measures}
    metrics["n"] = int(_classes(truth, prediction)[0].size)
    return metrics


def _classes(truth: Any, prediction: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays as int64 vectors, without pairs in which either is negative."""
    x, y = np.asarray(truth), np.asarray(prediction)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "truth and prediction must be one-dimensional and of equal length; found shapes "
            f"{x.shape} and {y.shape}."
        )
    for values in (x, y):
        if values.size and not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"Classes must be non-negative integers, or -1 where unknown; found values of type "
                f"{values.dtype}. Convert class names to indices first."
            )
    known = (x >= 0) & (y >= 0)
    return x[known].astype(np.int64), y[known].astype(np.int64)


def _mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
