"""Utterances in any form: paths, arrays, pairs of samples and rate, bytes, and file objects."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.inference.warning_texts import VERY_SHORT
from emosphere_sb.inference.waveform import Waveform, check_min_length, from_array, load_file
from emosphere_sb.inference.windows import WindowPlan, array_windows, file_windows

if TYPE_CHECKING:
    from emosphere_sb.inference.speech_detection import SpeechDetector

SHORT_SECONDS = 0.5
"""Duration in seconds below which an utterance or a window is very short."""
DETECTED_SECONDS = 10.0
"""Seconds of windows in which speech is detected at once."""


def is_path(item: Any) -> bool:
    """Return whether an input is the path of a file."""
    return isinstance(item, (str, os.PathLike))


def is_pair(item: Any) -> bool:
    """Return whether an input is a pair ``(samples, rate)``.

    Example
    -------
    >>> is_pair(([0.1, 0.2], 16000)), is_pair(("a.wav", "b.wav")), is_pair(([0.1], [0.2]))
    (True, False, False)
    """
    return (
        isinstance(item, tuple) and len(item) == 2 and _is_number(item[1]) and not is_path(item[0])
    )


def is_list(audio: Any) -> bool:
    """Return whether an input is several utterances: a list, a tuple, or an iterator.

    A pair of samples and rate, in either order, is one utterance.

    Example
    -------
    >>> is_list(["a.wav"]), is_list(iter(["a.wav"])), is_list(("a.wav", "b.wav"))
    (True, True, True)
    >>> is_list(([0.1], 16000)), is_list("a.wav")
    (False, False)
    """
    if isinstance(audio, tuple) and len(audio) == 2:
        return not any(map(_is_number, audio))
    return isinstance(audio, (list, tuple)) or (
        isinstance(audio, Iterator) and not hasattr(audio, "read")
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class FileInput:
    """An audio file.

    Arguments
    ---------
    path : path
        Path of the file.
    name : str
        Name of the utterance in predictions and messages.
    """

    path: str | os.PathLike
    name: str

    def seconds(self, *, most: float | None = None) -> float:
        """Return the duration of the file in seconds.

        Arguments
        ---------
        most : float, optional
            Longest file that the caller accepts; see
            :func:`emosphere_sb.audio.check.check_audio`.
        """
        with self._named_errors():
            return check_audio(self.path, max_seconds=most).duration

    def load(self, limit: float | None, *, tensors: bool, channel: str) -> Waveform:
        """Load the file, or the first ``limit`` seconds of it."""
        with self._named_errors():
            found = load_file(self.path, seconds=limit, tensors=tensors, channel=channel)
        return replace(found, source=self.name)

    def windows(self, plan: WindowPlan, *, tensors: bool, channel: str) -> Iterator[Waveform]:
        """Yield the windows of the file, which is read block by block."""
        with self._named_errors():
            for one in file_windows(self.path, plan, tensors=tensors, channel=channel):
                yield replace(one, source=self.name)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Name the utterance in errors instead of the temporary copy of its file."""
        try:
            yield
        except AudioError as error:
            path = os.fsdecode(self.path)
            if path == self.name:
                raise
            if str(error) != error.reason:  # the message starts with the path
                raise AudioError(error.reason, self.name) from None
            raise AudioError(error.reason.replace(path, self.name)) from None


@dataclass(frozen=True)
class ArrayInput:
    """Samples in memory.

    Arguments
    ---------
    samples : array_like or torch.Tensor
        Samples; see :func:`emosphere_sb.inference.waveform.from_array`.
    rate : int or None
        Sampling rate in Hz.
    name : str
        Name of the utterance in predictions and messages.
    """

    samples: Any
    rate: Any
    name: str

    def seconds(self, *, most: float | None = None) -> float:
        """Return the duration in seconds; it is not limited to ``most``.

        Invalid shapes and sampling rates are reported by :meth:`load`.
        """
        shape = getattr(self.samples, "shape", None) or (_length(self.samples),)
        known = _is_number(self.rate) and self.rate > 0
        return max(shape) / (self.rate if known else 1)

    def load(self, limit: float | None, *, tensors: bool, channel: str) -> Waveform:
        """Convert the samples, or the first ``limit`` seconds of them."""
        return from_array(
            self.samples, self.rate, source=self.name, seconds=limit, tensors=tensors,
            channel=channel,
        )  # fmt: skip

    def windows(self, plan: WindowPlan, *, tensors: bool, channel: str) -> Iterator[Waveform]:
        """Yield the windows of the samples."""
        return array_windows(self.load(None, tensors=tensors, channel=channel), plan)


def _length(samples: Any) -> int:
    return len(samples) if isinstance(samples, (list, tuple)) else 0


AudioInput = FileInput | ArrayInput


@contextmanager
def open_input(item: Any, number: int, rate: int | None = None) -> Iterator[AudioInput]:
    """Provide an utterance as a file or as samples.

    The content of bytes and file objects is copied to a temporary file, so that it is checked and
    decoded like any other file; the copy is deleted on exit.

    Arguments
    ---------
    item : path, array, tuple, bytes or file object
        See :meth:`emosphere_sb.inference.predictor.Predictor.predict`.
    number : int
        Position of the utterance, which names it if it has no name.
    rate : int, optional
        Sampling rate in Hz of arrays without their own rate.

    Raises
    ------
    AudioError
        If the utterance is a pair in the wrong order, or a file object in text mode.
    """
    if is_path(item):
        yield FileInput(item, os.fsdecode(item))
    elif isinstance(item, (bytes, bytearray, memoryview)):
        with _temporary_copy(item, f"bytes {number}") as copy:
            yield copy
    elif hasattr(item, "read"):
        name = getattr(item, "name", None)
        with _temporary_copy(item, name if isinstance(name, str) else f"file {number}") as copy:
            yield copy
    elif isinstance(item, tuple) and len(item) == 2 and _is_number(item[0]):
        raise AudioError(
            f"array {number} must be a pair (samples, rate); found a number first. Swap the two."
        )
    elif is_pair(item):
        yield ArrayInput(*item, f"array {number}")
    else:
        yield ArrayInput(item, rate, f"array {number}")


@contextmanager
def _temporary_copy(content: Any, name: str) -> Iterator[FileInput]:
    """Copy bytes, or the rest of a file object, to a temporary file."""
    handle, path = tempfile.mkstemp(prefix="emosphere-")
    try:
        with os.fdopen(handle, "wb") as file:
            if hasattr(content, "read"):
                try:
                    shutil.copyfileobj(content, file)
                except TypeError:  # text was read
                    raise AudioError(
                        "a file object must be opened in binary mode; found text. Use "
                        "open(path, 'rb')",
                        name,
                    ) from None
                except (OSError, ValueError) as error:  # closed, write-only, or damaged
                    raise AudioError(f"the file object cannot be read: {error}", name) from error
            else:
                file.write(content)
        yield FileInput(path, name)
    finally:
        os.unlink(path)


def load_pass(
    item: AudioInput,
    limit: float | None,
    *,
    tensors: bool,
    channel: str,
    min_samples: int,
    detector: SpeechDetector | None = None,
) -> Waveform:
    """Load an utterance for one pass of a model.

    Arguments
    ---------
    item : FileInput or ArrayInput
        Utterance.
    limit : float, optional
        Truncate it to this duration in seconds; a warning states that it was truncated.
    tensors, channel
        See :func:`emosphere_sb.inference.waveform.load_file`.
    min_samples : int
        Minimum length in samples at 16 kHz.
    detector : SpeechDetector, optional
        Detector of speech, if the detection is on.

    Raises
    ------
    AudioError
        If the utterance cannot be read, or is too short.
    """
    waveform = _with_length_warning(item.load(limit, tensors=tensors, channel=channel))
    check_min_length([waveform], min_samples)
    if limit is not None and waveform.duration > limit:
        warning = f"only the first {limit:g} s (of {waveform.duration:.1f} s) were used"
        waveform = replace(waveform, start=0.0, warnings=(*waveform.warnings, warning))
    if detector is None:
        return waveform
    return replace(waveform, speech=detector.count(np.asarray(waveform.signal)))


def load_windows(
    item: AudioInput,
    limit: float | None,
    plan: WindowPlan,
    *,
    tensors: bool,
    channel: str,
    min_samples: int,
    detector: SpeechDetector | None = None,
) -> Iterator[Waveform]:
    """Yield the windows of an utterance; speech is detected in the continuous signal.

    Arguments
    ---------
    item, limit, tensors, channel, min_samples, detector
        See :func:`load_pass`.
    plan : WindowPlan
        Window length and hop.

    Raises
    ------
    AudioError
        If the utterance cannot be read, or is too short.
    """
    options = {"tensors": tensors, "channel": channel}
    if limit is None:
        parts = item.windows(plan, **options)
    else:
        whole = load_pass(item, limit, min_samples=min_samples, **options)
        parts = array_windows(whole, plan)
    for waveform in parts if detector is None else detect_speech_in_windows(parts, detector):
        check_min_length([waveform], min_samples)
        yield _with_length_warning(waveform)


def _with_length_warning(waveform: Waveform) -> Waveform:
    """Add a warning to an utterance or a window that is too short for a reliable prediction."""
    if waveform.end - waveform.start >= SHORT_SECONDS or VERY_SHORT in waveform.warnings:
        return waveform
    return replace(waveform, warnings=(*waveform.warnings, VERY_SHORT))


def detect_speech_in_windows(
    windows: Iterable[Waveform], detector: SpeechDetector
) -> Iterator[Waveform]:
    """Detect speech in the signal that consecutive windows cover.

    The detector processes about :data:`DETECTED_SECONDS` at a time, so the result hardly depends on
    the windows, which may overlap and be shorter than a word. The counts are attached to the
    windows that complete such a part, and the last window; their sum is that of the signal.

    Arguments
    ---------
    windows : iterable of Waveform
        Consecutive windows of one utterance.
    detector : SpeechDetector
        Detector of speech.

    Yields
    ------
    Waveform
        The same windows.
    """
    parts: list[np.ndarray] = []
    reached, last = 0, None  # `reached`: end of the previous window, in samples
    for waveform in windows:
        if last is not None:
            yield last
        start, signal = round(waveform.start * SAMPLE_RATE), np.asarray(waveform.signal)
        parts.append(signal[max(0, reached - start) :])
        reached, last = start + len(signal), waveform
        if sum(map(len, parts)) >= DETECTED_SECONDS * SAMPLE_RATE:
            last, parts = replace(last, speech=detector.count(np.concatenate(parts))), []
    if last is None:
        return
    if parts:
        rest = detector.count(np.concatenate(parts))
        last = replace(last, speech=rest if last.speech is None else last.speech + rest)
    yield last
