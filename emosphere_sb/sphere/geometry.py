"""Valence, arousal and dominance as spherical coordinates around neutral, and back.

The pole of the sphere is the valence axis: the polar angle is measured from +valence, the azimuth
in the arousal-dominance plane from +arousal towards +dominance, as in EmoSphere-SER (Cho et al.,
2025).
How the sphere is cut into regions is in :mod:`emosphere_sb.sphere.regions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def to_spherical(
    vad: Tensor, origin: Tensor | Sequence[float] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Radius, azimuth and polar angle of points given as valence, arousal, dominance.

    .. math:: r = \sqrt{V^2 + A^2 + D^2}, \quad \varphi = \mathrm{atan2}(D, A),
        \quad \theta = \arccos(V / r)

    The polar angle is computed as atan2(sqrt(A² + D²), V), which equals the arc cosine and stays
    accurate near the poles. Where an angle is undefined it has a fixed value and no gradient: at
    the centre the radius and the azimuth are 0 and the polar angle is pi/2; on the valence axis the
    azimuth is 0.

    Arguments
    ---------
    vad : torch.Tensor
        Shape (..., 3), order valence, arousal, dominance.
    origin : torch.Tensor or sequence of float
        The neutral point, shape (3,) or broadcastable to ``vad``. (default: zeros)

    Returns
    -------
    radius : torch.Tensor
        Shape (...), at least 0.
    azimuth : torch.Tensor
        Shape (...), in radians, in (-pi, pi].
    polar : torch.Tensor
        Shape (...), in radians, in [0, pi].

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
    valence, arousal, dominance = _centred(vad, origin).unbind(-1)
    flat = _hypot(arousal, dominance)
    azimuth = _atan2(dominance, arousal, undefined=0.0)
    # atan2(-0.0, -1) is -pi, as is that of a tiny negative dominance: the same direction as pi
    azimuth = torch.where(azimuth <= -math.pi, azimuth + 2 * math.pi, azimuth)
    polar = _atan2(flat, valence, undefined=math.pi / 2)
    return _hypot(flat, valence), azimuth, polar


def to_cartesian(
    radius: Tensor,
    azimuth: Tensor,
    polar: Tensor,
    origin: Tensor | Sequence[float] | None = None,
) -> Tensor:
    """Valence, arousal and dominance of points given in spherical coordinates.

    The inverse of :func:`to_spherical` with the same origin (to 1e-12 in float64).

    Arguments
    ---------
    radius : torch.Tensor
        Distance from the origin.
    azimuth : torch.Tensor
        In radians, from +arousal towards +dominance.
    polar : torch.Tensor
        In radians, from +valence.
    origin : torch.Tensor or sequence of float
        The neutral point, shape (3,) or broadcastable to the result. (default: zeros)

    Returns
    -------
    torch.Tensor
        Shape (..., 3), order valence, arousal, dominance.

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


def _centred(vad: Tensor, origin: Tensor | Sequence[float] | None) -> Tensor:
    """The points relative to the origin, in floating point."""
    if vad.dim() == 0 or vad.shape[-1] != 3:
        raise ValueError(
            "The last axis must hold valence, arousal, dominance; found shape "
            f"{tuple(vad.shape)}. Stack the three dimensions on the last axis."
        )
    if not vad.is_floating_point():
        vad = vad.to(torch.get_default_dtype())
    return vad if origin is None else vad - _point(origin, vad)


def _point(origin: Tensor | Sequence[float], like: Tensor) -> Tensor:
    return torch.as_tensor(origin, dtype=like.dtype, device=like.device)


def _hypot(a: Tensor, b: Tensor) -> Tensor:
    """The length of (a, b), with gradient 0 instead of NaN where both are 0."""
    zero = (a == 0) & (b == 0)
    return torch.hypot(a.masked_fill(zero, 1.0), b).masked_fill(zero, 0.0)


def _atan2(y: Tensor, x: Tensor, *, undefined: float) -> Tensor:
    """The angle of (x, y), with a fixed value and gradient 0 where both are 0."""
    zero = (x == 0) & (y == 0)
    return torch.atan2(y, x.masked_fill(zero, 1.0)).masked_fill(zero, undefined)
