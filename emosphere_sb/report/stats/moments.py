r"""Moments by unit, from which the metrics of any resample can be computed.

For truth :math:`x` and prediction :math:`y`, each unit (a speaker or an utterance) is represented
by seven sums: :math:`n, \sum x, \sum y, \sum x^2, \sum y^2, \sum xy, \sum |y - x|`. A resample in
which unit :math:`g` occurs :math:`w_g` times has the totals :math:`\sum_g w_g m_g`, so one
matrix product yields the totals of many resamples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

COUNT, X, Y, XX, YY, XY, GAP = range(7)
CONSTANT = 1e-12
"""Variances below this fraction of the total variance are treated as 0."""


@dataclass(frozen=True)
class Moments:
    """Moments of one dimension by unit.

    Arguments
    ---------
    sums : numpy.ndarray
        Shape (unit, 7): sums of 1, x, y, x², y², xy and \\|y - x\\|. x and y are centred, except
        in the last sum.
    offset : float
        Mean prediction minus mean truth, before centring.
    variances : tuple of float
        Population variances of truth and prediction; exactly 0 for a constant column.
    """

    sums: np.ndarray
    offset: float
    variances: tuple[float, float]

    @property
    def units(self) -> int:
        """Number of units with at least one pair of values."""
        return int((self.sums[:, COUNT] > 0).sum())

    @property
    def varies(self) -> bool:
        """Whether both the true and the predicted values are non-empty and not constant."""
        return min(self.variances) > 0


def unit_moments(
    truth: np.ndarray, prediction: np.ndarray, codes: np.ndarray, count: int
) -> Moments:
    """Compute the moments of truth and prediction by unit.

    Arguments
    ---------
    truth : numpy.ndarray
        Shape (utterance,). Pairs with NaN are ignored.
    prediction : numpy.ndarray
        Shape (utterance,).
    codes : numpy.ndarray
        Unit index of each utterance, from 0 to ``count - 1``, shape (utterance,).
    count : int
        Number of units.

    Returns
    -------
    Moments
        Moments by unit; all zero if there are no pairs.

    Example
    -------
    >>> unit_moments(np.array([1.0, 3.0]), np.array([2.0, 4.0]), np.array([0, 0]), 1).sums
    array([[2., 0., 0., 2., 2., 2., 2.]])
    """
    known = ~(np.isnan(truth) | np.isnan(prediction))
    x, y, codes = truth[known], prediction[known], codes[known]
    if not x.size:
        return Moments(np.zeros((count, 7)), 0.0, (0.0, 0.0))
    gap, offset = np.abs(y - x), y.mean() - x.mean()
    # Set constant columns to exactly 0: their mean may have a rounding error.
    x, y = (values - values.mean() if np.ptp(values) > 0 else 0 * values for values in (x, y))
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y, gap)
    sums = [np.bincount(codes, weights=column, minlength=count) for column in columns]
    variances = (float(np.mean(x * x)), float(np.mean(y * y)))
    return Moments(np.column_stack(sums), float(offset), variances)


def ccc_and_gradient(totals: np.ndarray, column: Moments) -> tuple[np.ndarray, np.ndarray]:
    r"""Compute the CCC (Lin, 1989) and its gradient with respect to the totals.

    With offset :math:`\delta`, and numerator and denominator multiplied by :math:`n^2`:

    .. math:: \rho_c = \frac{2 (n \sum xy - \sum x \sum y)}
        {n (\sum x^2 + \sum y^2) - 2 \sum x \sum y + n^2 \delta^2 - 2 n \delta (\sum x - \sum y)}

    The CCC is invariant to a common factor of all totals. The scalar product of gradient and totals
    is therefore 0, and that of the gradient and the sums of a unit is the influence of this unit.

    Arguments
    ---------
    totals : numpy.ndarray
        Totals of each resample, shape (resample, 7).
    column : Moments
        Moments of the dimension.

    Returns
    -------
    value : numpy.ndarray
        CCC, shape (resample,). NaN without pairs, or if both columns are constant and equal.
    gradient : numpy.ndarray
        Gradient with respect to all but the last total, shape (resample, 6).
    """
    n, x, y, xx, yy, xy = totals.T[:GAP]
    delta = column.offset
    lower = n * (xx + yy) - 2 * x * y + (n * delta) ** 2 - 2 * n * delta * (x - y)
    floor = CONSTANT * n**2 * (sum(column.variances) + delta**2)
    lower = np.where((n > 0) & (lower > floor), lower, math.nan)
    value = 2 * (n * xy - x * y) / lower
    gradient = np.stack(
        [
            2 * xy - value * (xx + yy + 2 * n * delta**2 - 2 * delta * (x - y)),
            -2 * y + value * 2 * (y + n * delta),
            -2 * x + value * 2 * (x - n * delta),
            -value * n,
            -value * n,
            2 * n,
        ],
        axis=1,
    )
    return value, gradient / lower[:, None]


def secondary_metrics(totals: np.ndarray, column: Moments) -> dict[str, np.ndarray]:
    """Compute Pearson correlation, scale ratio, shift and MAE from totals.

    The definitions are those of :mod:`emosphere_sb.metrics.regression`.

    Arguments
    ---------
    totals : numpy.ndarray
        Totals of each resample, shape (resample, 7).
    column : Moments
        Moments of the dimension.

    Returns
    -------
    dict of str to numpy.ndarray
        ``pearson``, ``scale_ratio``, ``shift`` and ``mae``, shape (resample,), NaN if undefined.
    """
    n = np.where(totals[:, COUNT] > 0, totals[:, COUNT], math.nan)
    x, y, xx, yy, xy, gap = (totals[:, k] / n for k in range(X, GAP + 1))
    std_x, std_y = (
        np.sqrt(np.where(variance > CONSTANT * total, variance, 0.0))
        for variance, total in zip((xx - x * x, yy - y * y), column.variances, strict=True)
    )
    return {
        "pearson": _ratio(xy - x * y, std_x * std_y),
        "scale_ratio": _ratio(std_y, std_x),
        "shift": _ratio(y - x + column.offset, np.sqrt(std_x * std_y)),
        "mae": gap,
    }


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return upper / np.where(lower > 0, lower, math.nan)
