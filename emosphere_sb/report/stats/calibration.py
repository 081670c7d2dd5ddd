"""Calibration of predictions, and corrections fitted on the development set.

A correction has one map per dimension. It is fitted on one set and applied to others. Reports
always show the uncorrected metrics as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from emosphere_sb.metrics import scale_ratio
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.scale import DIMENSIONS, Scale

KINDS = ("affine", "least_squares", "isotonic")
POINT_COLUMNS = ("region", "region_point", "region_head")
"""Columns that become invalid when the predicted point changes."""


def calibration_metrics(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    r"""Compute regression slopes and SD ratio of predictions and truth.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``.

    Returns
    -------
    dict
        For each dimension: ``slope_of_prediction``, :math:`\mathrm{cov}/\sigma_\mathrm{truth}^2`,
        the slope of the regression of prediction on truth, the conditional bias: below 1, low
        values are on average overestimated and high values underestimated. It equals Pearson
        correlation times scale ratio, so it is also below 1 for predictions that are more spread
        than the truth. ``slope_of_truth``, :math:`\mathrm{cov}/\sigma_\mathrm{prediction}^2`,
        which is 1 for calibrated predictions; and ``scale_ratio``,
        :math:`\sigma_\mathrm{prediction}/\sigma_\mathrm{truth}`, which is below 1 if predictions
        shrink towards their mean. NaN if undefined.

    Example
    -------
    >>> table = pd.DataFrame({name: [1.0, 3.0] for name in DIMENSIONS})
    >>> table[list(PREDICTED)] = [[1.5] * 3, [2.5] * 3]
    >>> calibration_metrics(table)["valence"]
    {'slope_of_prediction': 0.5, 'slope_of_truth': 2.0, 'scale_ratio': 0.5}
    """
    found = {}
    for name in DIMENSIONS:
        truth, prediction = _pairs(table, name)
        found[name] = {
            "slope_of_prediction": _slope(truth, prediction),
            "slope_of_truth": _slope(prediction, truth),
            "scale_ratio": scale_ratio(truth, prediction),
        }
    return found


@dataclass(frozen=True)
class Correction:
    """Increasing map from predictions to corrected predictions, for each dimension.

    Isotonic maps are piecewise linear between their knots and constant outside them.

    Arguments
    ---------
    kind : str
        ``affine``, ``least_squares`` or ``isotonic`` (see :meth:`fit`).
    maps : mapping of str to tuple
        Parameters by dimension: ``(slope, offset)``, or ``(x, y)``, two increasing lists of knots.
        Dimensions without an entry are not corrected.
    notes : list of str
        Dimensions that could not be fitted, with reasons.
    """

    kind: str
    maps: Mapping[str, tuple]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def fit(cls, kind: str, table: pd.DataFrame) -> Correction:
        r"""Fit a correction on labelled predictions, usually those of the development set.

        ``affine`` is the map :math:`a y + b, a > 0` that maximises the CCC on this set. The offset
        enters only the term :math:`(\mu_x - a \mu_y - b)^2` of the denominator, which is 0 for
        :math:`b = \mu_x - a \mu_y`. The remaining expression,
        :math:`2 a \sigma_{xy} / (\sigma_x^2 + a^2 \sigma_y^2)`, is largest for
        :math:`a = \sigma_x / \sigma_y`: the corrected predictions have the mean and SD of the
        truth, and their CCC equals the Pearson correlation, the upper limit of any affine map.

        ``least_squares`` is the regression of truth on prediction, :math:`a = \sigma_{xy} /
        \sigma_y^2`. It minimises the squared error, but shrinks the predictions by the correlation
        :math:`\rho`: its CCC is :math:`2 \rho^2 / (1 + \rho^2)`, which never exceeds :math:`\rho`.

        ``isotonic`` is the increasing step function with the least squared error (pool adjacent
        violators; Barlow et al., 1972, Statistical inference under order restrictions), with linear
        interpolation between the steps to avoid ties. It can model non-linear relations, and
        shrinks like least squares.

        Arguments
        ---------
        kind : str
            ``affine``, ``least_squares`` or ``isotonic``.
        table : pandas.DataFrame
            Predictions and truth on the corpus's label scale. Pairs with NaN are ignored.

        Returns
        -------
        Correction
            Fitted correction. A dimension has no map, but a note, if it has fewer than two pairs,
            if truth or predictions are constant, or if the predictions do not increase with the
            truth (reversing them would not be a correction).

        Raises
        ------
        ValueError
            If ``kind`` is unknown.

        Example
        -------
        >>> table = pd.DataFrame({name: [1.0, 3.0] for name in DIMENSIONS})
        >>> table[list(PREDICTED)] = [[1.5] * 3, [2.5] * 3]
        >>> Correction.fit("affine", table).maps["valence"]
        (2.0, -2.0)
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; found {kind!r}.")
        maps, notes = {}, []
        for name in DIMENSIONS:
            truth, prediction = _pairs(table, name)
            slope = _slope(prediction, truth)
            if slope > 0 and np.ptp(truth) > 0:
                maps[name] = _fit_map(kind, truth, prediction, slope)
            else:
                notes.append(
                    f"{name} is not corrected: on the {truth.size} labelled utterances used for "
                    "the fit, predictions do not increase with the truth."
                )
        return cls(kind, maps, notes)

    def values(self, name: str, prediction: np.ndarray) -> np.ndarray:
        """Apply the map of one dimension to an array of any shape; NaN remains NaN."""
        if name not in self.maps:
            return np.asarray(prediction, dtype=np.float64)
        first, second = self.maps[name]
        if self.kind == "isotonic":
            return np.interp(prediction, first, second)
        return first * np.asarray(prediction, dtype=np.float64) + second

    def apply(
        self, table: pd.DataFrame, *, scale: Scale | None = None, regions: Any = None
    ) -> pd.DataFrame:
        """Return a copy of a table with corrected predictions.

        Arguments
        ---------
        table : pandas.DataFrame
            Predictions as returned by ``read_predictions``.
        scale : Scale, optional
            Label scale of the corpus.
        regions : SphericalRegions, optional
            Partition of the sphere. With ``scale`` and ``regions``, ``region_point`` is recomputed;
            otherwise the region columns, which would be outdated, are dropped.

        Returns
        -------
        pandas.DataFrame
            Table with corrected predictions.
        """
        corrected = table.copy()
        for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
            corrected[column] = self.values(name, table[column].to_numpy())
        if "region_point" not in table:
            return corrected
        if scale is None or regions is None:
            return corrected.drop(columns=[name for name in POINT_COLUMNS if name in table])
        point = scale.normalise(corrected[list(PREDICTED)].to_numpy())
        corrected["region_point"] = region_names(point, regions)
        return corrected

    def to_dict(self) -> dict[str, Any]:
        """Convert kind, parameters and notes to JSON-compatible types."""
        names = ("x", "y") if self.kind == "isotonic" else ("slope", "offset")
        maps = {name: dict(zip(names, pair, strict=True)) for name, pair in self.maps.items()}
        return {"kind": self.kind, **maps, "notes": list(self.notes)}


def isotonic_fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit an increasing function with the least squared error (pool adjacent violators).

    Arguments
    ---------
    x : np.ndarray
        Predictor, shape (pair,). Pairs with equal ``x`` have the same fitted value.
    y : np.ndarray
        Target, shape (pair,).

    Returns
    -------
    x, fitted : np.ndarray
        The unique values of ``x``, increasing, and the non-decreasing fitted values.

    Example
    -------
    >>> isotonic_fit(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 2.0]))[1].tolist()
    [1.0, 3.0, 3.0]
    """
    places, which = np.unique(x, return_inverse=True)
    counts = np.bincount(which).astype(float)
    means: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    for mean, weight in zip(np.bincount(which, y) / counts, counts, strict=True):
        means.append(float(mean))
        weights.append(float(weight))
        sizes.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:  # merge violators
            (a, b), (n, m) = means[-2:], weights[-2:]
            means[-2:], weights[-2:] = [(a * n + b * m) / (n + m)], [n + m]
            sizes[-2:] = [sizes[-2] + sizes[-1]]
    return places, np.repeat(means, sizes)


def _fit_map(kind: str, truth: np.ndarray, prediction: np.ndarray, slope: float) -> tuple:
    """Fit the parameters of the map of one dimension."""
    if kind == "isotonic":
        x, y = isotonic_fit(prediction, truth)
        # Knots inside a constant segment are redundant.
        ends = np.r_[True, (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:]), True][: y.size]
        return x[ends].tolist(), y[ends].tolist()
    if kind == "affine":
        slope = 1 / scale_ratio(truth, prediction)
    return float(slope), float(truth.mean() - slope * prediction.mean())


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the slope of the regression of y on x; NaN for fewer than two pairs or constant x."""
    if x.size < 2 or np.ptp(x) == 0:
        return float("nan")
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def _pairs(table: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction of one dimension for utterances that have both."""
    both = table[[name, f"{name}_predicted"]].to_numpy(dtype=np.float64)
    return tuple(both[~np.isnan(both).any(axis=1)].T)
