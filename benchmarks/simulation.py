"""Predictions with effects of speakers whose true CCC is known in closed form.

The truth of a dimension is an effect of the speaker plus that of the utterance; a prediction
follows each with a slope of its own and adds errors of speaker and utterance:

    x = a + e                           Var a = SHARE, Var e = 1 - SHARE
    y = shift + c a + d e + b + f       Var b = SHARE * noise, Var f = (1 - SHARE) * noise

so that cov(x, y) = c SHARE + d (1 - SHARE) and Var y = c^2 SHARE + d^2 (1 - SHARE) + noise,
whatever the shape of the distributions. The speaker effects of truth and prediction, a and
c a + b, are correlated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS

SHARE = 0.3
"""Part of the variance that is between speakers."""
UTTERANCES = 20
"""Utterances of a speaker, on average."""


@dataclass(frozen=True)
class System:
    """How one dimension is predicted; see the head of this file."""

    of_speaker: float
    of_utterance: float
    noise: float
    shift: float

    @property
    def covariance(self) -> float:
        """With the truth."""
        return self.of_speaker * SHARE + self.of_utterance * (1 - SHARE)

    @property
    def variance(self) -> float:
        """Of the predictions."""
        return self.of_speaker**2 * SHARE + self.of_utterance**2 * (1 - SHARE) + self.noise

    @property
    def ccc(self) -> float:
        """The true one: of infinitely many speakers."""
        return 2 * self.covariance / (1 + self.variance + self.shift**2)


def shifted_to(ccc: float, of_speaker: float, of_utterance: float, noise: float) -> System:
    """A system with that CCC, reached by a shift of its mean."""
    unshifted = System(of_speaker, of_utterance, noise, 0.0)
    shift = math.sqrt(2 * unshifted.covariance / ccc - 1 - unshifted.variance)
    return System(of_speaker, of_utterance, noise, shift)


ONE = (System(0.4, 0.5, 0.25, 0.1), System(0.8, 0.7, 0.2, 0.0), System(0.6, 0.6, 0.3, 0.2))
"""Valence, arousal, dominance of a system: CCC 0.63, 0.84, 0.71."""
OTHER = tuple(
    shifted_to(one.ccc, *rest)
    for one, rest in zip(ONE, [(0.6, 0.5, 0.2), (0.8, 0.8, 0.15), (0.6, 0.7, 0.2)], strict=True)
)
"""Another one with the same CCCs: better correlated, further off."""


@dataclass(frozen=True)
class Design:
    """How a test set is made up: sizes of speakers and shape of the labels."""

    name: str
    unequal: bool
    skewed: bool

    def sizes(self, speakers: int) -> np.ndarray:
        """Utterances of each speaker; the r-th largest has 1/r of the largest where unequal."""
        weights = 1 / np.arange(1, speakers + 1) if self.unequal else np.ones(speakers)
        sizes = np.floor(UTTERANCES * speakers * weights / weights.sum())
        return np.maximum(sizes, 1).astype(int)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Effects on the three dimensions, (count, 3): mean 0, variance 1, correlation 0.5."""
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
    """Tables of both systems on one test set, ``seeds`` each.

    Errors are half common to both systems, a quarter the system's, a quarter the seed's.
    """
    codes = np.repeat(np.arange(speakers), design.sizes(speakers))
    of_speaker, of_utterance = design.draw(rng, speakers)[codes], design.draw(rng, codes.size)
    a, e = math.sqrt(SHARE) * of_speaker, math.sqrt(1 - SHARE) * of_utterance
    truth = pd.DataFrame({"ID": np.arange(codes.size).astype(str), "speaker": codes.astype(str)})
    truth[list(DIMENSIONS)] = a + e
    common = _errors(codes, speakers, rng)
    sides = []
    for systems in (ONE, OTHER):
        own = _errors(codes, speakers, rng)
        c, d, noise, shift = (
            np.array([getattr(system, field) for system in systems])
            for field in ("of_speaker", "of_utterance", "noise", "shift")
        )
        tables = []
        for _ in range(seeds):
            error = math.sqrt(0.5) * common + 0.5 * own + 0.5 * _errors(codes, speakers, rng)
            predicted = shift + c * a + d * e + np.sqrt(noise) * error
            tables.append(truth.assign(**dict(zip(PREDICTED, predicted.T, strict=True))))
        sides.append(tables)
    return sides[0], sides[1]


def _errors(codes: np.ndarray, speakers: int, rng: np.random.Generator) -> np.ndarray:
    """Errors of speaker and utterance, (utterance, 3), variance 1."""
    of_speaker = rng.standard_normal((speakers, len(DIMENSIONS)))[codes]
    of_utterance = rng.standard_normal((codes.size, len(DIMENSIONS)))
    return math.sqrt(SHARE) * of_speaker + math.sqrt(1 - SHARE) * of_utterance
