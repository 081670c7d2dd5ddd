r"""Cluster bootstrap of CCCs, vectorised over resamples, with standard errors.

A statistic is a weighted sum of CCCs on the same utterances: a mean over seeds, or the difference
of two means. Each resample draws all :math:`G` units with replacement, and all CCCs of the
statistic are computed on the same resample. The standard error is cluster-robust and is
obtained by the delta method (infinitesimal jackknife): if unit :math:`g` with influence
:math:`U_g` is drawn :math:`w_g` times,

.. math:: s^2 = \frac{G}{G - 1} \sum_g w_g U_g^2

Efron, B., & Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emosphere_sb.report.stats.moments import GAP, Moments, ccc_and_gradient, secondary_metrics

SECONDARY_METRICS = ("pearson", "scale_ratio", "shift", "mae")
MAX_CELLS = 1 << 20
"""Maximum number of resamples times units per batch (about 60 MB)."""
ROUNDING = 1e-12
"""Differences of CCCs below this value are rounding errors."""

Terms = Sequence[tuple[float, Moments]]
"""One dimension of a statistic: a weight and the moments of each CCC in the sum."""


@dataclass(frozen=True)
class ResampledStatistic:
    """Values of a statistic on a number of resamples.

    Arguments
    ---------
    value : numpy.ndarray
        Shape (resample, dimension + 1): one value per dimension, then the mean of the dimensions
        that are defined for the full sample (before resampling). NaN if undefined.
    error : numpy.ndarray
        Standard errors, same shape. NaN if undefined.
    secondary : numpy.ndarray or None
        Pearson correlation, scale ratio, shift and MAE with the same weights, shape (resample,
        dimension, 4); ``None`` if not requested.
    """

    value: np.ndarray
    error: np.ndarray
    secondary: np.ndarray | None


def check_bootstrap_settings(resamples: int, level: float) -> None:
    """Check the confidence level, and that there are enough resamples for it.

    Raises
    ------
    ValueError
        If ``level`` is not between 0 and 1, or if ``(resamples + 1) * (1 - level)`` is below 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; found {level}. A common value is 0.95.")
    least = math.ceil(1 / (1 - level) - 1 - ROUNDING)
    if resamples < least:
        raise ValueError(
            f"A confidence interval at level {level:g} requires at least {least} resamples; found "
            f"{resamples}. A common value is 10,000."
        )


def bootstrap_statistics(
    dimensions: Sequence[Terms], units: int, *, resamples: int, seed: int, secondary: bool = False
) -> ResampledStatistic:
    """Draw resamples of units and compute a statistic on each of them.

    Arguments
    ---------
    dimensions : sequence of sequence of (float, Moments)
        Weighted CCCs of each dimension, all over the same units.
    units : int
        Number of units.
    resamples : int
        Number of resamples.
    seed : int
        Random seed. The result does not depend on the batch size.
    secondary : bool
        Whether to compute the secondary metrics as well.

    Returns
    -------
    ResampledStatistic
        One row per resample.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, MAX_CELLS // units)
    parts = []
    for begin in range(0, resamples, at_once):
        counts = _draw(rng, min(at_once, resamples - begin), units)
        parts.append(_evaluate(dimensions, counts, secondary))
    return ResampledStatistic(
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.secondary for part in parts]) if secondary else None,
    )


def observed_statistic(
    dimensions: Sequence[Terms], units: int, *, secondary: bool = False
) -> ResampledStatistic:
    """Compute the statistic on the original table: one row, each unit counted once."""
    return _evaluate(dimensions, np.ones((1, units)), secondary)


def _draw(rng: np.random.Generator, resamples: int, units: int) -> np.ndarray:
    """Draw how often each unit occurs in each resample, shape (resample, unit)."""
    drawn = rng.integers(units, size=(resamples, units))
    drawn += units * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * units)
    return counts.reshape(resamples, units).astype(np.float64)


def _evaluate(
    dimensions: Sequence[Terms], counts: np.ndarray, secondary: bool
) -> ResampledStatistic:
    usable = [all(_usable(column) for _, column in terms) for terms in dimensions]
    rows, last = len(counts), len(dimensions)
    value, error = (np.full((rows, last + 1), math.nan) for _ in range(2))
    found = np.full((rows, last, len(SECONDARY_METRICS)), math.nan) if secondary else None
    joint = np.zeros_like(counts)
    for d, terms in enumerate(dimensions):
        value[:, d], influence, others = _dimension(terms, counts, secondary)
        if secondary:
            found[:, d] = others
        if usable[d]:
            error[:, d] = _error(counts, influence, max(column.units for _, column in terms))
            joint += influence
        else:
            value[:, d] = math.nan
    if any(usable):
        value[:, last] = value[:, :last][:, usable].mean(axis=1)
        units = max(column.units for terms in dimensions for _, column in terms)
        error[:, last] = _error(counts, joint, units) / sum(usable)
    return ResampledStatistic(value, error, found)


def _usable(column: Moments) -> bool:
    """Return whether the CCC and its standard error are defined for the full sample (before
    resampling)."""
    return column.units > 1 and (max(column.variances) > 0 or column.offset != 0)


def _dimension(terms: Terms, counts: np.ndarray, secondary: bool) -> tuple:
    """Return value, influence of each unit, and secondary metrics of one dimension."""
    value, gradients = np.zeros(len(counts)), []
    others = np.zeros((len(counts), len(SECONDARY_METRICS))) if secondary else None
    for weight, column in terms:
        totals = counts @ column.sums
        one, gradient = ccc_and_gradient(totals, column)
        value += weight * one
        gradients.append(weight * gradient)
        if secondary:
            more = secondary_metrics(totals, column)
            others += weight * np.stack([more[name] for name in SECONDARY_METRICS], axis=1)
    sums = np.hstack([column.sums[:, :GAP] for _, column in terms])
    return value, np.hstack(gradients) @ sums.T, others


def _error(counts: np.ndarray, influence: np.ndarray, units: int) -> np.ndarray:
    squares = np.einsum("bg,bg->b", counts, influence * influence)
    return np.sqrt(squares * units / (units - 1))


def studentised_distances(
    statistic: np.ndarray, error: np.ndarray, centre: float, *, fisher: bool
) -> np.ndarray:
    r"""Compute the distance of each resample from the observed value, in standard errors.

    Arguments
    ---------
    statistic : numpy.ndarray
        Statistic on each resample, shape (resample,).
    error : numpy.ndarray
        Standard errors, shape (resample,).
    centre : float
        Statistic on the original table.
    fisher : bool
        Whether to use Fisher's scale, :math:`z = \operatorname{artanh} \rho_c`, on which the
        standard error is divided by :math:`1 - \rho_c^2`.

    Returns
    -------
    numpy.ndarray
        Non-negative distances, shape (resample,). Undefined resamples have an infinite distance:
        they can widen an interval, but not narrow it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(statistic - centre)
        distance = np.abs(fisher_z(statistic) - fisher_z(centre)) if fisher else gap
        t = distance / (error / (1 - statistic**2) if fisher else error)
    t[gap <= ROUNDING] = 0.0
    return np.where(np.isnan(t), math.inf, t)


def fisher_z(value: np.ndarray | float) -> np.ndarray | float:
    """Apply Fisher's z-transformation; the result is finite for a CCC of 1."""
    return np.arctanh(np.clip(value, -1 + 1e-15, 1 - 1e-15))


def critical_distance(distance: np.ndarray, level: float) -> float:
    """Return the ``level`` quantile of the distances, counting the original table as a resample.

    Example
    -------
    >>> critical_distance(np.arange(1.0, 20.0), 0.95)
    19.0
    """
    rank = math.ceil((len(distance) + 1) * level - ROUNDING)
    return float(np.partition(distance, rank - 1)[rank - 1])
