"""Assignment of points to regions of the sphere, using only NumPy.

Training (:class:`emosphere_sb.sphere.regions.SphericalRegions`) and inference without torch both
use this module, so their results are bit-identical.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

STEPS = (180, 90, 60, 45, 30)
"""Supported angles of a region in degrees."""

OCTANTS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
"""Names of the octants (regions of 90 degrees) in the paper, by index."""

# Index of each octant in the paper. Rows: +V and -V; columns: +A+D, -A+D, -A-D and +A-D
_OCTANT_GRID = ((0, 1, 5, 4), (3, 2, 6, 7))


def spherical_coordinates(vad: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert VAD points to spherical coordinates around zero, in NumPy.

    The definition is that of :func:`emosphere_sb.sphere.geometry.to_spherical`.

    Arguments
    ---------
    vad : array_like
        Points in the order valence, arousal, dominance, shape (..., 3).

    Returns
    -------
    tuple of numpy.ndarray
        Radius, azimuth in radians in (-pi, pi], and polar angle in radians in [0, pi], each
        float64, shape (...). The azimuth is 0 at the origin and on the valence axis, and the polar
        angle is pi/2 at the origin.

    Raises
    ------
    ValueError
        If the last axis does not have three entries.

    Example
    -------
    >>> radius, azimuth, polar = spherical_coordinates([0.0, 0.0, 0.5])
    >>> float(radius), float(np.rad2deg(azimuth)), float(np.rad2deg(polar))
    (0.5, 90.0, 90.0)
    """
    vad = np.asarray(vad, dtype=np.float64)
    if vad.ndim == 0 or vad.shape[-1] != 3:
        raise ValueError(
            "The last axis must have size 3 (valence, arousal, dominance); found shape "
            f"{tuple(vad.shape)}."
        )
    valence, arousal, dominance = np.moveaxis(vad, -1, 0)
    flat = np.hypot(arousal, dominance)
    # Where the angle is undefined, atan2 would return 0 or pi, depending on the signs of zeros
    azimuth = np.where(flat == 0, 0.0, np.arctan2(dominance, arousal))
    # atan2(-0.0, -1) is -pi, and so is the rounded result for a tiny negative dominance; pi is the
    # same direction
    azimuth = np.where(azimuth <= -math.pi, azimuth + 2 * math.pi, azimuth)
    centre = (flat == 0) & (valence == 0)
    polar = np.where(centre, math.pi / 2, np.arctan2(flat, valence))
    return np.hypot(flat, valence), azimuth, polar


class RegionPartition:
    """Partition of the sphere into regions, with indices, names and assignment of points.

    The borders are described in :class:`emosphere_sb.sphere.regions.SphericalRegions`.

    Arguments
    ---------
    step : int
        Angle of a region in degrees: 180, 90, 60, 45 or 30.
    centre_radius : float
        Radius of an additional region around neutral, which has the last index; 0: no such region.

    Attributes
    ----------
    indices : numpy.ndarray
        Index of each cell by ring and column, int64, shape (180/step, 360/step).
    names : tuple of str
        Short name of each region.
    descriptions : tuple of str
        Description of each region.

    Raises
    ------
    ValueError
        If ``step`` is not supported or ``centre_radius`` is outside [0, sqrt 3).

    Example
    -------
    >>> partition = RegionPartition(90)
    >>> partition.names[int(partition.assign([-0.2, 0.5, -0.1]))]
    'VIII'
    """

    def __init__(self, step: int = 90, centre_radius: float = 0.0):
        if step not in STEPS:
            raise ValueError(
                f"step must be one of {', '.join(map(str, STEPS))} degrees; found {step!r}."
            )
        if not 0.0 <= centre_radius < math.sqrt(3):
            raise ValueError(
                "centre_radius must be in [0, sqrt 3), where 0 means no centre region; found "
                f"{centre_radius!r}."
            )
        self.step, self.centre_radius = int(step), float(centre_radius)
        self.indices = self._indices()
        self.names, self.descriptions = self._labels()

    def __len__(self) -> int:
        return self.indices.size + (self.centre_radius > 0)

    def assign(self, vad: Any) -> np.ndarray:
        """Return the region of each point, computed in float64.

        Arguments
        ---------
        vad : array_like
            Points in [-1, 1], shape (..., 3).

        Returns
        -------
        numpy.ndarray
            Region indices, int64, shape (...); -1 where a dimension is NaN or infinite.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        vad = np.asarray(vad, dtype=np.float64)
        known = np.isfinite(vad).all(axis=-1, keepdims=True)
        points = np.where(known, vad, 0.0)
        radius, azimuth, polar = spherical_coordinates(points)
        if self.step == 90:
            ring, column = self._ring_and_column_by_sign(points)
        else:
            ring, column = self._ring_and_column_by_angle(azimuth, polar)
        index = self.indices[ring, column]
        if self.centre_radius > 0:
            index = np.where(radius < self.centre_radius, self.indices.size, index)
        return np.where(known[..., 0], index, -1)

    def cells(self) -> list[tuple[int, int, int]]:
        """List (index, polar angle, azimuth) of each cell, with lower bounds in degrees."""
        return sorted(
            (int(index), ring * self.step, column * self.step)
            for (ring, column), index in np.ndenumerate(self.indices)
        )

    def _indices(self) -> np.ndarray:
        if self.step == 90:
            return np.array(_OCTANT_GRID, dtype=np.int64)
        rings, columns = 180 // self.step, 360 // self.step
        return np.arange(rings * columns, dtype=np.int64).reshape(rings, columns)

    @staticmethod
    def _ring_and_column_by_sign(vad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ring and column of each point by the sign rule of the paper."""
        valence, arousal, dominance = np.moveaxis((vad < 0).astype(np.int64), -1, 0)
        return valence, np.where(dominance, 3 - arousal, arousal)

    def _ring_and_column_by_angle(
        self, azimuth: np.ndarray, polar: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ring and column of each point by intervals of azimuth and polar angle."""
        rings, columns = self.indices.shape
        # floor before modulo: a tiny negative azimuth plus 360 would be rounded to 360
        column = np.floor(np.rad2deg(azimuth) / self.step).astype(np.int64) % columns
        ring = np.ceil(np.rad2deg(polar) / self.step).astype(np.int64) - 1
        return ring.clip(0, rings - 1), column

    def _labels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self.step == 90:
            names = list(OCTANTS)
            descriptions = [
                f"{OCTANTS[k]} ({'-' if polar else '+'}V "
                f"{'-' if azimuth in (90, 180) else '+'}A {'-' if azimuth >= 180 else '+'}D)"
                for k, polar, azimuth in self.cells()
            ]
        else:
            names = [f"p{polar:03d}a{azimuth:03d}" for _, polar, azimuth in self.cells()]
            descriptions = [
                f"polar {i}-{i + self.step}, azimuth {j}-{j + self.step} degrees"
                for _, i, j in self.cells()
            ]
        if self.centre_radius > 0:
            names.append("centre")
            descriptions.append(f"centre (radius below {self.centre_radius:g})")
        return tuple(names), tuple(descriptions)
