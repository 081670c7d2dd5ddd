"""Predict valence, arousal and dominance over time, for recordings of any length."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.reading import read_mono_blocks
from emosphere_sb.audio.speech_level import rms_level, speech_level
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.waveform import Waveform, check_min_length
from emosphere_sb.inference.windows import file_windows, plan_windows, windows_per_batch

SILENCE = "silence"
"""Warning for a window that was skipped as silence, whose values are NaN."""
MAX_WAITING_BATCHES = 8
"""Maximum number of queued batches, including silent windows; then the queue is predicted."""


def timeline(
    model: Any,
    path: str | os.PathLike,
    *,
    window: float = 4.0,
    hop: float = 1.0,
    skip_silence: float | None = None,
    batch_size: int = 16,
    channel: str = "mix",
) -> Iterator[Prediction]:
    """Predict the windows of a recording one after the other.

    The file is read block by block, with constant memory. The samples are identical to those
    obtained by reading the entire file at once (within 1e-4 if it is resampled).

    Arguments
    ---------
    model : Predictor
        Model that predicts the windows.
    path : path
        Path of a file that :func:`emosphere_sb.audio.check.check_audio` accepts.
    window : float
        Window length in seconds. The last window may be shorter, but has at least 1 s (unless the
        window or the recording is shorter); if necessary, it starts earlier.
    hop : float
        Time from the start of one window to the start of the next, in seconds.
    skip_silence : float, optional
        Skip windows whose level is at least this many dB below the speech level of the recording
        (ITU-T P.56; see :func:`emosphere_sb.audio.speech_level.speech_level`). 25 is a good value
        for a quiet room. With this option, the file is read twice. By default, all windows are
        predicted.
    batch_size : int
        Number of windows per batch.
    channel : str
        Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``.

    Returns
    -------
    iterator of Prediction
        Predictions in chronological order, with the ``duration`` of the entire recording. For
        skipped windows (:func:`is_silence`), vad and on_scale are NaN and the region is empty.

    Raises
    ------
    ValueError
        If an option is out of range. This is checked before the file is read.
    AudioError
        If the file cannot be read completely. By then, the windows before the unreadable part have
        been yielded.

    Example
    -------
    >>> for one in timeline(model, "interview.mp3", skip_silence=25):  # doctest: +SKIP
    ...     print(one.start, one.end, one.valence)
    """
    plan = plan_windows(model, window, hop, max_seconds=model.max_pass_seconds)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; found {batch_size}.")
    if skip_silence is not None and not 0 < skip_silence < math.inf:
        raise ValueError(
            f"skip_silence must be a positive number of dB, or None; found {skip_silence}."
        )
    check_channel(channel)
    batch_size = windows_per_batch(batch_size, plan, model.max_batch_seconds)
    return _predict_windows(model, path, plan, skip_silence, batch_size, channel)


def is_silence(prediction: Prediction) -> bool:
    """Return whether a window of a timeline was skipped as silence."""
    return SILENCE in prediction.warnings


def _predict_windows(model, path, plan, skip_silence, batch_size, channel) -> Iterator[Prediction]:
    floor = None
    if skip_silence is not None:
        rate = check_audio(path, channel=channel).sample_rate
        floor = speech_level(read_mono_blocks(path, channel=channel), rate) - skip_silence
    waiting: list[tuple[Waveform, bool]] = []
    try:
        for waveform in file_windows(path, plan, tensors=model.tensors, channel=channel):
            check_min_length([waveform], model.min_samples)
            # A recording without speech has a level of -inf; all its windows are silence
            loud = floor is None or -math.inf < floor < rms_level(np.asarray(waveform.signal))
            waiting.append((waveform, loud))
            speech = sum(one for _, one in waiting)
            if speech == batch_size or len(waiting) == MAX_WAITING_BATCHES * batch_size:
                yield from _predict_waiting(model, waiting)
                waiting = []
    except OSError:  # AudioError: first yield the windows before the unreadable part
        yield from _predict_waiting(model, waiting)
        raise
    yield from _predict_waiting(model, waiting)


def _predict_waiting(model: Any, waiting: list[tuple[Waveform, bool]]) -> Iterator[Prediction]:
    """Yield predictions for loud windows and placeholders for silent ones, in order."""
    loud = [waveform for waveform, speech in waiting if speech]
    found = iter(model.predict_batch(loud) if loud else [])
    for waveform, speech in waiting:
        yield next(found) if speech else _silent(waveform)


def _silent(waveform: Waveform) -> Prediction:
    unknown = np.full(3, np.nan)
    return Prediction(
        source=waveform.source, duration=waveform.duration, start=waveform.start, end=waveform.end,
        vad=unknown, on_scale=unknown, region="", region_description="", radius=math.nan,
        azimuth=math.nan, polar=math.nan, embedding=np.empty(0, dtype=np.float32),
        warnings=(SILENCE, *(text for text in waveform.warnings if text != "silent")),
    )  # fmt: skip


@dataclass
class TimelineSummary:
    """Summary statistics of a recording, updated window by window.

    Windows are weighted by their duration; skipped silence is ignored. If windows overlap,
    ``weight`` and ``total`` count overlapping parts several times. ``descriptions`` has the
    description of each region.

    Example
    -------
    >>> summarise_timeline([]).windows
    0
    """

    windows: int = 0
    silent: int = 0
    weight: float = 0.0
    end: float = 0.0
    total: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    regions: Counter = field(default_factory=Counter)
    descriptions: dict[str, str] = field(default_factory=dict)
    warnings: Counter = field(default_factory=Counter)

    def add(self, prediction: Prediction) -> None:
        """Add a window."""
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
        self.descriptions[prediction.region] = prediction.region_description

    @property
    def mean(self) -> np.ndarray:
        """Mean valence, arousal, dominance in [-1, 1], shape (3,); NaN if nothing was predicted."""
        return self.total[0] / self.weight if self.weight else np.full(3, np.nan)

    @property
    def mean_on_scale(self) -> np.ndarray:
        """Mean valence, arousal, dominance on the label scale, shape (3,)."""
        return self.total[1] / self.weight if self.weight else np.full(3, np.nan)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation over the windows, shape (3,), for values in [-1, 1]."""
        return np.sqrt(self.squares / self.weight) if self.weight else np.full(3, np.nan)

    def shares(self) -> dict[str, float]:
        """Return the share of predicted time in each region, in descending order."""
        return {name: seconds / self.weight for name, seconds in self.regions.most_common()}


def summarise_timeline(predictions: Iterable[Prediction]) -> TimelineSummary:
    """Summarise a timeline.

    Arguments
    ---------
    predictions : iterable of Prediction
        Predictions from :func:`timeline`.
    """
    summary = TimelineSummary()
    for one in predictions:
        summary.add(one)
    return summary
