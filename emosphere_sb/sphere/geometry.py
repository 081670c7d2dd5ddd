"""Conversion between VAD values and spherical coordinates around neutral.

The valence axis is the polar axis of the sphere: the polar angle is measured from +valence, and the
azimuth in the arousal-dominance plane from +arousal towards +dominance, as in EmoSphere-SER (Cho et
al., 2025). The partition into regions is defined in :mod:`emosphere_sb.sphere.regions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def to_spherical(
    vad: Tensor, origin: Tensor | Sequence[float] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Convert valence, arousal and dominance to radius, azimuth and polar angle.

    .. math:: r = \sqrt{V^2 + A^2 + D^2}, \quad \varphi = \mathrm{atan2}(D, A),
        \quad \theta = \arccos(V / r)

    The polar angle is computed as atan2(sqrt(A² + D²), V), which equals the arc cosine but is
    accurate near the poles. Undefined angles have a fixed value and a gradient of 0: the azimuth is
    0 at the origin and on the valence axis, and the polar angle is pi/2 at the origin.

    Arguments
    ---------
    vad : torch.Tensor
        Points in the order valence, arousal, dominance, shape (..., 3).
    origin : torch.Tensor or sequence of float
        Neutral point, shape (3,) or broadcastable to ``vad``. (default: zeros)

    Returns
    -------
    radius : torch.Tensor
        Distance from the origin, at least 0, shape (...).
    azimuth : torch.Tensor
        Azimuth in radians, in (-pi, pi], shape (...).
    polar : torch.Tensor
        Polar angle in radians, in [0, pi], shape (...).

    Raises
    ------
    ValueError
        If the last axis of ``vad`` does not have three entries.

    Example
    -------
    >>> radius, azimuth, polar = to_spherical(torch.tensor([0.0, 0.0, 0.5]))
    >>> radius, azimuth.rad2deg(), polar.rad2deg()
    (tensor(0.5000), tensor(90.), tensor(90.))
    """
    valence, arousal, dominance = _subtract_origin(vad, origin).unbind(-1)
    flat = _hypot(arousal, dominance)
    azimuth = _atan2(dominance, arousal, undefined=0.0)
    # atan2(-0.0, -1) is -pi, and so is the rounded result for a tiny negative dominance; pi is the
    # same direction
    azimuth = torch.where(azimuth <= -math.pi, azimuth + 2 * math.pi, azimuth)
    polar = _atan2(flat, valence, undefined=math.pi / 2)
    return _hypot(flat, valence), azimuth, polar


def to_cartesian(
    radius: Tensor,
    azimuth: Tensor,
    polar: Tensor,
    origin: Tensor | Sequence[float] | None = None,
) -> Tensor:
    """Convert spherical coordinates to valence, arousal and dominance.

    This is the inverse of :func:`to_spherical` with the same origin (to within 1e-12 in float64).

    Arguments
    ---------
    radius : torch.Tensor
        Distance from the origin, shape (...).
    azimuth : torch.Tensor
        Azimuth in radians, from +arousal towards +dominance, shape (...).
    polar : torch.Tensor
        Polar angle in radians, from +valence, shape (...).
    origin : torch.Tensor or sequence of float
        Neutral point, shape (3,) or broadcastable to the result. (default: zeros)

    Returns
    -------
    torch.Tensor
        Points in the order valence, arousal, dominance, shape (..., 3).

    Example
    -------
    >>> half = torch.tensor(0.5)
    >>> to_cartesian(half, torch.tensor(0.0), torch.tensor(0.0), origin=(0.0, 0.1, 0.2))
    tensor([0.5000, 0.1000, 0.2000])
    """
    flat = radius * torch.sin(polar)
    valence = radius * torch.cos(polar)
    vad = torch.stack([valence, flat * torch.cos(azimuth), flat * torch.sin(azimuth)], dim=-1)
    return vad if origin is None else vad + _point(origin, vad)


def _subtract_origin(vad: Tensor, origin: Tensor | Sequence[float] | None) -> Tensor:
    """Return the points relative to the origin, in floating point."""
    if vad.dim() == 0 or vad.shape[-1] != 3:
        raise ValueError(
            "The last axis must have size 3 (valence, arousal, dominance); found shape "
            f"{tuple(vad.shape)}."
        )
    if not vad.is_floating_point():
        vad = vad.to(torch.get_default_dtype())
    return vad if origin is None else vad - _point(origin, vad)


def _point(origin: Tensor | Sequence[float], like: Tensor) -> Tensor:
    return torch.as_tensor(origin, dtype=like.dtype, device=like.device)


def _hypot(a: Tensor, b: Tensor) -> Tensor:
    """Compute sqrt(a² + b²), with a gradient of 0 instead of NaN where both are 0."""
    zero = (a == 0) & (b == 0)
    return torch.hypot(a.masked_fill(zero, 1.0), b).masked_fill(zero, 0.0)


def _atan2(y: Tensor, x: Tensor, *, undefined: float) -> Tensor:
    """Compute the angle of (x, y), with a fixed value and a gradient of 0 where both are 0."""
    zero = (x == 0) & (y == 0)
    return torch.atan2(y, x.masked_fill(zero, 1.0)).masked_fill(zero, undefined)
