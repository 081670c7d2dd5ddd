"""What is said of one utterance, or of one window of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emosphere_sb.scale import DIMENSIONS


@dataclass(frozen=True)
class Prediction:
    """Valence, arousal and dominance of an utterance, and all that follows from them.

    Arguments
    ---------
    source : str
        Path, or the place in a list of arrays.
    duration : float
        Seconds of the whole file.
    start, end : float
        What was heard of it, in seconds.
    vad : numpy.ndarray
        Shape (3,), float64, valence, arousal, dominance in [-1, 1], unclipped; neutral is 0.
    on_scale : numpy.ndarray
        The same on the corpus's own label scale.
    region : str
        Of the sphere, in which the point lies; short name.
    region_description : str
        The same in words.
    radius, azimuth, polar : float
        Spherical coordinates around neutral; angles in degrees, the polar one from +valence.
    embedding : numpy.ndarray
        Shape (size,), float32: the utterance vector that the heads read.
    probabilities : mapping of str to float
        Of the class head, where the model has one; empty otherwise.
    head : str
        What those classes are: ``region``, ``emotion`` or ``none``.
    words : sequence of (str, float)
        Emotion words by their distance from the point, the nearest first; where asked.
    warnings : tuple of str
        What is odd about the audio: silent, clipped, cut.
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

    @property
    def valence(self) -> float:
        """In [-1, 1], unclipped."""
        return float(self.vad[0])

    @property
    def arousal(self) -> float:
        """In [-1, 1], unclipped."""
        return float(self.vad[1])

    @property
    def dominance(self) -> float:
        """In [-1, 1], unclipped."""
        return float(self.vad[2])

    def to_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """As plain types, for JSON and CSV: one flat mapping.

        Arguments
        ---------
        embedding : bool
            Whether the embedding goes in, as a list.
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
        row["warnings"] = "; ".join(self.warnings)
        if embedding:
            row["embedding"] = [float(value) for value in self.embedding]
        return row
