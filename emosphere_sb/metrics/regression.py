"""Regression metrics, computed over an entire set in float64.

Pairs in which either value is NaN are ignored. Undefined metrics are NaN, never 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from emosphere_sb.scale import DIMENSIONS


def ccc(truth: Any, prediction: Any) -> float:
    r"""Compute the concordance correlation coefficient (Lin, 1989), with population variances.

    .. math:: \rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}

    Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
    Biometrics 45, 255-268.

    Arguments
    ---------
    truth : array_like
        True values, NaN where unknown, shape (utterances,).
    prediction : array_like
        Predicted values, shape (utterances,).

    Returns
    -------
    float
        Value in [-1, 1]; NaN with fewer than two pairs, or if both are constant and equal.

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> round(ccc([1, 2, 3], [2, 3, 4]), 4)
    0.5714
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    denominator = _population_sd(x) ** 2 + _population_sd(y) ** 2 + (x.mean() - y.mean()) ** 2
    return _ratio(2 * covariance, denominator)


def pearson(truth: Any, prediction: Any) -> float:
    r"""Compute Pearson's correlation coefficient, which does not depend on scale or shift.

    .. math:: \rho = \frac{\mathrm{cov}(x, y)}{\sigma_x \sigma_y}

    Arguments
    ---------
    truth : array_like
        True values, NaN where unknown, shape (utterances,).
    prediction : array_like
        Predicted values, shape (utterances,).

    Returns
    -------
    float
        Value in [-1, 1]; NaN with fewer than two pairs, or if either is constant.

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> round(pearson([1, 2, 3], [20, 30, 40]), 4)
    1.0
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    return _ratio(covariance, _population_sd(x) * _population_sd(y))


def scale_ratio(truth: Any, prediction: Any) -> float:
    r"""Compute Lin's scale shift: the SD of the predictions relative to that of the truth.

    .. math:: v = \sigma_\mathrm{prediction} / \sigma_\mathrm{truth}

    Together with :func:`pearson` (rho) and :func:`shift` (u), it determines the CCC (Lin, 1989):
    :math:`\rho_c = \rho \cdot 2 / (v + 1/v + u^2)`.

    Arguments
    ---------
    truth : array_like
        True values, NaN where unknown, shape (utterances,).
    prediction : array_like
        Predicted values, shape (utterances,).

    Returns
    -------
    float
        At least 0; less than 1 if the predictions vary too little. NaN with fewer than two pairs,
        or if the truth is constant.

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> round(scale_ratio([1, 2, 3], [1, 3, 5]), 4)
    2.0
    """
    x, y = _pairs(truth, prediction)
    return _ratio(_population_sd(y), _population_sd(x)) if x.size > 1 else math.nan


def shift(truth: Any, prediction: Any) -> float:
    r"""Compute Lin's location shift: the standardised difference of the means.

    .. math:: u = (\mu_\mathrm{prediction} - \mu_\mathrm{truth})
        / \sqrt{\sigma_\mathrm{prediction} \sigma_\mathrm{truth}}

    Arguments
    ---------
    truth : array_like
        True values, NaN where unknown, shape (utterances,).
    prediction : array_like
        Predicted values, shape (utterances,).

    Returns
    -------
    float
        Greater than 0 if the predictions are too high on average; NaN with fewer than two pairs, or
        if either is constant.

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> round(shift([1, 3], [2, 4]), 4)
    1.0
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    return _ratio(y.mean() - x.mean(), math.sqrt(_population_sd(y) * _population_sd(x)))


def mae(truth: Any, prediction: Any) -> float:
    """Compute the mean absolute error, on the scale of the arguments.

    Arguments
    ---------
    truth : array_like
        True values, NaN where unknown, shape (utterances,).
    prediction : array_like
        Predicted values, shape (utterances,).

    Returns
    -------
    float
        At least 0; NaN without any pairs.

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> mae([1, 2], [2, 4])
    1.5
    """
    x, y = _pairs(truth, prediction)
    return float(np.mean(np.abs(y - x))) if x.size else math.nan


def regression_metrics(truth: Any, prediction: Any) -> dict[str, Any]:
    """Compute all regression metrics of a set for each dimension, and the mean CCC.

    Arguments
    ---------
    truth : array_like
        True values in the order valence, arousal, dominance, NaN where unknown, shape
        (utterances, 3).
    prediction : array_like
        Predicted values, shape (utterances, 3).

    Returns
    -------
    dict
        For each dimension, a dict with ``ccc``, ``pearson``, ``scale_ratio``, ``shift``, ``mae``
        and ``n``, the number of pairs without NaN; and ``mean_ccc``, the mean over the dimensions
        with a defined CCC (NaN if no CCC is defined).

    Raises
    ------
    ValueError
        If the shapes differ or the last axis does not have three entries.

    Example
    -------
    >>> metrics = regression_metrics([[1, 2, 3], [2, 3, 4.0]], [[1, 2, 3], [2, 3, np.nan]])
    >>> metrics["valence"]["ccc"], metrics["dominance"]["n"], metrics["mean_ccc"]
    (1.0, 1, 1.0)
    """
    truth, prediction = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if truth.shape != prediction.shape or truth.ndim != 2 or truth.shape[1] != len(DIMENSIONS):
        raise ValueError(
            "truth and prediction must both have shape (utterances, 3); found "
            f"{truth.shape} and {prediction.shape}."
        )
    measures = (ccc, pearson, scale_ratio, shift, mae)
    metrics: dict[str, Any] = {}
    for name, x, y in zip(DIMENSIONS, truth.T, prediction.T, strict=True):
        metrics[name] = {measure.__name__: measure(x, y) for measure in measures}
        metrics[name]["n"] = int(_pairs(x, y)[0].size)
    defined = [metrics[name]["ccc"] for name in DIMENSIONS if not math.isnan(metrics[name]["ccc"])]
    metrics["mean_ccc"] = float(np.mean(defined)) if defined else math.nan
    return metrics


def _pairs(truth: Any, prediction: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays as float64 vectors, without pairs in which either is NaN."""
    x, y = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "truth and prediction must be one-dimensional and of equal length; found shapes "
            f"{x.shape} and {y.shape}."
        )
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _population_sd(values: np.ndarray) -> float:
    """Compute the population SD, exactly 0 for constant values despite rounding of the mean."""
    return float(values.std()) if np.ptp(values) > 0 else 0.0


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator != 0 else math.nan
