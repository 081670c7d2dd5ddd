"""Range of the training data of a released model: durations, levels and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

LOWER, UPPER = 0.001, 0.999
"""Quantiles of durations and levels that count as the ends; the extremes of small sets."""
FAR = 0.99
"""Quantile of distances that counts as the upper end."""
LONGER_FACTOR = 1.5
"""An utterance is longer than the training data if it exceeds the upper end by this factor.

Embeddings depend on the duration: those of longer utterances, and of utterances that are shorter
than the lower end by this factor, are far from the training data even for the same recordings.
"""
LOUDER_DECIBELS = 3.0
"""An utterance is louder than the training data if it exceeds the upper end by so many dB."""
FAR_FACTOR = 1.25
"""An embedding is far from the training data if its distance exceeds the upper end by this factor.

Embeddings of new speakers are farther from the mean than those of the training speakers.
"""
MIN_UTTERANCES = 20
"""Minimum number of training utterances for a range."""
MAX_NUMBER = 1e12
"""Largest number that is accepted when a range is read."""
QUANTILES = {"seconds": (LOWER, 0.5, UPPER), "level": (LOWER, 0.5, UPPER), "distance": (0.5, FAR)}
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
            from the mean than the training utterances, each by a margin. The embedding is only
            examined if the duration is similar to those of the training utterances.
        """
        longer = seconds > LONGER_FACTOR * self.seconds[UPPER]
        shorter = seconds < self.seconds[LOWER] / LONGER_FACTOR
        far = self.distance_of(embedding) > FAR_FACTOR * self.distance[FAR]
        found = {
            "seconds": longer,
            "level": level > self.level[UPPER] + LOUDER_DECIBELS,
            "embedding": far and not (longer or shorter),
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
        names = {"utterances", *QUANTILES, "mean", "sd"}
        if not isinstance(fields, Mapping) or set(fields) != names:
            found = ", ".join(map(str, fields)) if isinstance(fields, Mapping) else repr(fields)
            raise ValueError(
                f"training_range must have the keys {', '.join(sorted(names))}; found {found}"
            )
        quantiles = {}
        for name, shares in QUANTILES.items():
            given, keys = fields[name], {str(share): share for share in shares}
            if not isinstance(given, Mapping) or set(given) != set(keys):
                raise ValueError(
                    f"training_range: {name} must have the quantiles {', '.join(keys)}; found "
                    f"{given!r:.100}"
                )
            quantiles[name] = {keys[key]: _number(name, value) for key, value in given.items()}
        mean, sd = (_numbers(name, fields[name]) for name in ("mean", "sd"))
        if len(mean) != len(sd) or min(sd) < 0:
            raise ValueError(
                f"training_range: mean and sd must have the same length, and sd must not be "
                f"negative; found {len(mean)} and {len(sd)} numbers, minimum of sd {min(sd):g}"
            )
        count = fields["utterances"]
        if isinstance(count, bool) or not isinstance(count, int) or count < MIN_UTTERANCES:
            raise ValueError(
                f"training_range: utterances must be an integer of at least {MIN_UTTERANCES}; "
                f"found {count!r:.100}"
            )
        return cls(count, **quantiles, mean=mean, sd=sd)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """Return a non-empty list from JSON as a tuple of floats."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"training_range: {name} must be a list of numbers; found {values!r:.100}")
    return tuple(_number(name, value) for value in values)


def _number(name: str, value: Any) -> float:
    """Return a finite number from JSON as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > MAX_NUMBER:
        raise ValueError(f"training_range: {name} must be finite numbers; found {value!r:.100}")
    if not isfinite(value):
        raise ValueError(f"training_range: {name} must be finite numbers; found {value!r}")
    return float(value)


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
