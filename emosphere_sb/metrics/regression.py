"""The figures that are reported, computed once per set from its predictions, in float64.

Pairs in which either value is NaN are left out. What is undefined is NaN, never 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from emosphere_sb.scale import DIMENSIONS


def ccc(truth: Any, prediction: Any) -> float:
    r"""Concordance correlation coefficient (Lin, 1989), with population variances.

    .. math:: \rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}

    Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
    Biometrics 45, 255-268.

    Arguments
    ---------
    truth : array_like
        Reference values.
    prediction : array_like
        Predicted values, as many.

    Returns
    -------
    float
        In [-1, 1]; NaN with fewer than two pairs and where both are constant and equal.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> round(ccc([1, 2, 3], [2, 3, 4]), 4)
    0.5714
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    denominator = _deviation(x) ** 2 + _deviation(y) ** 2 + (x.mean() - y.mean()) ** 2
    return _ratio(2 * covariance, denominator)


def pearson(truth: Any, prediction: Any) -> float:
    r"""Pearson's correlation coefficient, the part of the CCC that scale and shift do not touch.

    .. math:: \rho = \frac{\mathrm{cov}(x, y)}{\sigma_x \sigma_y}

    Arguments
    ---------
    truth : array_like
        Reference values.
    prediction : array_like
        Predicted values, as many.

    Returns
    -------
    float
        In [-1, 1]; NaN with fewer than two pairs and where either is constant.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> round(pearson([1, 2, 3], [20, 30, 40]), 4)
    1.0
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    return _ratio(covariance, _deviation(x) * _deviation(y))


def scale_ratio(truth: Any, prediction: Any) -> float:
    r"""Lin's scale shift: how far the predictions spread, relative to the truth.

    .. math:: v = \sigma_\mathrm{prediction} / \sigma_\mathrm{truth}

    With :func:`pearson` and :func:`shift` it makes up the CCC (Lin, 1989):
    :math:`\rho_c = \rho \cdot 2 / (v + 1/v + u^2)`.

    Arguments
    ---------
    truth : array_like
        Reference values.
    prediction : array_like
        Predicted values, as many.

    Returns
    -------
    float
        Below 1 where the predictions spread too little; NaN with fewer than two pairs and where
        the truth is constant.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> round(scale_ratio([1, 2, 3], [1, 3, 5]), 4)
    2.0
    """
    x, y = _pairs(truth, prediction)
    return _ratio(_deviation(y), _deviation(x)) if x.size > 1 else math.nan


def shift(truth: Any, prediction: Any) -> float:
    r"""Lin's location shift: how far the predictions lie above the truth.

    .. math:: u = (\mu_\mathrm{prediction} - \mu_\mathrm{truth})
        / \sqrt{\sigma_\mathrm{prediction} \sigma_\mathrm{truth}}

    Arguments
    ---------
    truth : array_like
        Reference values.
    prediction : array_like
        Predicted values, as many.

    Returns
    -------
    float
        Above 0 where the predictions are too high; NaN with fewer than two pairs and where either
        is constant.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> round(shift([1, 3], [2, 4]), 4)
    1.0
    """
    x, y = _pairs(truth, prediction)
    if x.size < 2:
        return math.nan
    return _ratio(y.mean() - x.mean(), math.sqrt(_deviation(y) * _deviation(x)))


def mae(truth: Any, prediction: Any) -> float:
    """Mean absolute error, on the scale that comes in.

    Arguments
    ---------
    truth : array_like
        Reference values.
    prediction : array_like
        Predicted values, as many.

    Returns
    -------
    float
        At least 0; NaN without a pair.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> mae([1, 2], [2, 4])
    1.5
    """
    x, y = _pairs(truth, prediction)
    return float(np.mean(np.abs(y - x))) if x.size else math.nan


def regression_metrics(truth: Any, prediction: Any) -> dict[str, Any]:
    """Every figure of a set of predictions, by dimension, and the mean CCC.

    Arguments
    ---------
    truth : array_like
        Shape (utterance, 3), order valence, arousal, dominance.
    prediction : array_like
        Shape (utterance, 3).

    Returns
    -------
    dict
        For each dimension ``ccc``, ``pearson``, ``scale_ratio``, ``shift``, ``mae`` and ``n``, the
        number of pairs left after those with NaN; and ``mean_ccc``, the mean over the dimensions
        whose CCC is defined (NaN where none is).

    Raises
    ------
    ValueError
        If the shapes differ or the last axis does not have three entries.

    Example
    -------
    >>> figures = regression_metrics([[1, 2, 3], [2, 3, 4.0]], [[1, 2, 3], [2, 3, np.nan]])
    >>> figures["valence"]["ccc"], figures["dominance"]["n"], figures["mean_ccc"]
    (1.0, 1, 1.0)
    """
    truth, prediction = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if truth.shape != prediction.shape or truth.ndim != 2 or truth.shape[1] != len(DIMENSIONS):
        raise ValueError(
            "truth and prediction must both have shape (utterance, 3); found "
            f"{truth.shape} and {prediction.shape}."
        )
    measures = (ccc, pearson, scale_ratio, shift, mae)
    figures: dict[str, Any] = {}
    for name, x, y in zip(DIMENSIONS, truth.T, prediction.T, strict=True):
        figures[name] = {measure.__name__: measure(x, y) for measure in measures}
        figures[name]["n"] = int(_pairs(x, y)[0].size)
    defined = [figures[name]["ccc"] for name in DIMENSIONS if not math.isnan(figures[name]["ccc"])]
    figures["mean_ccc"] = float(np.mean(defined)) if defined else math.nan
    return figures


def _pairs(truth: Any, prediction: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 vectors, without the pairs in which either is NaN."""
    x, y = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "truth and prediction must be two lists of the same length; found shapes "
            f"{x.shape} and {y.shape}."
        )
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _deviation(values: np.ndarray) -> float:
    """Population deviation, exactly 0 for a constant (whose mean may be off by a rounding)."""
    return float(values.std()) if np.ptp(values) > 0 else 0.0


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator != 0 else math.nan
