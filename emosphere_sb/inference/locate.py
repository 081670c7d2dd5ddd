"""Derive label-scale values, region, angles and nearest words from a point in VAD space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from emosphere_sb.sphere.grid import RegionPartition, spherical_coordinates


def locate(vad: Any, about: Any, *, words: int = 0) -> dict[str, Any]:
    """Compute the fields of a :class:`Prediction` that are derived from the VAD values.

    Arguments
    ---------
    vad : array_like
        Valence, arousal, dominance in [-1, 1], shape (3,).
    about : ModelInfo
        Model information with the label scale, the partition of the sphere and the emotion words.
    words : int
        Number of nearest emotion words to return.

    Returns
    -------
    dict
        ``vad``, ``on_scale``, ``region``, ``region_description``, ``radius``, ``azimuth``,
        ``polar`` (degrees), ``words``.
    """
    vad = np.array(vad, dtype=np.float64)
    grid = _grid(about.region_step, about.centre_radius)
    radius, azimuth, polar = spherical_coordinates(vad)
    index = int(grid.assign(vad))
    return {
        "vad": vad,
        "on_scale": about.scale.restore(vad),
        "region": grid.names[index],
        "region_description": grid.descriptions[index],
        "radius": float(radius),
        "azimuth": float(np.rad2deg(azimuth)),
        "polar": float(np.rad2deg(polar)),
        "words": nearest_words(vad, about.words, words),
    }


@lru_cache(maxsize=16)
def _grid(step: int, centre_radius: float) -> RegionPartition:
    return RegionPartition(step, centre_radius)


def nearest_words(
    vad: np.ndarray, words: Mapping[str, Iterable[float]], count: int
) -> list[tuple[str, float]]:
    """Return the emotion words nearest to a point, with their Euclidean distances.

    Example
    -------
    >>> nearest_words(np.array([0.5, 0.0, 0.0]), {"happy": [0.6, 0.0, 0.0], "sad": [-1, 0, 0]}, 1)
    [('happy', 0.1)]
    """
    distances = {
        word: round(float(np.linalg.norm(vad - np.asarray(position))), 6)
        for word, position in words.items()
    }
    return sorted(distances.items(), key=lambda pair: pair[1])[:count]
