"""In which region of the sphere a point lies, in numpy alone: the one place where it is decided.

:class:`emosphere_sb.sphere.regions.SphericalRegions` asks here and adds what training needs. A
model that is asked without torch asks here as well, so that both say the same to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

STEPS = (180, 90, 60, 45, 30)
"""Angles, in degrees, into which the sphere can be cut."""

OCTANTS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
"""The published names of the regions at 90 degrees, in the order of their indices."""

# (valence half, quarter of azimuth) -> index of the published octant; rows +V and -V,
# columns +A+D, -A+D, -A-D, +A-D
_OCTANT_GRID = ((0, 1, 5, 4), (3, 2, 6, 7))


def spherical(vad: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius, azimuth and polar angle, see :func:`emosphere_sb.sphere.geometry.to_spherical`.

    Arguments
    ---------
    vad : array_like
        Shape (..., 3), order valence, arousal, dominance.

    Returns
    -------
    tuple of numpy.ndarray
        Shape (...), float64: radius; azimuth in radians in (-pi, pi]; polar angle in radians in
        [0, pi]. At the centre 0, 0 and pi/2; on the valence axis the azimuth is 0.

    Raises
    ------
    ValueError
        If the last axis does not have three entries.

    Example
    -------
    >>> radius, azimuth, polar = spherical([0.0, 0.0, 0.5])
    >>> float(radius), float(np.rad2deg(azimuth)), float(np.rad2deg(polar))
    (0.5, 90.0, 90.0)
    """
    vad = np.asarray(vad, dtype=np.float64)
    if vad.ndim == 0 or vad.shape[-1] != 3:
        raise ValueError(
            "The last axis must hold valence, arousal, dominance; found shape "
            f"{tuple(vad.shape)}. Stack the three dimensions on the last axis."
        )
    valence, arousal, dominance = np.moveaxis(vad, -1, 0)
    flat = np.hypot(arousal, dominance)
    # Where the angle is undefined atan2 may say pi, by the signs of zeros
    azimuth = np.where(flat == 0, 0.0, np.arctan2(dominance, arousal))
    # atan2(-0.0, -1) is -pi, as is that of a tiny negative dominance: the same direction as pi
    azimuth = np.where(azimuth <= -math.pi, azimuth + 2 * math.pi, azimuth)
    centre = (flat == 0) & (valence == 0)
    polar = np.where(centre, math.pi / 2, np.arctan2(flat, valence))
    return np.hypot(flat, valence), azimuth, polar


class RegionGrid:
    """The cells of the sphere: their indices, their names, and which of them a point lies in.

    The borders are those of :class:`emosphere_sb.sphere.regions.SphericalRegions`, which says them.

    Arguments
    ---------
    step : int
        Degrees: 180, 90, 60, 45 or 30.
    centre_radius : float
        If above 0, points nearer to neutral than this make up one more region, the last.

    Attributes
    ----------
    indices : numpy.ndarray
        Shape (180/step, 360/step), int64: indices by ring and column.
    names, descriptions : tuple of str
        Of each region, short and in words.

    Raises
    ------
    ValueError
        If the step is not one of the five or the radius is outside [0, sqrt 3).

    Example
    -------
    >>> grid = RegionGrid(90)
    >>> grid.names[int(grid.assign([-0.2, 0.5, -0.1]))]
    'VIII'
    """

    def __init__(self, step: int = 90, centre_radius: float = 0.0):
        if step not in STEPS:
            raise ValueError(
                f"The step must be one of {', '.join(map(str, STEPS))} degrees; found {step!r}."
            )
        if not 0.0 <= centre_radius < math.sqrt(3):
            raise ValueError(
                "centre_radius must be at least 0 (no centre region) and below sqrt 3, the "
                f"farthest corner of the cube; found {centre_radius!r}."
            )
        self.step, self.centre_radius = int(step), float(centre_radius)
        self.indices = self._indices()
        self.names, self.descriptions = self._labels()

    def __len__(self) -> int:
        return self.indices.size + (self.centre_radius > 0)

    def assign(self, vad: Any) -> np.ndarray:
        """The index of the region in which each point lies, decided in float64.

        Arguments
        ---------
        vad : array_like
            Shape (..., 3) in [-1, 1].

        Returns
        -------
        numpy.ndarray
            Shape (...), int64; -1 where a dimension is not a finite number.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        vad = np.asarray(vad, dtype=np.float64)
        known = np.isfinite(vad).all(axis=-1, keepdims=True)
        points = np.where(known, vad, 0.0)
        radius, azimuth, polar = spherical(points)
        ring, column = self._signs(points) if self.step == 90 else self._intervals(azimuth, polar)
        index = self.indices[ring, column]
        if self.centre_radius > 0:
            index = np.where(radius < self.centre_radius, self.indices.size, index)
        return np.where(known[..., 0], index, -1)

    def cells(self) -> list[tuple[int, int, int]]:
        """(index, polar angle, azimuth) of every cell, lower borders in degrees, by index."""
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
    def _signs(vad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ring and column under the published sign rule."""
        valence, arousal, dominance = np.moveaxis((vad < 0).astype(np.int64), -1, 0)
        return valence, np.where(dominance, 3 - arousal, arousal)

    def _intervals(self, azimuth: np.ndarray, polar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ring and column by intervals of azimuth and polar angle."""
        rings, columns = self.indices.shape
        # floor before the remainder: 360 added to a tiny negative azimuth would round to 360
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
