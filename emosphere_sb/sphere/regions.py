"""Regions of the VAD sphere, which are the classes of the auxiliary task."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from emosphere_sb.sphere.geometry import to_cartesian
from emosphere_sb.sphere.grid import OCTANTS, STEPS, RegionPartition

__all__ = ["OCTANTS", "STEPS", "SphericalRegions"]


class SphericalRegions:
    r"""Partition of the sphere around neutral into intervals of azimuth and polar angle.

    With a step of 90 degrees, the regions are the eight octants of EmoSphere-SER (Cho et al., 2025)
    in the order of the paper, with its sign rule: ``>= 0`` counts as +. Neutral belongs to octant
    I.

    The paper does not specify the borders for other steps. This project divides the sphere into
    180/step rings of polar angle with 360/step intervals of azimuth each. Indices start at +valence
    and increase with azimuth within a ring. Azimuth intervals include their lower border
    (``[low, high)`` in [0, 360)). Polar intervals include their upper border (``(low, high]``; the
    first also includes 0), so a valence of 0 counts as + if it is a border between rings. Points on
    the valence axis have azimuth 0; neutral has azimuth 0 and polar angle 90 degrees.

    ======  ======= ======= ======= ======= =======
    step    180     90      60      45      30
    ======  ======= ======= ======= ======= =======
    N       2       8       18      32      72
    ======  ======= ======= ======= ======= =======

    Arguments
    ---------
    step : int
        Angle of a region in degrees: 180, 90, 60, 45 or 30.
    centre_radius : float
        Radius of an additional region around neutral, which has the last index; 0: no such region.

    Attributes
    ----------
    names : tuple of str
        Short names, suitable as CSV column names: ``I`` ... ``VIII`` at 90 degrees, otherwise
        names such as ``p045a270`` (lower bounds of polar angle and azimuth); and ``centre``.
    descriptions : tuple of str
        Description of each region.
    centres : torch.Tensor
        Unit vector (VAD order) to the centre of each region, float64, shape (N, 3): (+-1, +-1,
        +-1) / sqrt 3 at 90 degrees, otherwise the middle of both intervals; zeros for the centre
        region.
    solid_angles : torch.Tensor
        Solid angle of each region in steradians, float64, shape (N,); the sum is 4 pi. The value
        of the centre region is 0.
    neighbours : list of set of int
        For each region, the regions that share a border with it (more than single points). The
        centre region is a neighbour of all.

    Raises
    ------
    ValueError
        If ``step`` is not supported or ``centre_radius`` is outside [0, sqrt 3).

    Example
    -------
    >>> regions = SphericalRegions(90)
    >>> regions.assign([[0.2, 0.5, 0.1], [-0.2, 0.5, -0.1], [0.0, 0.0, 0.0]])
    tensor([0, 7, 0])
    >>> regions.descriptions[7]
    'VIII (-V +A -D)'
    """

    def __init__(self, step: int = 90, centre_radius: float = 0.0) -> None:
        self._partition = RegionPartition(step, centre_radius)
        self.step, self.centre_radius = self._partition.step, self._partition.centre_radius
        self.names, self.descriptions = self._partition.names, self._partition.descriptions
        self.centres = self._directions()
        self.solid_angles = self._areas()
        self.neighbours = self._adjacency()

    def __len__(self) -> int:
        return len(self._partition)

    def __repr__(self) -> str:
        return f"SphericalRegions(step={self.step}, centre_radius={self.centre_radius:g})"

    def assign(self, vad: Any) -> Tensor:
        """Return the region of each point, computed in float64.

        Arguments
        ---------
        vad : torch.Tensor, numpy.ndarray or sequence
            Points in [-1, 1], shape (..., 3). Use float64: in float32, a label of 4.0000002 is
            rounded to 4, and 4 may be a border.

        Returns
        -------
        torch.Tensor
            Region indices, int64, shape (...); -1 where a dimension is NaN or infinite.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        vad = torch.as_tensor(vad, dtype=torch.float64).detach()
        return torch.from_numpy(self._partition.assign(vad.cpu().numpy())).to(vad.device)

    def soft_targets(self, vad: Any, concentration: float) -> Tensor:
        r"""Compute soft targets that decrease with the angle between a point and a region centre.

        The targets are proportional to a von Mises-Fisher density around the direction of the
        point, with a concentration proportional to its radius, evaluated at the region centres and
        weighted by the solid angles of the regions:

        .. math:: q_k \propto \Omega_k \exp(\kappa\, r \cos\angle(x, c_k))
            = \Omega_k \exp(\kappa\, x \cdot c_k)

        For a radius of 0 the targets are the shares of the sphere, Omega / 4 pi. With increasing
        concentration, all mass moves to the nearest centre. At steps 180 and 90, this is the region
        of :meth:`assign`, except on borders, where the mass is shared. At 60, 45 and 30 degrees,
        the nearest centre belongs to another region for 1.8%, 0.9% and 0.7% of the sphere
        (measured), always within 3.5 degrees of a border between rings. For points inside the
        centre region, whose direction is not informative, all mass is on that region.

        Arguments
        ---------
        vad : torch.Tensor, numpy.ndarray or sequence
            Points in [-1, 1], shape (..., 3).
        concentration : float
            Concentration kappa, at least 0.

        Returns
        -------
        torch.Tensor
            Targets, shape (..., N), float64 for float64 tensors and arrays, otherwise float32. Each
            row sums to 1, or is 0 for points with an unknown dimension.

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
                f"concentration must be a finite number of at least 0; found {concentration!r}."
            )
        vad = torch.as_tensor(vad)
        index = self.assign(vad)
        points = vad.double().masked_fill((index < 0).unsqueeze(-1), 0.0)
        centres, solid_angles = self.centres.to(vad.device), self.solid_angles.to(vad.device)
        scores = concentration * points @ centres.T + solid_angles.log()  # (..., N)
        targets = scores.softmax(dim=-1)  # does not overflow for large concentrations
        if self.centre_radius > 0:
            inside = (index == len(self) - 1).unsqueeze(-1)
            last = torch.arange(len(self), device=vad.device) == len(self) - 1
            targets = torch.where(inside, last.to(targets), targets)
        targets = targets.masked_fill((index < 0).unsqueeze(-1), 0.0)
        return targets if vad.dtype == torch.float64 else targets.float()

    def _directions(self) -> Tensor:
        """Compute unit vectors to the centres of the regions."""
        cells = torch.tensor([cell[1:] for cell in self._partition.cells()], dtype=torch.float64)
        polar, azimuth = (cells + self.step / 2).deg2rad().unbind(-1)
        if self.step == 90:
            # the angle between +V and (1, 1, 1), so that all three coordinates are equal
            equal = math.atan(math.sqrt(2))
            polar = polar.new_tensor([equal, math.pi - equal])[(polar > math.pi / 2).long()]
        centres = to_cartesian(torch.ones_like(polar), azimuth, polar)
        return self._with_centre(centres, torch.zeros(1, 3, dtype=torch.float64))

    def _areas(self) -> Tensor:
        """Compute solid angles: azimuth range times difference of cosines of the polar angles."""
        width = math.radians(self.step)
        areas = [
            width * (math.cos(math.radians(polar)) - math.cos(math.radians(polar) + width))
            for _, polar, _ in self._partition.cells()
        ]
        return self._with_centre(
            torch.tensor(areas, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        )

    def _with_centre(self, table: Tensor, centre: Tensor) -> Tensor:
        return torch.cat([table, centre]) if self.centre_radius > 0 else table

    def _adjacency(self) -> list[set[int]]:
        grid = torch.from_numpy(self._partition.indices)
        pairs = torch.cat(
            [
                torch.stack([grid, grid.roll(1, dims=1)]).flatten(1),  # around a ring
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
