"""Metrics of classes: regions of the sphere, or emotions.

Classes are whole numbers from 0. Pairs in which either is negative (unknown) are left out. What is
undefined is NaN, never 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def confusion(truth: Any, prediction: Any, *, classes: int | None = None) -> np.ndarray:
    """How often each true class (row) was predicted as each class (column).

    Arguments
    ---------
    truth : array_like
        True classes from 0; negative where unknown.
    prediction : array_like
        Predicted classes, as many.
    classes : int
        Number of classes. (default: the largest that occurs, plus one)

    Returns
    -------
    numpy.ndarray
        Shape (classes, classes), int64.

    Raises
    ------
    ValueError
        If the lengths differ, a value is not a whole number, or a class does not exist.

    Example
    -------
    >>> confusion([0, 0, 1, -1], [0, 1, 1, 0]).tolist()
    [[1, 1], [0, 1]]
    """
    x, y = _classes(truth, prediction)
    largest = max(x.max(initial=-1), y.max(initial=-1))
    classes = int(largest) + 1 if classes is None else classes
    if largest >= classes:
        raise ValueError(f"Classes must be below {classes}, their number; found {largest}.")
    return np.bincount(x * classes + y, minlength=classes**2).reshape(classes, classes)


def accuracy(truth: Any, prediction: Any) -> float:
    """The share of utterances whose class is right.

    Arguments
    ---------
    truth : array_like
        True classes from 0; negative where unknown.
    prediction : array_like
        Predicted classes, as many.

    Returns
    -------
    float
        In [0, 1]; NaN without a known pair.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not a whole number.

    Example
    -------
    >>> accuracy([0, 1, 1, -1], [0, 1, 0, 0]) == 2 / 3
    True
    """
    x, y = _classes(truth, prediction)
    return float(np.mean(x == y)) if x.size else math.nan


def agreement(a: Any, b: Any) -> float:
    """The share of utterances to which two sources give the same class, neither being the truth.

    For example the region head and the region of the regressed point. A share of equal classes is
    what :func:`accuracy` computes; the name says that nobody is right here.

    Arguments
    ---------
    a : array_like
        Classes from 0; negative where unknown.
    b : array_like
        Classes, as many.

    Returns
    -------
    float
        In [0, 1]; NaN without a known pair.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not a whole number.

    Example
    -------
    >>> agreement([0, 3, 1, 2], [0, 3, 2, 2])
    0.75
    """
    return accuracy(a, b)


def macro_f1(truth: Any, prediction: Any) -> float:
    r"""The mean over classes of F1, the harmonic mean of precision and recall.

    .. math:: F_k = \frac{2\,n_{kk}}{\sum_j n_{kj} + \sum_j n_{jk}}

    The mean runs over the classes that occur in the truth or in the predictions; a class that
    occurs in neither has no F1 and is left out.

    Arguments
    ---------
    truth : array_like
        True classes from 0; negative where unknown.
    prediction : array_like
        Predicted classes, as many.

    Returns
    -------
    float
        In [0, 1]; NaN without a known pair.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not a whole number.

    Example
    -------
    >>> macro_f1([0, 0, 2, 2], [0, 0, 2, 0])
    0.7333333333333334
    """
    counts = confusion(truth, prediction)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = total > 0
    return _mean_or_nan(2 * counts.diagonal()[occurs] / total[occurs])


def unweighted_recall(truth: Any, prediction: Any) -> float:
    r"""Unweighted average recall: the mean over the classes that occur in the truth.

    .. math:: \mathrm{UAR} = \frac{1}{K} \sum_k \frac{n_{kk}}{\sum_j n_{kj}}

    Arguments
    ---------
    truth : array_like
        True classes from 0; negative where unknown.
    prediction : array_like
        Predicted classes, as many.

    Returns
    -------
    float
        In [0, 1]; NaN without a known pair.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not a whole number.

    Example
    -------
    >>> unweighted_recall([0, 0, 0, 0, 1], [0, 0, 0, 1, 1])
    0.875
    """
    counts = confusion(truth, prediction)
    true = counts.sum(axis=1)
    occurs = true > 0
    return _mean_or_nan(counts.diagonal()[occurs] / true[occurs])


def classification_metrics(truth: Any, prediction: Any) -> dict[str, Any]:
    """Every figure of a set of predicted classes.

    Arguments
    ---------
    truth : array_like
        True classes from 0; negative where unknown.
    prediction : array_like
        Predicted classes, as many.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``unweighted_recall`` and ``n``, the number of known pairs.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not a whole number.

    Example
    -------
    >>> classification_metrics([0, 0, 1, -1], [0, 0, 1, 1])
    {'accuracy': 1.0, 'macro_f1': 1.0, 'unweighted_recall': 1.0, 'n': 3}
    """
    measures = (accuracy, macro_f1, unweighted_recall)
    figures: dict[str, Any] = {measure.__name__: measure(truth, prediction) for measure in measures}
    figures["n"] = int(_classes(truth, prediction)[0].size)
    return figures


def _classes(truth: Any, prediction: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as int64 vectors, without the pairs in which either is negative."""
    x, y = np.asarray(truth), np.asarray(prediction)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "truth and prediction must be two lists of the same length; found shapes "
            f"{x.shape} and {y.shape}."
        )
    for values in (x, y):
        if values.size and not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"Classes must be whole numbers from 0; found values of type {values.dtype}. "
                "Turn names into indices first, and unknown ones into -1."
            )
    known = (x >= 0) & (y >= 0)
    return x[known].astype(np.int64), y[known].astype(np.int64)


def _mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
