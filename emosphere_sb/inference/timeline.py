"""Valence, arousal and dominance over the time of a recording of any length."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emosphere_sb.audio.header import read_header
from emosphere_sb.audio.speech_level import level, speech_level
from emosphere_sb.audio.stream import mono_pieces
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.waveform import Heard, refuse_short
from emosphere_sb.inference.windows import file_windows, plan

SILENCE = "silence"
"""Among the warnings of a window that was skipped; its values are NaN."""
FLUSH = 8
"""Batches of windows, silent ones counted, after which what there is runs."""


def timeline(
    model: Any,
    path: str | os.PathLike,
    *,
    window: float = 4.0,
    hop: float = 1.0,
    skip_silence: float | None = None,
    batch_size: int = 16,
) -> Iterator[Prediction]:
    """Predict windows over a recording, one after the other.

    The file is read as it is needed: memory does not grow with its length. What is heard of it is,
    sample for sample, what a reader of the whole file hears (to 1e-4 where it is resampled).

    Arguments
    ---------
    model : EmoSphere
        What is asked.
    path : path
        Anything that libsndfile reads.
    window : float
        Seconds of a window. The last one may be shorter, but has 1 s at least (or the window, or
        the recording, where those are shorter) and begins earlier for that.
    hop : float
        Seconds from the beginning of one window to that of the next.
    skip_silence : float, optional
        dB: windows that lie so far below the recording's own speech level (ITU-T P.56, see
        :func:`emosphere_sb.audio.speech_level.speech_level`) are not predicted; 25 is a good value
        for a quiet room. The file is then read twice. The default is to predict all.
    batch_size : int
        Windows that run together.

    Returns
    -------
    iterator of Prediction
        In order of time. ``duration`` is that of the whole recording. Where silence was skipped
        (:func:`is_silence`) vad and on_scale are NaN, the region is empty.

    Raises
    ------
    ValueError
        If an option is out of range; before anything is read.
    AudioError
        If the file cannot be read, or not to its end: what lies before has been given by then.

    Example
    -------
    >>> for one in timeline(model, "interview.mp3", skip_silence=25):  # doctest: +SKIP
    ...     print(one.start, one.end, one.valence)
    """
    how = plan(model, window, hop, longest=model.longest)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; found {batch_size}.")
    if skip_silence is not None and not 0 < skip_silence < math.inf:
        raise ValueError(
            f"skip_silence must be a number of dB above 0, or None; found {skip_silence}."
        )
    return _predicted(model, path, how, skip_silence, batch_size)


def is_silence(prediction: Prediction) -> bool:
    """Whether a window of a timeline was skipped as silence."""
    return SILENCE in prediction.warnings


def _predicted(model, path, how, skip_silence, batch_size) -> Iterator[Prediction]:
    floor = None
    if skip_silence is not None:
        rate = read_header(path).sample_rate
        floor = speech_level(mono_pieces(path), rate) - skip_silence
    waiting: list[tuple[Heard, bool]] = []
    try:
        for heard in file_windows(path, how, tensors=model.tensors):
            refuse_short([heard], model.shortest)
            # A recording without any speech has a level of -inf, and is all silence
            loud = floor is None or -math.inf < floor < level(np.asarray(heard.signal))
            waiting.append((heard, loud))
            speech = sum(one for _, one in waiting)
            if speech == batch_size or len(waiting) == FLUSH * batch_size:
                yield from _answers(model, waiting)
                waiting = []
    except OSError:  # AudioError: what was heard before the damage is given first
        yield from _answers(model, waiting)
        raise
    yield from _answers(model, waiting)


def _answers(model: Any, waiting: list[tuple[Heard, bool]]) -> Iterator[Prediction]:
    """Predictions of what is loud, marks for the rest, in their order."""
    loud = [heard for heard, speech in waiting if speech]
    found = iter(model.answers(loud) if loud else [])
    for heard, speech in waiting:
        yield next(found) if speech else _silent(heard)


def _silent(heard: Heard) -> Prediction:
    unknown = np.full(3, np.nan)
    return Prediction(
        source=heard.source, duration=heard.duration, start=heard.start, end=heard.end,
        vad=unknown, on_scale=unknown, region="", region_description="", radius=math.nan,
        azimuth=math.nan, polar=math.nan, embedding=np.empty(0, dtype=np.float32),
        warnings=(SILENCE, *(text for text in heard.warnings if text != "silent")),
    )  # fmt: skip


@dataclass
class Summary:
    """A recording in a few numbers, from its windows as they come.

    Every window counts by its duration; what was skipped as silence does not count. With a hop
    below the window, windows share speech: seconds here are sums over windows.

    Example
    -------
    >>> summarise([]).windows
    0
    """

    windows: int = 0
    silent: int = 0
    weight: float = 0.0
    end: float = 0.0
    total: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    regions: Counter = field(default_factory=Counter)
    warnings: Counter = field(default_factory=Counter)

    def add(self, prediction: Prediction) -> None:
        """Count one more window."""
        self.windows += 1
        self.end = max(self.end, prediction.end)
        self.warnings.update(text for text in prediction.warnings if text != SILENCE)
        if is_silence(prediction):
            self.silent += 1
            return
        seconds = prediction.end - prediction.start
        before = self.mean if self.weight else prediction.vad
        self.weight += seconds
        self.total += seconds * np.stack([prediction.vad, prediction.on_scale])
        # West's (1979) update of a weighted sum of squares around the mean
        self.squares += seconds * (prediction.vad - before) * (prediction.vad - self.mean)
        self.regions[prediction.region] += seconds

    @property
    def mean(self) -> np.ndarray:
        """Valence, arousal, dominance in [-1, 1], shape (3,); NaN where nothing was predicted."""
        return self.total[0] / self.weight if self.weight else np.full(3, np.nan)

    @property
    def mean_on_scale(self) -> np.ndarray:
        """The same on the label scale."""
        return self.total[1] / self.weight if self.weight else np.full(3, np.nan)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation over the windows, in [-1, 1], shape (3,)."""
        return np.sqrt(self.squares / self.weight) if self.weight else np.full(3, np.nan)

    def shares(self) -> dict[str, float]:
        """Share of the predicted windows in each region, the largest first."""
        return {name: seconds / self.weight for name, seconds in self.regions.most_common()}


def summarise(predictions: Iterable[Prediction]) -> Summary:
    """The summary of a timeline.

    Arguments
    ---------
    predictions : iterable of Prediction
        As :func:`timeline` gives them.
    """
    whole = Summary()
    for one in predictions:
        whole.add(one)
    return whole
