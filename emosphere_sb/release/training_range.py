"""Range of the training data of a released model: durations, levels and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

UPPER = 0.999
"""Quantile of durations and levels that counts as the upper end; the maximum of small sets."""
FAR = 0.99
"""Quantile of distances that counts as the upper end."""
LONGER_FACTOR = 1.5
"""An utterance is longer than the training data if it exceeds the upper end by this factor."""
LOUDER_DECIBELS = 3.0
"""An utterance is louder than the training data if it exceeds the upper end by so many dB."""
FAR_FACTOR = 1.25
"""An embedding is far from the training data if its distance exceeds the upper end by this factor.

Embeddings of new speakers are farther from the mean than those of the training speakers.
"""
MIN_UTTERANCES = 20
"""Minimum number of training utterances for a range."""
QUANTILES = {"seconds": (0.001, 0.5, UPPER), "level": (0.001, 0.5, UPPER), "distance": (0.5, FAR)}
"""Stored quantiles of each quantity."""


@dataclass(frozen=True)
class TrainingRange:
    """Distribution of the training utterances, as the model processed them.

    Arguments
    ---------
    utterances : int
        Number of training utterances whose audio was read (a sample of large training sets).
    seconds : mapping of float to float
        Quantiles of the processed duration in seconds.
    level : mapping of float to float
        Quantiles of the root mean square in dBFS.
    distance : mapping of float to float
        Quantiles of the distance of an embedding from the mean (:meth:`distance_of`).
    mean, sd : tuple of float
        Mean and standard deviation of the embeddings, shape (size,).
    """

    utterances: int
    seconds: Mapping[float, float]
    level: Mapping[float, float]
    distance: Mapping[float, float]
    mean: tuple[float, ...]
    sd: tuple[float, ...]

    @classmethod
    def measure(
        cls, seconds: Sequence[float], level: Sequence[float], embeddings: np.ndarray
    ) -> TrainingRange:
        """Measure the range of training utterances.

        Arguments
        ---------
        seconds : sequence of float
            Processed duration of each utterance in seconds. It may contain more utterances than
            the other arguments.
        level : sequence of float
            Root mean square of each utterance in dBFS, finite.
        embeddings : numpy.ndarray
            Embedding of each utterance, shape (utterances, size).

        Raises
        ------
        ValueError
            If there are fewer than :data:`MIN_UTTERANCES`.
        """
        if len(embeddings) < MIN_UTTERANCES:
            raise ValueError(
                f"The range of the training data requires at least {MIN_UTTERANCES} utterances; "
                f"found {len(embeddings)}."
            )
        embeddings = np.asarray(embeddings, dtype=np.float64)
        mean, sd = _rounded(embeddings.mean(axis=0)), _rounded(embeddings.std(axis=0))
        distances = _distances(embeddings, np.array(mean), np.array(sd))
        return cls(
            len(embeddings), _quantiles("seconds", seconds), _quantiles("level", level),
            _quantiles("distance", distances), mean, sd,
        )  # fmt: skip

    def distance_of(self, embedding: np.ndarray) -> float:
        """Return the distance of an embedding (size,) from the mean of the training data.

        It is the root mean square of the standardised differences, so it is about 1 for typical
        training utterances. Dimensions that are constant in the training data are ignored.
        """
        return float(_distances(np.asarray(embedding, dtype=np.float64), *self._statistics))

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.mean), np.array(self.sd)

    def differences(self, seconds: float, level: float, embedding: np.ndarray) -> list[str]:
        """Return in which quantities an utterance is outside the training range.

        Arguments
        ---------
        seconds : float
            Duration that was processed in one pass, in seconds.
        level : float
            Root mean square in dBFS.
        embedding : numpy.ndarray
            Embedding of the utterance, shape (size,).

        Returns
        -------
        list of str
            ``seconds`` if it is longer, ``level`` if it is louder, ``embedding`` if it is farther
            from the mean than the training utterances, each by a margin.
        """
        found = {
            "seconds": seconds > LONGER_FACTOR * self.seconds[UPPER],
            "level": level > self.level[UPPER] + LOUDER_DECIBELS,
            "embedding": self.distance_of(embedding) > FAR_FACTOR * self.distance[FAR],
        }
        return [name for name, outside in found.items() if outside]

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON-compatible types."""
        found: dict[str, Any] = {"utterances": self.utterances}
        for name in QUANTILES:
            found[name] = {str(share): value for share, value in getattr(self, name).items()}
        return {**found, "mean": list(self.mean), "sd": list(self.sd)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingRange:
        """Create a range from the result of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing or invalid.
        """
        try:
            quantiles = {
                name: {share: float(fields[name][str(share)]) for share in shares}
                for name, shares in QUANTILES.items()
            }
            mean, sd = (tuple(map(float, fields[name])) for name in ("mean", "sd"))
            found = cls(int(fields["utterances"]), **quantiles, mean=mean, sd=sd)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"training_range lacks a number ({error})") from error
        numbers = [*mean, *sd, *(value for row in quantiles.values() for value in row.values())]
        if len(mean) != len(sd) or not all(map(isfinite, numbers)) or min(sd, default=0) < 0:
            raise ValueError("training_range contains invalid numbers")
        return found


def _quantiles(name: str, values: Sequence[float]) -> dict[float, float]:
    found = np.quantile(np.asarray(values, dtype=np.float64), QUANTILES[name])
    return dict(zip(QUANTILES[name], _rounded(found), strict=True))


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Return floats with six significant digits, to keep the file small."""
    return tuple(float(f"{value:.6g}") for value in values)


def _distances(embeddings: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the distance of embeddings (..., size) from the mean."""
    varying = sd > 0
    scaled = (embeddings[..., varying] - mean[varying]) / sd[varying]
    return np.sqrt((scaled**2).mean(axis=-1))
