r"""Sums over units from which the figures of any resample follow, without its utterances.

For a pair of columns, truth :math:`x` and prediction :math:`y`, each unit (a speaker, or one
utterance) is kept as seven sums: :math:`n, \sum x, \sum y, \sum x^2, \sum y^2, \sum xy,
\sum |y - x|`. A resample that draws unit :math:`g` :math:`w_g` times has the totals
:math:`\sum_g w_g m_g`: one matrix product gives those of many resamples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

COUNT, X, Y, XX, YY, XY, GAP = range(7)
CONSTANT = 1e-12
"""A variance below this part of the whole table's is that of a constant, up to rounding."""


@dataclass(frozen=True)
class Moments:
    """One column of predictions as sums over units.

    Arguments
    ---------
    sums : numpy.ndarray
        Shape (unit, 7): n, x, y, x², y², xy, \\|y - x\\|; x and y each about its own mean, the
        last one not.
    offset : float
        Mean prediction minus mean truth, which the centring took out.
    variances : tuple of float
        Population variances of truth and prediction, exactly 0 where a column is constant.
    """

    sums: np.ndarray
    offset: float
    variances: tuple[float, float]

    @property
    def units(self) -> int:
        """How many units have a pair of values."""
        return int((self.sums[:, COUNT] > 0).sum())

    @property
    def varies(self) -> bool:
        """Whether neither column is constant (nor empty)."""
        return min(self.variances) > 0


def moments(truth: np.ndarray, prediction: np.ndarray, codes: np.ndarray, count: int) -> Moments:
    """Sum a pair of columns over units.

    Arguments
    ---------
    truth : numpy.ndarray
        Shape (utterance,); pairs in which either value is NaN are left out.
    prediction : numpy.ndarray
        Shape (utterance,).
    codes : numpy.ndarray
        Each utterance's unit, (utterance,), from 0 to ``count - 1``.
    count : int
        Number of units.

    Returns
    -------
    Moments
        All zero where no pair is left.

    Example
    -------
    >>> moments(np.array([1.0, 3.0]), np.array([2.0, 4.0]), np.array([0, 0]), 1).sums
    array([[2., 0., 0., 2., 2., 2., 2.]])
    """
    known = ~(np.isnan(truth) | np.isnan(prediction))
    x, y, codes = truth[known], prediction[known], codes[known]
    if not x.size:
        return Moments(np.zeros((count, 7)), 0.0, (0.0, 0.0))
    gap, offset = np.abs(y - x), y.mean() - x.mean()
    # A constant's mean may be off by a rounding: it becomes exactly 0 here.
    x, y = (values - values.mean() if np.ptp(values) > 0 else 0 * values for values in (x, y))
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y, gap)
    sums = [np.bincount(codes, weights=column, minlength=count) for column in columns]
    variances = (float(np.mean(x * x)), float(np.mean(y * y)))
    return Moments(np.column_stack(sums), float(offset), variances)


def concordance(totals: np.ndarray, column: Moments) -> tuple[np.ndarray, np.ndarray]:
    r"""CCC (Lin, 1989) from totals, and its gradient by the totals.

    With :math:`\delta` the offset, both parts multiplied by :math:`n^2`:

    .. math:: \rho_c = \frac{2 (n \sum xy - \sum x \sum y)}
        {n (\sum x^2 + \sum y^2) - 2 \sum x \sum y + n^2 \delta^2 - 2 n \delta (\sum x - \sum y)}

    The CCC does not change when every total is multiplied by one number, so the gradient times
    the totals is 0, and the gradient times one unit's sums is that unit's influence.

    Arguments
    ---------
    totals : numpy.ndarray
        Shape (resample, 7).
    column : Moments
        Whose totals they are.

    Returns
    -------
    value : numpy.ndarray
        Shape (resample,); NaN without a pair and where both columns are constant and equal.
    gradient : numpy.ndarray
        Shape (resample, 6), by all but the last sum.
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


def other_figures(totals: np.ndarray, column: Moments) -> dict[str, np.ndarray]:
    """Pearson, scale ratio, shift and MAE from totals, see :mod:`emosphere_sb.metrics.regression`.

    Arguments
    ---------
    totals : numpy.ndarray
        Shape (resample, 7).
    column : Moments
        Whose totals they are.

    Returns
    -------
    dict of str to numpy.ndarray
        ``pearson``, ``scale_ratio``, ``shift``, ``mae``, each (resample,), NaN where undefined.
    """
    n = np.where(totals[:, COUNT] > 0, totals[:, COUNT], math.nan)
    x, y, xx, yy, xy, gap = (totals[:, k] / n for k in range(X, GAP + 1))
    deviations = [
        np.sqrt(np.where(variance > CONSTANT * whole, variance, 0.0))
        for variance, whole in zip((xx - x * x, yy - y * y), column.variances, strict=True)
    ]
    of_x, of_y = deviations
    return {
        "pearson": _ratio(xy - x * y, of_x * of_y),
        "scale_ratio": _ratio(of_y, of_x),
        "shift": _ratio(y - x + column.offset, np.sqrt(of_x * of_y)),
        "mae": gap,
    }


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return upper / np.where(lower > 0, lower, math.nan)
