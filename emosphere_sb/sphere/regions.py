"""Regions of the sphere for the auxiliary task to classify. Nothing else knows how it is cut."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from emosphere_sb.sphere.geometry import to_cartesian
from emosphere_sb.sphere.grid import OCTANTS, STEPS, RegionGrid

__all__ = ["OCTANTS", "STEPS", "SphericalRegions"]


class SphericalRegions:
    r"""A partition of the sphere around neutral into regions of equal azimuth and polar angle.

    With a step of 90 degrees the regions are the eight octants of EmoSphere-SER (Cho et al., 2025)
    under its sign rule, ``>= 0`` counting as +, in the published order; neutral lies in I.

    The paper does not print the borders of any other step, so those regions are **our partition**:
    360/step intervals of azimuth times 180/step of polar angle, indexed from +valence down and,
    within a ring, by azimuth. Borders belong to the interval of azimuth that begins there
    (``[low, high)`` in [0, 360)) and to the ring of higher valence (``(low, high]``, 0 in the
    first), so that a valence of 0 counts as + at steps whose rings meet there. Points on the
    valence axis have azimuth 0, the centre has azimuth 0 and polar angle 90.

    ======  ======= ======= ======= ======= =======
    step    180     90      60      45      30
    ======  ======= ======= ======= ======= =======
    N       2       8       18      32      72
    ======  ======= ======= ======= ======= =======

    Arguments
    ---------
    step : int
        Degrees: 180, 90, 60, 45 or 30.
    centre_radius : float
        If above 0, points nearer to neutral than this make up one more region, the last.

    Attributes
    ----------
    names : tuple of str
        Short identifiers, fit for CSV columns: ``I`` ... ``VIII`` at 90 degrees, otherwise
        ``p045a270`` (the lower borders of polar angle and azimuth), and ``centre``.
    descriptions : tuple of str
        The same in words.
    centres : torch.Tensor
        Shape (N, 3), float64, order VAD: unit vectors, at 90 degrees (+-1, +-1, +-1) / sqrt 3,
        otherwise to the middle of both intervals (of which the region is nearest almost
        everywhere, see :meth:`soft_targets`); zeros for the centre region.
    solid_angles : torch.Tensor
        Shape (N,), float64, in steradian; they sum to 4 pi. The centre region has no direction of
        its own and takes 0.
    neighbours : list of set of int
        For each region those that share a border of more than single points with it. The centre
        region touches all.

    Raises
    ------
    ValueError
        If the step is not one of the five or the radius is outside [0, sqrt 3).

    Example
    -------
    >>> regions = SphericalRegions(90)
    >>> regions.assign([[0.2, 0.5, 0.1], [-0.2, 0.5, -0.1], [0.0, 0.0, 0.0]])
    tensor([0, 7, 0])
    >>> regions.descriptions[7]
    'VIII (-V +A -D)'
    """

    def __init__(self, step: int = 90, centre_radius: float = 0.0) -> None:
        self._cut = RegionGrid(step, centre_radius)
        self.step, self.centre_radius = self._cut.step, self._cut.centre_radius
        self.names, self.descriptions = self._cut.names, self._cut.descriptions
        self.centres = self._directions()
        self.solid_angles = self._areas()
        self.neighbours = self._adjacency()

    def __len__(self) -> int:
        return len(self._cut)

    def __repr__(self) -> str:
        return f"SphericalRegions(step={self.step}, centre_radius={self.centre_radius:g})"

    def assign(self, vad: Any) -> Tensor:
        """The index of the region in which each point lies, decided in float64.

        Arguments
        ---------
        vad : torch.Tensor, numpy.ndarray or sequence
            Shape (..., 3) in [-1, 1]. Give float64: float32 turns a label of 4.0000002 into 4.

        Returns
        -------
        torch.Tensor
            Shape (...), int64; -1 where a dimension is not a finite number.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        vad = torch.as_tensor(vad, dtype=torch.float64).detach()
        return torch.from_numpy(self._cut.assign(vad.cpu().numpy())).to(vad.device)

    def soft_targets(self, vad: Any, concentration: float) -> Tensor:
        r"""Targets that fall with the angle between a point and the centre of a region.

        A von Mises-Fisher density around the point's direction, with a concentration that grows
        with the radius, read at the centres and weighted by the regions' solid angles:

        .. math:: q_k \propto \Omega_k \exp(\kappa\, r \cos\angle(x, c_k))
            = \Omega_k \exp(\kappa\, x \cdot c_k)

        As the radius shrinks to 0 the targets become the shares of the sphere, Omega / 4 pi. As
        the concentration grows all mass goes to the nearest centre: at steps 180 and 90 that is the
        region of :meth:`assign` except on the borders themselves, where neighbours share it; at 60,
        45 and 30 degrees the nearest centre differs from the region on 1.8, 0.9 and 0.7 % of the
        sphere (measured), all within 3.5 degrees of a border between rings. A point inside the
        centre region has all its mass there, because its direction says nothing.

        Arguments
        ---------
        vad : torch.Tensor, numpy.ndarray or sequence
            Shape (..., 3) in [-1, 1].
        concentration : float
            Kappa, at least 0.

        Returns
        -------
        torch.Tensor
            Shape (..., N), float64 for float64, otherwise float32. Rows sum to 1; rows of points
            with an unknown dimension (region -1) are 0.

        Raises
        ------
        ValueError
            If the concentration is negative or not finite, or the last axis does not have three
            entries.

        Example
        -------
        >>> SphericalRegions(180).soft_targets(torch.tensor([0.0, 0.0, 0.5]), 2.0)
        tensor([0.8808, 0.1192])
        """
        if not 0.0 <= concentration < math.inf:
            raise ValueError(
                f"The concentration must be a finite number of at least 0; found {concentration!r}."
            )
        vad = torch.as_tensor(vad)
        index = self.assign(vad)
        points = vad.double().masked_fill((index < 0).unsqueeze(-1), 0.0)
        centres, solid_angles = self.centres.to(vad.device), self.solid_angles.to(vad.device)
        scores = concentration * points @ centres.T + solid_angles.log()  # (..., N)
        targets = scores.softmax(dim=-1)  # a log-sum-exp: large concentrations do not overflow
        if self.centre_radius > 0:
            inside = (index == len(self) - 1).unsqueeze(-1)
            last = torch.arange(len(self), device=vad.device) == len(self) - 1
            targets = torch.where(inside, last.to(targets), targets)
        targets = targets.masked_fill((index < 0).unsqueeze(-1), 0.0)
        return targets if vad.dtype == torch.float64 else targets.float()

    def _directions(self) -> Tensor:
        """Unit vectors to the middle of each cell, by index."""
        cells = torch.tensor([cell[1:] for cell in self._cut.cells()], dtype=torch.float64)
        polar, azimuth = (cells + self.step / 2).deg2rad().unbind(-1)
        if self.step == 90:
            # the angle between +V and (1, 1, 1): an octant treats its three dimensions alike
            equal = math.atan(math.sqrt(2))
            polar = polar.new_tensor([equal, math.pi - equal])[(polar > math.pi / 2).long()]
        centres = to_cartesian(torch.ones_like(polar), azimuth, polar)
        return self._with_centre(centres, torch.zeros(1, 3, dtype=torch.float64))

    def _areas(self) -> Tensor:
        """Width of azimuth times the difference of the cosines of the polar angles."""
        width = math.radians(self.step)
        areas = [
            width * (math.cos(math.radians(polar)) - math.cos(math.radians(polar) + width))
            for _, polar, _ in self._cut.cells()
        ]
        return self._with_centre(
            torch.tensor(areas, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        )

    def _with_centre(self, table: Tensor, centre: Tensor) -> Tensor:
        return torch.cat([table, centre]) if self.centre_radius > 0 else table

    def _adjacency(self) -> list[set[int]]:
        grid = torch.from_numpy(self._cut.indices)
        pairs = torch.cat(
            [
                torch.stack([grid, grid.roll(1, dims=1)]).flatten(1),  # along a ring, which closes
                torch.stack([grid[:-1], grid[1:]]).flatten(1),  # from ring to ring
            ],
            dim=1,
        ).T.tolist()
        if self.centre_radius > 0:
            pairs += [[k, grid.numel()] for k in range(grid.numel())]
        neighbours: list[set[int]] = [set() for _ in range(len(self))]
        for a, b in pairs:
            neighbours[a].add(b)
            neighbours[b].add(a)
        return neighbours
