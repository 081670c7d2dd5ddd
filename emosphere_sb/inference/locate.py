"""Where a point of valence, arousal and dominance lies: label scale, region, angles, words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from emosphere_sb.sphere.grid import RegionGrid, spherical


def locate(vad: Any, about: Any, *, words: int = 0) -> dict[str, Any]:
    """All that follows from a point, as fields of a :class:`Prediction`.

    Arguments
    ---------
    vad : array_like
        Shape (3,), valence, arousal, dominance in [-1, 1].
    about : About
        Whose label scale, partition of the sphere and emotion words count.
    words : int
        How many of the nearest emotion words to give.

    Returns
    -------
    dict
        ``vad``, ``on_scale``, ``region``, ``region_description``, ``radius``, ``azimuth``,
        ``polar`` (degrees), ``words``.
    """
    vad = np.array(vad, dtype=np.float64)
    grid = _grid(about.region_step, about.centre_radius)
    radius, azimuth, polar = spherical(vad)
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
def _grid(step: int, centre_radius: float) -> RegionGrid:
    return RegionGrid(step, centre_radius)


def nearest_words(
    vad: np.ndarray, words: Mapping[str, Iterable[float]], count: int
) -> list[tuple[str, float]]:
    """The emotion words nearest to a point, with their Euclidean distance.

    Example
    -------
    >>> nearest_words(np.array([0.5, 0.0, 0.0]), {"happy": [0.6, 0.0, 0.0], "sad": [-1, 0, 0]}, 1)
    [('happy', 0.1)]
    """
    distances = {
        word: round(float(np.linalg.norm(vad - np.asarray(place))), 6)
        for word, place in words.items()
    }
    return sorted(distances.items(), key=lambda pair: pair[1])[:count]
