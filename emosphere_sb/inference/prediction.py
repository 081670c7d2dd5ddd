"""The prediction for one utterance, or for one window of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emosphere_sb.scale import DIMENSIONS

OFF_SCALE = "off scale"
"""Warning about a prediction that no label could have."""
OFF_SCALE_TOLERANCE = 1e-4
"""Largest excess over [-1, 1] without a warning; it covers the rounding of float32."""


@dataclass(frozen=True)
class Prediction:
    """Valence, arousal and dominance of an utterance, and values derived from them.

    Arguments
    ---------
    source : str
        Path of the file, or position in a list of arrays.
    duration : float
        Duration of the entire file in seconds.
    start, end : float
        Start and end of the predicted part in seconds.
    vad : numpy.ndarray
        Valence, arousal and dominance, shape (3,), float64, nominally in [-1, 1] (not clipped);
        neutral is 0.
    on_scale : numpy.ndarray
        Valence, arousal and dominance on the corpus's label scale, shape (3,).
    region : str
        Short name of the region of the sphere that contains the point.
    region_description : str
        Description of the region.
    radius, azimuth, polar : float
        Spherical coordinates around neutral. Angles are in degrees; the polar angle is measured
        from +valence.
    embedding : numpy.ndarray
        Utterance embedding, the input of the heads: shape (size,), float32.
    probabilities : mapping of str to float
        Class probabilities of the class head; empty if the model has none.
    head : str
        Type of the classes: ``region``, ``emotion`` or ``none``.
    words : sequence of (str, float)
        Nearest emotion words and their distances, if requested, in ascending order of distance.
    warnings : tuple of str
        Warnings about the audio (for example that it is silent, clipped or truncated), and
        ``off scale`` if the prediction is outside the label scale.
    engine : str
        Engine and precision of the prediction, such as ``torch fp32`` or ``onnx int8``; empty if
        nothing was predicted.
    """

    source: str
    duration: float
    start: float
    end: float
    vad: np.ndarray
    on_scale: np.ndarray
    region: str
    region_description: str
    radius: float
    azimuth: float
    polar: float
    embedding: np.ndarray
    probabilities: Mapping[str, float] = field(default_factory=dict)
    head: str = "none"
    words: Sequence[tuple[str, float]] = ()
    warnings: tuple[str, ...] = ()
    engine: str = ""

    @property
    def valence(self) -> float:
        """Valence, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[0])

    @property
    def arousal(self) -> float:
        """Arousal, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[1])

    @property
    def dominance(self) -> float:
        """Dominance, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[2])

    def to_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Convert to a flat dictionary of plain types, for JSON and CSV.

        Arguments
        ---------
        embedding : bool
            Whether to include the embedding, as a list.
        """
        row: dict[str, Any] = {
            "file": self.source,
            "duration": round(self.duration, 3),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
        }
        row |= {name: float(value) for name, value in zip(DIMENSIONS, self.vad, strict=True)}
        scaled = zip(DIMENSIONS, self.on_scale, strict=True)
        row |= {f"{name}_on_scale": float(value) for name, value in scaled}
        row |= {"region": self.region, "radius": self.radius}
        row |= {"azimuth": self.azimuth, "polar": self.polar}
        row |= {f"p_{name}": value for name, value in self.probabilities.items()}
        if self.words:
            row |= {"word": self.words[0][0], "word_distance": self.words[0][1]}
        row |= {"engine": self.engine, "warnings": "; ".join(self.warnings)}
        if embedding:
            row["embedding"] = [float(value) for value in self.embedding]
        return row


def scale_warnings(vad: np.ndarray) -> tuple[str, ...]:
    """Return a warning if a prediction is outside the label scale.

    Arguments
    ---------
    vad : numpy.ndarray
        Valence, arousal and dominance in [-1, 1], shape (3,).

    Example
    -------
    >>> scale_warnings(np.array([0.3, -1.157, 0.0]))
    ('off scale',)
    >>> scale_warnings(np.array([0.3, -1.0, 1.0]))
    ()
    """
    return (OFF_SCALE,) if np.abs(vad).max() > 1 + OFF_SCALE_TOLERANCE else ()
