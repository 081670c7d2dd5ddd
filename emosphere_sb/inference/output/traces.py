"""Aggregate a timeline for plotting, in constant memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.warning_texts import SILENT

MAX_STEPS = 1500
"""Maximum number of time steps. If it is exceeded, neighbouring steps are merged."""

MAX_UNSMOOTHED = 60
"""Maximum number of time steps that are drawn as separate points, without a moving average."""
SMOOTHING_PARTS = 40
"""The moving average is over the duration divided by this number, or over two windows if longer."""


@dataclass
class Step:
    """Statistics of the windows in one time step.

    ``silent`` windows were skipped and have no values; ``warned`` ones have values and the warning
    that they are silent.
    """

    windows: int = 0
    silent: int = 0
    warned: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(3))
    low: np.ndarray = field(default_factory=lambda: np.full(3, np.inf))
    high: np.ndarray = field(default_factory=lambda: np.full(3, -np.inf))
    regions: Counter = field(default_factory=Counter)

    def merged(self, other: Step) -> Step:
        """Return the combined statistics of two steps."""
        return Step(
            self.windows + other.windows, self.silent + other.silent, self.warned + other.warned,
            self.total + other.total,
            np.minimum(self.low, other.low), np.maximum(self.high, other.high),
            self.regions + other.regions,
        )  # fmt: skip


class Traces:
    """VAD, region and silence over time, with each window placed at its centre.

    Arguments
    ---------
    width : float
        Initial width of a time step in seconds: the hop of the timeline. It doubles whenever there
        are more than :data:`MAX_STEPS` steps.

    Example
    -------
    >>> traces = Traces(1.0)
    >>> len(traces.steps)
    0
    """

    def __init__(self, width: float):
        self.width, self.steps, self.duration = float(width), [], 0.0
        self.begin = None  # centre of the first window, where steps start

    def add(self, prediction: Prediction) -> None:
        """Add a window."""
        middle = (prediction.start + prediction.end) / 2
        if self.begin is None:
            self.begin = middle
        self.duration = max(self.duration, prediction.end)
        # Adding 0.5 puts window centres in the middle of a step, so rounding does not move them
        index = max(0, int((middle - self.begin) / self.width + 0.5))
        while index >= MAX_STEPS:
            self._halve()
            index = max(0, int((middle - self.begin) / self.width + 0.5))
        while len(self.steps) <= index:
            self.steps.append(Step())
        step = self.steps[index]
        step.windows += 1
        if not np.isfinite(prediction.vad).all():
            step.silent += 1
            return
        step.warned += SILENT in prediction.warnings
        step.total += prediction.vad
        step.low = np.minimum(step.low, prediction.vad)
        step.high = np.maximum(step.high, prediction.vad)
        step.regions[prediction.region] += 1

    def _halve(self) -> None:
        steps = self.steps + [Step()] * (len(self.steps) % 2)
        self.steps = [a.merged(b) for a, b in zip(steps[::2], steps[1::2], strict=True)]
        # The centre of a merged step is half an old step later
        self.begin += self.width / 2
        self.width *= 2

    @property
    def times(self) -> np.ndarray:
        """Centre of each step in seconds, shape (steps,)."""
        return (self.begin or 0.0) + self.width * np.arange(len(self.steps))

    @property
    def means(self) -> np.ndarray:
        """Mean of each step, shape (steps, 3); NaN for steps without predictions."""
        counts = self._predicted_counts()
        total = np.array([step.total for step in self.steps]).reshape(-1, 3)
        return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)

    @property
    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """Minimum and maximum of each step, shape (steps, 3); NaN for steps without predictions."""
        found = []
        for name in ("low", "high"):
            values = np.array([getattr(step, name) for step in self.steps]).reshape(-1, 3)
            found.append(np.where(np.isfinite(values), values, np.nan))
        return found[0], found[1]

    @property
    def silence(self) -> np.ndarray:
        """Whether at least half of the windows of each step were skipped, shape (steps,)."""
        return np.array([0 < step.windows <= 2 * step.silent for step in self.steps], dtype=bool)

    @property
    def silence_warnings(self) -> np.ndarray:
        """Whether at least half of the predicted windows of a step are silent, shape (steps,)."""
        return np.array(
            [0 < step.windows - step.silent <= 2 * step.warned for step in self.steps], dtype=bool
        )

    @property
    def regions(self) -> list[str]:
        """Most frequent region of each step; empty for steps without predictions."""
        return [step.regions.most_common(1)[0][0] if step.regions else "" for step in self.steps]

    def smoothing_seconds(self, window: float) -> float | None:
        """Return the length of the moving average to draw in seconds; None for few windows.

        Arguments
        ---------
        window : float
            Window length in seconds.
        """
        if len(self.steps) <= MAX_UNSMOOTHED:
            return None
        return max(2 * window, self.duration / SMOOTHING_PARTS, self.width)

    def smoothed(self, seconds: float) -> np.ndarray:
        """Compute a centred moving average over the predicted windows, excluding skipped silence.

        Arguments
        ---------
        seconds : float
            Length of the averaging interval in seconds.

        Returns
        -------
        numpy.ndarray
            Moving average of shape (steps, 3); NaN for steps without predictions.
        """
        counts = self._predicted_counts()
        total = np.array([step.total for step in self.steps]).reshape(-1, 3)
        half = max(0, round(seconds / self.width / 2))
        mean = _moving_sum(total, half) / np.maximum(_moving_sum(counts, half), 1)
        return np.where(counts > 0, mean, np.nan)

    def _predicted_counts(self) -> np.ndarray:
        """Return the number of predicted windows of each step, shape (steps, 1)."""
        counts = [step.windows - step.silent for step in self.steps]
        return np.array(counts, dtype=np.float64).reshape(-1, 1)


def _moving_sum(values: np.ndarray, half: int) -> np.ndarray:
    """Sum ``2 · half + 1`` rows around each row."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    return sums[np.minimum(index + half + 1, len(values))] - sums[np.maximum(index - half, 0)]


def clock(seconds: float) -> str:
    """Format a duration as ``h:mm:ss``, or as ``m:ss`` below one hour.

    Example
    -------
    >>> clock(65), clock(3725.4)
    ('1:05', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
