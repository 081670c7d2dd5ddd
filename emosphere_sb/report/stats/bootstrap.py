r"""The bootstrap of CCCs: many resamples of whole units at once, each with its standard error.

A statistic is a weighted sum of CCCs on the same utterances: their mean over seeds, or one mean
minus another. Every resample draws as many units as there are, with replacement, and all CCCs of
the statistic are computed on that one resample. Its standard error is the cluster-robust one of
the delta method (the infinitesimal jackknife): with :math:`U_g` the influence of unit :math:`g`,
drawn :math:`w_g` times of :math:`G`,

.. math:: s^2 = \frac{G}{G - 1} \sum_g w_g U_g^2

Efron, B., & Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emosphere_sb.report.stats.moments import GAP, Moments, concordance, other_figures

FIGURES = ("pearson", "scale_ratio", "shift", "mae")
CELLS = 1 << 20
"""Resamples times units held at once: some 60 MB."""
ROUNDING = 1e-12
"""Differences of CCCs below this are rounding."""

Terms = Sequence[tuple[float, Moments]]
"""One dimension of a statistic: a weight for each CCC that it sums."""


@dataclass(frozen=True)
class Resampled:
    """What a statistic is on some resamples.

    Arguments
    ---------
    value : numpy.ndarray
        Shape (resample, dimension + 1): each dimension's, then their mean over the dimensions
        that are defined on the whole table. NaN where undefined.
    error : numpy.ndarray
        Standard errors, of the same shape; NaN where undefined.
    figures : numpy.ndarray or None
        Shape (resample, dimension, 4): Pearson, scale ratio, shift, MAE, summed with the same
        weights; ``None`` where not asked for.
    """

    value: np.ndarray
    error: np.ndarray
    figures: np.ndarray | None


def check_settings(resamples: int, level: float) -> None:
    """Refuse a level out of (0, 1), and too few resamples to reach it.

    Raises
    ------
    ValueError
        If ``level`` is not between 0 and 1 or ``(resamples + 1) * (1 - level)`` is below 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; found {level}. Take 0.95, for instance.")
    least = math.ceil(1 / (1 - level) - 1 - ROUNDING)
    if resamples < least:
        raise ValueError(
            f"An interval at level {level:g} needs at least {least} resamples; found {resamples}. "
            "Take 10,000."
        )


def resample(
    dimensions: Sequence[Terms], units: int, *, resamples: int, seed: int, figures: bool = False
) -> Resampled:
    """Draw units again and again, and compute a statistic on every resample.

    Arguments
    ---------
    dimensions : sequence of sequence of (float, Moments)
        Each dimension's weighted CCCs; all over the same units.
    units : int
        How many units there are.
    resamples : int
        How many resamples.
    seed : int
        The result depends on it alone, not on how many resamples are held at once.
    figures : bool
        Whether the other figures are wanted too.

    Returns
    -------
    Resampled
        One row a resample.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS // units)
    parts = []
    for begin in range(0, resamples, at_once):
        counts = _draw(rng, min(at_once, resamples - begin), units)
        parts.append(_evaluate(dimensions, counts, figures))
    return Resampled(
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.figures for part in parts]) if figures else None,
    )


def observed(dimensions: Sequence[Terms], units: int, *, figures: bool = False) -> Resampled:
    """The same statistic on the table itself, every unit once: one row."""
    return _evaluate(dimensions, np.ones((1, units)), figures)


def _draw(rng: np.random.Generator, resamples: int, units: int) -> np.ndarray:
    """How often each resample draws each unit, (resample, unit)."""
    drawn = rng.integers(units, size=(resamples, units))
    drawn += units * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * units)
    return counts.reshape(resamples, units).astype(np.float64)


def _evaluate(dimensions: Sequence[Terms], counts: np.ndarray, figures: bool) -> Resampled:
    usable = [all(_usable(column) for _, column in terms) for terms in dimensions]
    rows, last = len(counts), len(dimensions)
    value, error = (np.full((rows, last + 1), math.nan) for _ in range(2))
    found = np.full((rows, last, len(FIGURES)), math.nan) if figures else None
    joint = np.zeros_like(counts)
    for d, terms in enumerate(dimensions):
        value[:, d], influence, others = _dimension(terms, counts, figures)
        if figures:
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
    return Resampled(value, error, found)


def _usable(column: Moments) -> bool:
    """Whether the CCC is defined on the whole table, with an error: more than one unit."""
    return column.units > 1 and (max(column.variances) > 0 or column.offset != 0)


def _dimension(terms: Terms, counts: np.ndarray, figures: bool) -> tuple:
    """Value, influence of each unit, and other figures of one dimension."""
    value, gradients = np.zeros(len(counts)), []
    others = np.zeros((len(counts), len(FIGURES))) if figures else None
    for weight, column in terms:
        totals = counts @ column.sums
        one, gradient = concordance(totals, column)
        value += weight * one
        gradients.append(weight * gradient)
        if figures:
            more = other_figures(totals, column)
            others += weight * np.stack([more[name] for name in FIGURES], axis=1)
    sums = np.hstack([column.sums[:, :GAP] for _, column in terms])
    return value, np.hstack(gradients) @ sums.T, others


def _error(counts: np.ndarray, influence: np.ndarray, units: int) -> np.ndarray:
    squares = np.einsum("bg,bg->b", counts, influence * influence)
    return np.sqrt(squares * units / (units - 1))


def distances(
    statistic: np.ndarray, error: np.ndarray, centre: float, *, fisher: bool
) -> np.ndarray:
    r"""How many of its own standard errors each resample lies from the table's value.

    Arguments
    ---------
    statistic : numpy.ndarray
        Shape (resample,).
    error : numpy.ndarray
        Its standard error, (resample,).
    centre : float
        The statistic on the whole table.
    fisher : bool
        Measure on Fisher's scale, :math:`z = \operatorname{artanh} \rho_c`, on which the error is
        divided by :math:`1 - \rho_c^2`.

    Returns
    -------
    numpy.ndarray
        At least 0, (resample,). An undefined resample is infinitely far: it can widen an interval
        and never narrow it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(statistic - centre)
        moved = np.abs(to_z(statistic) - to_z(centre)) if fisher else gap
        t = moved / (error / (1 - statistic**2) if fisher else error)
    t[gap <= ROUNDING] = 0.0
    return np.where(np.isnan(t), math.inf, t)


def to_z(value: np.ndarray | float) -> np.ndarray | float:
    """Fisher's z; finite for a CCC of 1 up to rounding."""
    return np.arctanh(np.clip(value, -1 + 1e-15, 1 - 1e-15))


def critical(distance: np.ndarray, level: float) -> float:
    """The distance that ``level`` of the resamples do not exceed, counting the table as one.

    Example
    -------
    >>> critical(np.arange(1.0, 20.0), 0.95)
    19.0
    """
    rank = math.ceil((len(distance) + 1) * level - ROUNDING)
    return float(np.partition(distance, rank - 1)[rank - 1])
