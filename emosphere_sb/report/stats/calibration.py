"""How far predictions shrink towards the middle, and corrections learned on the development set.

A correction is one map for each dimension. It is fitted on one set and applied to others; figures
after it are only ever shown beside those before it.
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
BY_POINT = ("region", "region_point", "region_head")
"""Columns that say nothing true any more once the point has moved."""


def calibration(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    r"""How predictions lie to the truth, by dimension.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it.

    Returns
    -------
    dict
        For each dimension ``slope_of_prediction``, :math:`\mathrm{cov}/\sigma_\mathrm{truth}^2`,
        the regression of prediction on truth: below 1 where predictions shrink to the middle;
        ``slope_of_truth``, :math:`\mathrm{cov}/\sigma_\mathrm{prediction}^2`: 1 where a step of
        the prediction means as large a step of the truth; and ``scale_ratio``,
        :math:`\sigma_\mathrm{prediction}/\sigma_\mathrm{truth}`. NaN where not defined.

    Example
    -------
    >>> table = pd.DataFrame({name: [1.0, 3.0] for name in DIMENSIONS})
    >>> table[list(PREDICTED)] = [[1.5] * 3, [2.5] * 3]
    >>> calibration(table)["valence"]
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
    """A rising map for each dimension, from predictions to corrected ones.

    Between its knots a map is straight. A map of two knots goes on straight beyond them (affine);
    an isotonic one, which knows nothing out there, stays level.

    Arguments
    ---------
    kind : str
        ``affine``, ``least_squares`` or ``isotonic``, see :meth:`fit`.
    maps : mapping of str to tuple
        By dimension the parameters: ``(slope, offset)``, or ``(x, y)``, two rising lists of knots.
        A dimension that is not there stays as it is.
    notes : list of str
        Which dimensions could not be fitted, and why.
    """

    kind: str
    maps: Mapping[str, tuple]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def fit(cls, kind: str, table: pd.DataFrame) -> Correction:
        r"""Learn a correction from predictions whose truth is known: those of the development set.

        ``affine`` is the map :math:`a y + b, a > 0` that makes the CCC on this set as large as it
        gets. The offset only enters the term :math:`(\mu_x - a \mu_y - b)^2` of the denominator,
        which :math:`b = \mu_x - a \mu_y` makes 0. What is left,
        :math:`2 a \sigma_{xy} / (\sigma_x^2 + a^2 \sigma_y^2)`, has its largest value at
        :math:`a = \sigma_x / \sigma_y`: the corrected predictions have the mean and the deviation
        of the truth, and their CCC is Pearson's correlation, which no straight line can raise.

        ``least_squares`` is the regression of truth on prediction, :math:`a = \sigma_{xy} /
        \sigma_y^2`. It has the least squared error, but shrinks by the correlation
        :math:`\rho` once more: its CCC is :math:`2 \rho^2 / (1 + \rho^2)`, never above
        :math:`\rho`.

        ``isotonic`` is the rising step function of least squared error (pool adjacent violators;
        Barlow et al., 1972, Statistical inference under order restrictions), joined by straight
        lines between its steps so that equal corrected values stay rare. It bends where the
        truth asks for it, and shrinks as least squares does.

        Arguments
        ---------
        kind : str
            One of the three.
        table : pandas.DataFrame
            Predictions with truth, on the corpus's scale; pairs with NaN are left out.

        Returns
        -------
        Correction
            Without a map, and with a note, for each dimension that has fewer than two pairs, a
            constant on either side, or predictions that do not rise with the truth: turning them
            over would be no correction but another prediction.

        Raises
        ------
        ValueError
            If the kind is unknown.

        Example
        -------
        >>> table = pd.DataFrame({name: [1.0, 3.0] for name in DIMENSIONS})
        >>> table[list(PREDICTED)] = [[1.5] * 3, [2.5] * 3]
        >>> Correction.fit("affine", table).maps["valence"]
        (2.0, -2.0)
        """
        if kind not in KINDS:
            raise ValueError(f"A correction must be one of {', '.join(KINDS)}; found {kind!r}.")
        maps, notes = {}, []
        for name in DIMENSIONS:
            truth, prediction = _pairs(table, name)
            slope = _slope(prediction, truth)
            if slope > 0 and np.ptp(truth) > 0:
                maps[name] = _fitted(kind, truth, prediction, slope)
            else:
                notes.append(
                    f"{name} is not corrected: on the {truth.size} utterances whose truth is known "
                    "to the fit, predictions do not rise with the truth."
                )
        return cls(kind, maps, notes)

    def values(self, name: str, prediction: np.ndarray) -> np.ndarray:
        """Corrected values of one dimension; shape as given, NaN stays NaN."""
        if name not in self.maps:
            return np.asarray(prediction, dtype=np.float64)
        first, second = self.maps[name]
        if self.kind == "isotonic":
            return np.interp(prediction, first, second)
        return first * np.asarray(prediction, dtype=np.float64) + second

    def apply(
        self, table: pd.DataFrame, *, scale: Scale | None = None, regions: Any = None
    ) -> pd.DataFrame:
        """A table with corrected predictions; the one given stays as it is.

        Arguments
        ---------
        table : pandas.DataFrame
            As ``read_predictions`` gives it.
        scale : Scale, optional
            The corpus's.
        regions : SphericalRegions, optional
            How the sphere is cut. With scale and regions ``region_point`` is that of the corrected
            point; otherwise every column about regions is left out, for the old ones would be
            another point's.

        Returns
        -------
        pandas.DataFrame
            As given, but for the columns named above.
        """
        corrected = table.copy()
        for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
            corrected[column] = self.values(name, table[column].to_numpy())
        if "region_point" not in table:
            return corrected
        if scale is None or regions is None:
            return corrected.drop(columns=[name for name in BY_POINT if name in table])
        point = scale.normalise(corrected[list(PREDICTED)].to_numpy())
        corrected["region_point"] = region_names(point, regions)
        return corrected

    def to_dict(self) -> dict[str, Any]:
        """Kind, parameters and notes as plain types, for JSON."""
        names = ("x", "y") if self.kind == "isotonic" else ("slope", "offset")
        maps = {name: dict(zip(names, pair, strict=True)) for name, pair in self.maps.items()}
        return {"kind": self.kind, **maps, "notes": list(self.notes)}


def isotonic_fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising values of least squared error to ``y`` by ``x`` (pool adjacent violators).

    Arguments
    ---------
    x : np.ndarray
        Shape (pair,). Pairs of equal ``x`` get one value.
    y : np.ndarray
        Shape (pair,).

    Returns
    -------
    x, fitted : np.ndarray
        The different values of ``x``, rising, and what is fitted there, never falling.

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
        while len(means) > 1 and means[-2] >= means[-1]:  # two blocks out of order become one
            (a, b), (n, m) = means[-2:], weights[-2:]
            means[-2:], weights[-2:] = [(a * n + b * m) / (n + m)], [n + m]
            sizes[-2:] = [sizes[-2] + sizes[-1]]
    return places, np.repeat(means, sizes)


def _fitted(kind: str, truth: np.ndarray, prediction: np.ndarray, slope: float) -> tuple:
    """Parameters of one dimension's map."""
    if kind == "isotonic":
        x, y = isotonic_fit(prediction, truth)
        # Inside a level stretch a knot changes nothing.
        ends = np.r_[True, (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:]), True][: y.size]
        return x[ends].tolist(), y[ends].tolist()
    if kind == "affine":
        slope = 1 / scale_ratio(truth, prediction)
    return float(slope), float(truth.mean() - slope * prediction.mean())


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the regression of y on x; NaN with fewer than two pairs and where x is constant."""
    if x.size < 2 or np.ptp(x) == 0:
        return float("nan")
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def _pairs(table: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of one dimension, where both are known."""
    both = table[[name, f"{name}_predicted"]].to_numpy(dtype=np.float64)
    return tuple(both[~np.isnan(both).any(axis=1)].T)
