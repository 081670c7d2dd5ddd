"""A timeline in memory that does not grow with its length: what a plot can show of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from emosphere_sb.inference.prediction import Prediction

MOST = 1500
"""Steps of time that are kept; beyond, neighbours are put together."""


@dataclass
class Step:
    """What is known of a stretch of time."""

    windows: int = 0
    silent: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(3))
    low: np.ndarray = field(default_factory=lambda: np.full(3, np.inf))
    high: np.ndarray = field(default_factory=lambda: np.full(3, -np.inf))
    regions: Counter = field(default_factory=Counter)

    def merged(self, other: Step) -> Step:
        """Both in one."""
        return Step(
            self.windows + other.windows, self.silent + other.silent, self.total + other.total,
            np.minimum(self.low, other.low), np.maximum(self.high, other.high),
            self.regions + other.regions,
        )  # fmt: skip


class Traces:
    """Valence, arousal, dominance, region and silence over time, a window at its middle.

    Arguments
    ---------
    width : float
        Seconds of a step at first: the timeline's hop. It doubles whenever there are more than
        :data:`MOST` steps.

    Example
    -------
    >>> traces = Traces(1.0)
    >>> len(traces.steps)
    0
    """

    def __init__(self, width: float):
        self.width, self.steps, self.duration = float(width), [], 0.0
        self.begin = None  # the middle of the first window: steps are counted from there

    def add(self, prediction: Prediction) -> None:
        """Take one more window."""
        middle = (prediction.start + prediction.end) / 2
        if self.begin is None:
            self.begin = middle
        self.duration = max(self.duration, prediction.end)
        # Half a step on: a middle lies in the midst of its step, and rounding moves it nowhere
        index = max(0, int((middle - self.begin) / self.width + 0.5))
        while index >= MOST:
            self._halve()
            index = max(0, int((middle - self.begin) / self.width + 0.5))
        while len(self.steps) <= index:
            self.steps.append(Step())
        step = self.steps[index]
        step.windows += 1
        if not np.isfinite(prediction.vad).all():
            step.silent += 1
            return
        step.total += prediction.vad
        step.low = np.minimum(step.low, prediction.vad)
        step.high = np.maximum(step.high, prediction.vad)
        step.regions[prediction.region] += 1

    def _halve(self) -> None:
        steps = self.steps + [Step()] * (len(self.steps) % 2)
        self.steps = [a.merged(b) for a, b in zip(steps[::2], steps[1::2], strict=True)]
        # A step's place is its middle, half an old step on
        self.begin += self.width / 2
        self.width *= 2

    @property
    def times(self) -> np.ndarray:
        """Seconds, shape (steps,): the middle of each."""
        return (self.begin or 0.0) + self.width * np.arange(len(self.steps))

    @property
    def means(self) -> np.ndarray:
        """Shape (steps, 3); NaN where nothing was predicted."""
        counts = self._speech()
        total = np.array([step.total for step in self.steps]).reshape(-1, 3)
        return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)

    @property
    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest of each step, shape (steps, 3); NaN where there is none."""
        found = []
        for name in ("low", "high"):
            values = np.array([getattr(step, name) for step in self.steps]).reshape(-1, 3)
            found.append(np.where(np.isfinite(values), values, np.nan))
        return found[0], found[1]

    @property
    def silence(self) -> np.ndarray:
        """Shape (steps,): whether at least half of what lies there is silence."""
        return np.array([0 < step.windows <= 2 * step.silent for step in self.steps], dtype=bool)

    @property
    def regions(self) -> list[str]:
        """The most frequent region of each step; empty where there is none."""
        return [step.regions.most_common(1)[0][0] if step.regions else "" for step in self.steps]

    def smoothed(self, seconds: float) -> np.ndarray:
        """The mean over a centred span of time, weighted by windows, skipped silence left out.

        Arguments
        ---------
        seconds : float
            Of the span.

        Returns
        -------
        numpy.ndarray
            Shape (steps, 3); NaN where the step itself has nothing.
        """
        counts = self._speech()
        total = np.array([step.total for step in self.steps]).reshape(-1, 3)
        half = max(0, round(seconds / self.width / 2))
        span = _sums(total, half) / np.maximum(_sums(counts, half), 1)
        return np.where(counts > 0, span, np.nan)

    def _speech(self) -> np.ndarray:
        """Predicted windows of each step, shape (steps, 1)."""
        counts = [step.windows - step.silent for step in self.steps]
        return np.array(counts, dtype=np.float64).reshape(-1, 1)


def _sums(values: np.ndarray, half: int) -> np.ndarray:
    """Sums over ``2 · half + 1`` rows around each."""
    whole = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    places = np.arange(len(values))
    return whole[np.minimum(places + half + 1, len(values))] - whole[np.maximum(places - half, 0)]


def clock(seconds: float) -> str:
    """A duration: ``h:mm:ss``, and ``m:ss`` below an hour.

    Example
    -------
    >>> clock(65), clock(3725.4)
    ('1:05', '1:02:05')
    """
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
