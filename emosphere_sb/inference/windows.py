"""Cut recordings into windows, and average predictions over the windows of an utterance."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import DURATION_TOLERANCE, SAMPLE_RATE, read_mono_blocks
from emosphere_sb.audio.resampling import resample_blocks
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction, scale_warnings
from emosphere_sb.inference.speech_detection import SpeechCounts
from emosphere_sb.inference.warning_texts import (
    ALL_WINDOWS,
    MOST_WINDOWS,
    OFF_SCALE,
    SILENT,
    VERY_QUIET,
)
from emosphere_sb.inference.waveform import Waveform, from_array, signal_warnings

MIN_LAST_WINDOW = 1.0
"""Minimum length of the last window in seconds (unless the recording is shorter)."""


@dataclass(frozen=True)
class WindowPlan:
    """Window length and hop, in samples.

    Arguments
    ---------
    window : int
        Window length in samples.
    hop : int
        Number of samples from the start of one window to the start of the next.
    min_last : int
        Minimum length of the last window in samples (unless the recording is shorter).
    """

    window: int
    hop: int
    min_last: int


def plan_windows(
    model: Any, window: float, hop: float, *, max_seconds: float | None = None, name: str = "hop"
) -> WindowPlan:
    """Convert window and hop from seconds to samples, and validate them for a model.

    Arguments
    ---------
    model : Predictor
        Model that processes the windows.
    window, hop : float
        Window length and hop in seconds.
    max_seconds : float, optional
        Maximum window length in seconds.
    name : str
        Name of the hop in error messages.

    Raises
    ------
    ValueError
        If the window or the hop is out of range.
    """
    min_samples = model.min_samples
    min_seconds = min_samples / SAMPLE_RATE
    if not min_seconds <= window < float("inf") or (max_seconds and window > max_seconds):
        upper = f" and at most {max_seconds:g} s" if max_seconds else ""
        raise ValueError(
            f"window must be at least {min_seconds:g} s{upper} for this model; found {window:g}."
        )
    if not 0 < hop < float("inf") or round(hop * SAMPLE_RATE) < 1:
        raise ValueError(f"{name} must be at least one sample; found {hop:g} s.")
    samples = round(window * SAMPLE_RATE)
    return WindowPlan(
        samples,
        round(hop * SAMPLE_RATE),
        max(min_samples, min(samples, round(MIN_LAST_WINDOW * SAMPLE_RATE))),
    )


def cut_windows(pieces: Iterable[np.ndarray], plan: WindowPlan) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a signal that arrives in blocks into windows.

    Window k starts at sample k · hop. The last window ends at the end of the signal and may be
    shorter. If it would have fewer than ``min_last`` samples, it starts earlier. A signal shorter
    than a window yields one window. If the hop is longer than the window, the samples in between
    are skipped.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Consecutive blocks (samples,) of the signal.
    plan : WindowPlan
        Window length and hop.

    Yields
    ------
    start : int
        Index of the first sample of the window.
    samples : numpy.ndarray
        Samples of the window, shape (samples,).

    Example
    -------
    >>> signal = [np.arange(3), np.arange(3, 7)]
    >>> plan = WindowPlan(4, 3, 1)
    >>> [(start, part.astype(int).tolist()) for start, part in cut_windows(signal, plan)]
    [(0, [0, 1, 2, 3]), (3, [3, 4, 5, 6])]
    """
    buffer, first = np.empty(0, dtype=np.float32), 0  # `first`: index of the buffer's first sample
    start, end = 0, 0  # start of the next window, end of the last one
    for piece in pieces:
        buffer = np.concatenate([buffer, piece])
        while first + len(buffer) >= start + plan.window:
            end = start + plan.window
            yield start, buffer[start - first : end - first].copy()
            start += plan.hop
        # Retain `min_last` samples: the last window may start before `start`
        drop = min(max(0, start - plan.min_last - first), max(0, len(buffer) - plan.min_last))
        buffer, first = buffer[drop:], first + drop
    total = first + len(buffer)
    if end < total and (start < total or end == 0):
        start = max(first, min(start, total - plan.min_last))
        yield start, buffer[start - first :].copy()


def file_windows(
    path: str | os.PathLike, plan: WindowPlan, *, tensors: bool = True, channel: str = "mix"
) -> Iterator[Waveform]:
    """Read a file block by block and yield its windows.

    Arguments
    ---------
    path : path
        Path of a file that :func:`emosphere_sb.audio.check.check_audio` accepts.
    plan : WindowPlan
        Window length and hop at 16 kHz.
    tensors : bool
        Whether to return signals as torch.Tensor; see
        :func:`emosphere_sb.inference.waveform.load_file`.
    channel : str
        Use of several channels; see :func:`emosphere_sb.inference.waveform.load_file`.

    Yields
    ------
    Waveform
        One window, with the ``duration`` of the entire file and the warnings about it.

    Raises
    ------
    AudioError
        If the file cannot be used. This is checked before the first window, except for changes of
        the file while it is read.
    """
    info = check_audio(path, channel=channel)
    name, last = os.fsdecode(path), None
    blocks = resample_blocks(read_mono_blocks(path, channel=channel), info.sample_rate)
    for start, samples in cut_windows(blocks, plan):
        if last is not None:
            yield last
        waveform = from_array(samples, SAMPLE_RATE, source=name, tensors=tensors)
        last = replace(
            waveform, duration=info.duration, start=start / SAMPLE_RATE,
            warnings=(*waveform.warnings, *info.warnings),
        )  # fmt: skip
    if last is None:
        raise AudioError("empty audio file", path)
    # If the hop is longer than the window, the last window may end before the recording
    reached = last.end + max(0, plan.hop - plan.window) / SAMPLE_RATE
    if reached < info.duration - DURATION_TOLERANCE:
        yield last
        raise AudioError(
            f"truncated audio: it ends at {last.end:.1f} s, not {info.duration:.1f} s", path
        )
    yield last


def array_windows(waveform: Waveform, plan: WindowPlan) -> Iterator[Waveform]:
    """Yield the windows of a waveform that is in memory, with the warnings about all of it."""
    tensors = not isinstance(waveform.signal, np.ndarray)
    own = signal_warnings(waveform.signal)  # each window has its own ones
    warnings = tuple(text for text in waveform.warnings if text not in own)
    for start, samples in cut_windows([np.asarray(waveform.signal)], plan):
        part = from_array(samples, SAMPLE_RATE, source=waveform.source, tensors=tensors)
        yield replace(
            part, duration=waveform.duration, start=start / SAMPLE_RATE,
            warnings=(*part.warnings, *warnings),
        )  # fmt: skip


class WindowMean:
    """Mean of the predictions for the windows of one utterance, weighted by their durations.

    Valence, arousal, dominance, embedding and class probabilities are averaged. Region, spherical
    coordinates and words are computed from the mean point. Only sums are stored, so memory does
    not grow with the number of windows.
    """

    def __init__(self):
        self.windows = 0
        self._weight = 0.0
        self._first: Prediction | None = None
        self._end = 0.0
        self._speech: SpeechCounts | None = None
        self._sums: dict[str, Any] = {}
        self._warnings: Counter[str] = Counter()  # seconds of the windows with each warning

    def add(self, prediction: Prediction) -> None:
        """Add the next window."""
        weight = prediction.end - prediction.start
        parts = {
            "vad": prediction.vad,
            "embedding": prediction.embedding.astype(np.float64),
            "probabilities": np.array(list(prediction.probabilities.values())),
        }
        if self._first is None:
            self._first, self._sums = prediction, dict.fromkeys(parts, 0.0)
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + weight * value
        self._weight += weight
        self._end = prediction.end
        self.windows += 1
        if prediction.speech is not None:
            self._speech = prediction.speech + (self._speech or SpeechCounts(0, 0, 0))
        for text in prediction.warnings:
            self._warnings[text] += weight
        if SILENT in prediction.warnings:
            self._warnings[VERY_QUIET] += weight

    def result(self, model: Any, *, words: int = 0) -> Prediction:
        """Return the mean over the windows so far, of which there must be at least one.

        The warnings are those of any window, except that ``silent`` and ``very quiet`` must apply
        to all windows, and differences from the training data to most of the duration.

        Arguments
        ---------
        model : Predictor
            Model that made the predictions.
        words : int
            Number of nearest emotion words to return.
        """
        mean = {name: total / self._weight for name, total in self._sums.items()}
        names = self._first.probabilities
        return replace(
            self._first,
            end=self._end,
            windows=self.windows,
            speech=self._speech,
            embedding=mean["embedding"].astype(np.float32),
            probabilities=dict(zip(names, mean["probabilities"].tolist(), strict=True)),
            warnings=(*self._audio_warnings(), *scale_warnings(mean["vad"])),
            **locate(mean["vad"], model.info, words=words),
        )

    def _audio_warnings(self) -> list[str]:
        """Return the warnings except the one about the mean point."""
        share = {text: seconds / self._weight for text, seconds in self._warnings.items()}
        least = dict.fromkeys(MOST_WINDOWS, 0.5) | dict.fromkeys(ALL_WINDOWS, 1 - 1e-9)
        found = [text for text in share if text != OFF_SCALE and share[text] > least.get(text, 0)]
        return [text for text in found if text != VERY_QUIET or SILENT not in found]


@dataclass
class PendingUtterance:
    """An utterance whose windows are being predicted."""

    windows: int = 0
    complete: bool = False
    error: AudioError | None = None
    mean: WindowMean = field(default_factory=WindowMean)

    @property
    def done(self) -> bool:
        """Whether all windows are predicted, or the utterance failed."""
        return self.complete and (self.error is not None or self.mean.windows == self.windows)


def windows_per_batch(batch_size: int, plan: WindowPlan, max_seconds: float | None) -> int:
    """Return the number of windows per batch.

    Arguments
    ---------
    batch_size : int
        Maximum number of windows.
    plan : WindowPlan
        Length of the windows.
    max_seconds : float or None
        Maximum total duration in seconds; a single window may be longer. ``None``: no maximum.

    Example
    -------
    >>> plan = WindowPlan(window=64_000, hop=16_000, min_last=400)
    >>> windows_per_batch(16, plan, 20.0), windows_per_batch(16, plan, None)
    (5, 16)
    """
    if max_seconds is None:
        return batch_size
    return max(1, min(batch_size, int(max_seconds * SAMPLE_RATE) // plan.window))


def predict_windowed(
    model: Any, utterances: Iterable[Iterator[Waveform]], *, batch_size: int, words: int
) -> Iterator[Prediction | AudioError]:
    """Predict utterances as the mean over their windows.

    Batches contain windows of several utterances. Memory grows with the batch size, neither with
    the number of utterances nor with their lengths.

    Arguments
    ---------
    model : Predictor
        Model with ``predict_batch(waveforms)`` and ``info``.
    utterances : iterable of iterator of Waveform
        Windows of each utterance.
    batch_size : int
        Number of windows per batch.
    words : int
        Number of nearest emotion words to return.

    Yields
    ------
    Prediction or AudioError
        One item per utterance, in the same order.
    """
    waiting: deque[PendingUtterance] = deque()
    pending: list[tuple[PendingUtterance, Waveform]] = []
    for windows in utterances:
        one = PendingUtterance()
        waiting.append(one)
        try:
            for waveform in windows:
                one.windows += 1
                pending.append((one, waveform))
                if len(pending) >= batch_size:
                    _predict_pending(model, pending)
        except AudioError as error:
            one.error = error
            pending = [(other, waveform) for other, waveform in pending if other is not one]
        one.complete = True
        while waiting and waiting[0].done:
            yield _result(model, waiting.popleft(), words)
    if pending:
        _predict_pending(model, pending)
    for one in waiting:
        yield _result(model, one, words)


def _predict_pending(model: Any, pending: list[tuple[PendingUtterance, Waveform]]) -> None:
    """Predict all pending windows and clear the list."""
    found = model.predict_batch([waveform for _, waveform in pending])
    for (one, _), prediction in zip(pending, found, strict=True):
        one.mean.add(prediction)
    pending.clear()


def _result(model: Any, one: PendingUtterance, words: int) -> Prediction | AudioError:
    return one.error if one.error is not None else one.mean.result(model, words=words)
