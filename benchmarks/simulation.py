"""Simulate predictions with speaker effects whose true CCC is known in closed form.

The true value x of a dimension is the sum of a speaker effect a and an utterance effect e. The
prediction y scales each effect with its own slope and adds a speaker error b and an utterance error
f:

    x = a + e                           Var a = SHARE, Var e = 1 - SHARE
    y = shift + c a + d e + b + f       Var b = SHARE * noise, Var f = (1 - SHARE) * noise

It follows that cov(x, y) = c SHARE + d (1 - SHARE) and Var y = c^2 SHARE + d^2 (1 - SHARE) + noise,
regardless of the shape of the distributions. The speaker effects in the true values (a) and in the
predictions (c a + b) are correlated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS

SHARE = 0.3
"""Proportion of the variance that is due to speakers."""
UTTERANCES = 20
"""Mean number of utterances per speaker."""


@dataclass(frozen=True)
class System:
    """Parameters of the predictions for one dimension, as defined in the module docstring.

    Arguments
    ---------
    speaker_slope : float
        Slope c of the speaker effect.
    utterance_slope : float
        Slope d of the utterance effect.
    noise : float
        Variance of the errors.
    shift : float
        Mean difference between prediction and true value.
    """

    speaker_slope: float
    utterance_slope: float
    noise: float
    shift: float

    @property
    def covariance(self) -> float:
        """Covariance between predictions and true values."""
        return self.speaker_slope * SHARE + self.utterance_slope * (1 - SHARE)

    @property
    def variance(self) -> float:
        """Variance of the predictions."""
        return self.speaker_slope**2 * SHARE + self.utterance_slope**2 * (1 - SHARE) + self.noise

    @property
    def ccc(self) -> float:
        """CCC over infinitely many speakers."""
        return 2 * self.covariance / (1 + self.variance + self.shift**2)


def system_with_ccc(
    ccc: float, speaker_slope: float, utterance_slope: float, noise: float
) -> System:
    """Return a system whose shift is chosen to obtain the given CCC."""
    unshifted = System(speaker_slope, utterance_slope, noise, 0.0)
    shift = math.sqrt(2 * unshifted.covariance / ccc - 1 - unshifted.variance)
    return System(speaker_slope, utterance_slope, noise, shift)


ONE = (System(0.4, 0.5, 0.25, 0.1), System(0.8, 0.7, 0.2, 0.0), System(0.6, 0.6, 0.3, 0.2))
"""First system: valence, arousal and dominance, with CCCs of 0.63, 0.84 and 0.71."""
OTHER = tuple(
    system_with_ccc(one.ccc, *rest)
    for one, rest in zip(ONE, [(0.6, 0.5, 0.2), (0.8, 0.8, 0.15), (0.6, 0.7, 0.2)], strict=True)
)
"""Second system, with the same CCCs but a higher correlation and a larger shift."""


@dataclass(frozen=True)
class Design:
    """Design of a test set: numbers of utterances per speaker, and distribution of the labels."""

    name: str
    unequal: bool
    skewed: bool

    def sizes(self, speakers: int) -> np.ndarray:
        """Return the number of utterances of each speaker.

        If sizes are unequal, the r-th largest speaker has 1/r times as many as the largest one.
        """
        weights = 1 / np.arange(1, speakers + 1) if self.unequal else np.ones(speakers)
        sizes = np.floor(UTTERANCES * speakers * weights / weights.sum())
        return np.maximum(sizes, 1).astype(int)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw effects of shape (count, 3) with mean 0, variance 1 and correlation 0.5."""
        shape = (count, len(DIMENSIONS) + 1)
        drawn = rng.exponential(size=shape) - 1 if self.skewed else rng.standard_normal(shape)
        return (drawn[:, :1] + drawn[:, 1:]) / math.sqrt(2)


DESIGNS = (
    Design("equal sizes", unequal=False, skewed=False),
    Design("unequal sizes", unequal=True, skewed=False),
    Design("unequal sizes, skewed labels", unequal=True, skewed=True),
)


def simulate(
    design: Design, speakers: int, seeds: int, rng: np.random.Generator
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Simulate one test set and return ``seeds`` prediction tables of each system.

    Half of the error variance is common to both systems, a quarter is specific to each system, and
    a quarter is specific to each seed.
    """
    codes = np.repeat(np.arange(speakers), design.sizes(speakers))
    speaker_effect, utterance_effect = (
        design.draw(rng, speakers)[codes],
        design.draw(rng, codes.size),
    )
    a, e = math.sqrt(SHARE) * speaker_effect, math.sqrt(1 - SHARE) * utterance_effect
    truth = pd.DataFrame({"ID": np.arange(codes.size).astype(str), "speaker": codes.astype(str)})
    truth[list(DIMENSIONS)] = a + e
    common = _errors(codes, speakers, rng)
    sides = []
    for systems in (ONE, OTHER):
        own = _errors(codes, speakers, rng)
        c, d, noise, shift = (
            np.array([getattr(system, field) for system in systems])
            for field in ("speaker_slope", "utterance_slope", "noise", "shift")
        )
        tables = []
        for _ in range(seeds):
            error = math.sqrt(0.5) * common + 0.5 * own + 0.5 * _errors(codes, speakers, rng)
            predicted = shift + c * a + d * e + np.sqrt(noise) * error
            tables.append(truth.assign(**dict(zip(PREDICTED, predicted.T, strict=True))))
        sides.append(tables)
    return sides[0], sides[1]


def _errors(codes: np.ndarray, speakers: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the sum of speaker and utterance errors, shape (utterances, 3), with variance 1."""
    speaker_error = rng.standard_normal((speakers, len(DIMENSIONS)))[codes]
    utterance_error = rng.standard_normal((codes.size, len(DIMENSIONS)))
    return math.sqrt(SHARE) * speaker_error + math.sqrt(1 - SHARE) * utterance_error
