"""Regions of the VAD sphere, which are the classes of the auxiliary task."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emosphere_sb.sphere.geometry import to_cartesian
from emosphere_sb.sphere.grid import OCTANTS, STEPS, RegionPartition

__all__ = ["OCTANTS", "STEPS", "SphericalRegions"]

QUADRATURE_NODES = 32
"""Nodes of the quadrature of soft targets, per 90 degrees of polar angle and of azimuth."""
MAX_CONCENTRATION = 200.0
"""Concentration times radius up to which soft targets are integrated."""


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
        self._nodes: tuple[Tensor, Tensor] | None = None  # see `_quadrature`

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
        r"""Compute soft targets: the mass of a density around the point in each region.

        The density is von Mises-Fisher around the direction of the point, with a concentration
        proportional to its radius, integrated over each region R_k:

        .. math:: q_k \propto \int_{R_k} \exp(\kappa\, x \cdot u)\, du

        The integrals are computed with Gauss-Legendre quadrature, whose nodes are cached. Where
        concentration times radius is above 200, so that the density is narrower than 4 degrees, all
        mass is on the region of the point.

        For a radius of 0 the targets are the shares of the sphere, Omega / 4 pi. For points inside
        the centre region, whose direction is not informative, all mass is on that region.

        With class weights w, :func:`emosphere_sb.losses.region_loss` is smallest where the
        predicted probabilities are proportional to :math:`w_k q_k`, not where they equal
        :math:`q_k`.

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
        tensor([0.7311, 0.2689])
        """
        if not 0.0 <= concentration < math.inf:
            raise ValueError(
                f"concentration must be a finite number of at least 0; found {concentration!r}."
            )
        vad = torch.as_tensor(vad)
        index = self.assign(vad)
        points = vad.double().masked_fill((index < 0).unsqueeze(-1), 0.0)
        nodes, log_weights = self._quadrature(vad.device)
        density = concentration * points @ nodes.flatten(0, 1).T  # (..., N * nodes)
        masses = (density.unflatten(-1, log_weights.shape) + log_weights).logsumexp(dim=-1)
        if self.centre_radius > 0:  # the centre has no solid angle
            masses = torch.cat([masses, torch.full_like(masses[..., :1], -math.inf)], dim=-1)
        targets = masses.softmax(dim=-1)  # does not overflow for large concentrations
        narrow = concentration * points.detach().norm(dim=-1) > MAX_CONCENTRATION
        if self.centre_radius > 0:
            narrow = narrow | (index == len(self) - 1)
        own = torch.arange(len(self), device=vad.device) == index.unsqueeze(-1)
        targets = torch.where(narrow.unsqueeze(-1), own.to(targets), targets)
        targets = targets.masked_fill((index < 0).unsqueeze(-1), 0.0)
        return targets if vad.dtype == torch.float64 else targets.float()

    def _quadrature(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return nodes (cells, nodes, 3) and log weights (cells, nodes) for integrals over cells.

        The product rule uses about as many nodes on the entire sphere for every step. It is
        computed once and cached for the device.
        """
        if self._nodes is None or self._nodes[0].device != device:
            count = max(QUADRATURE_NODES * self.step // 90, 8)
            place, weight = map(torch.from_numpy, np.polynomial.legendre.leggauss(count))
            half = math.radians(self.step) / 2
            cells = torch.tensor([c[1:] for c in self._partition.cells()], dtype=torch.float64)
            start = cells.deg2rad().unsqueeze(-1)  # (cells, polar and azimuth, 1)
            polar, azimuth = (start + half * (1 + place)).unbind(1)  # (cells, count)
            polar, azimuth = torch.broadcast_tensors(polar.unsqueeze(-1), azimuth.unsqueeze(-2))
            nodes = to_cartesian(torch.ones_like(polar), azimuth, polar).flatten(1, 2)
            weights = half**2 * weight.unsqueeze(-1) * weight * polar.sin()
            self._nodes = nodes.to(device), weights.flatten(1).log().to(device)
        return self._nodes

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
