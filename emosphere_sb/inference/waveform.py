"""Convert audio files and arrays into validated model input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emosphere_sb.audio.check import VALID_SAMPLE_RATES, array_to_mono, check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import DURATION_TOLERANCE, SAMPLE_RATE, read_audio
from emosphere_sb.audio.resampling import resample
from emosphere_sb.inference.warning_texts import CLIPPED, NOT_SCALED, SILENT, VERY_QUIET

if TYPE_CHECKING:  # ONNX models run without torch
    from torch import Tensor

    from emosphere_sb.inference.speech_detection import SpeechCounts

SILENCE_RMS = 1e-4
"""Root mean square, relative to full scale, below which a signal counts as silent (-80 dBFS)."""
QUIET_RMS = 1e-3
"""Root mean square below which a signal counts as very quiet (-60 dBFS)."""
CLIPPED_SHARE = 0.001
"""Fraction of samples at full scale above which a signal counts as clipped."""
FULL_SCALE_LIMIT = 2.0
"""Peak above which the samples are probably not scaled to [-1, 1]."""
MAX_LEVEL = 1e10
"""Peak above which a signal is rejected. It exceeds all valid audio, including 32-bit integers
stored as floats (2e9). Squares of larger values would overflow float32 and corrupt the batch."""
MAX_INPUT_SECONDS = 600.0
"""Longest input in seconds that is processed in one pass. The memory required for attention grows
with the square of the length."""


@dataclass(frozen=True)
class Waveform:
    """An utterance as model input.

    Arguments
    ---------
    source : str
        Path of the file, or a name for an array.
    signal : torch.Tensor or numpy.ndarray
        Samples of shape (samples,), float32, 16 kHz mono.
    duration : float
        Duration of the entire recording in seconds.
    start : float
        Start of the signal within the recording in seconds.
    warnings : tuple of str
        Warnings about the audio, such as ``silent``.
    speech : SpeechCounts, optional
        Detected speech in the signal; ``None`` if the detection is off.
    """

    source: str
    signal: Tensor | np.ndarray
    duration: float
    start: float = 0.0
    warnings: tuple[str, ...] = ()
    speech: SpeechCounts | None = None

    @property
    def end(self) -> float:
        """End of the signal within the recording in seconds."""
        return self.start + len(self.signal) / SAMPLE_RATE


def load_file(
    path: str | os.PathLike,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    tensors: bool = True,
    channel: str = "mix",
) -> Waveform:
    """Load a file, or part of it, in the same way as training and evaluation do.

    Arguments
    ---------
    path : path
        Path of a file that :func:`emosphere_sb.audio.check.check_audio` accepts.
    start : float
        Start of the part in seconds.
    seconds : float, optional
        Maximum duration of the part in seconds.
    tensors : bool
        Whether to return the signal as a torch.Tensor instead of a numpy.ndarray.
    channel : str
        Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``.

    Raises
    ------
    AudioError
        If the file cannot be used.
    """
    info = check_audio(path, channel=channel)
    signal = read_audio(path, start=start, seconds=seconds, channel=channel)
    name = os.fsdecode(path)
    expected = info.duration if seconds is None else min(info.duration, start + seconds)
    if (end := start + len(signal) / SAMPLE_RATE) < expected - DURATION_TOLERANCE:
        raise AudioError(f"truncated audio: it ends at {end:.1f} s, not {expected:.1f} s", path)
    signal = _tensor(signal) if tensors else signal
    waveform = _validate_waveform(name, signal, info.duration, start)
    return replace(waveform, warnings=(*waveform.warnings, *info.warnings))


def from_array(
    samples: Any,
    sampling_rate: int,
    *,
    source: str = "array",
    seconds: float | None = None,
    tensors: bool = True,
    channel: str = "mix",
) -> Waveform:
    """Convert an array to model input.

    Arguments
    ---------
    samples : array_like or torch.Tensor
        Samples of shape (samples,), or two-dimensional with channels on the shorter axis. Floats
        must be scaled to [-1, 1]; integers of up to 32 bits are scaled by the range of their type.
    sampling_rate : int
        Sampling rate in Hz.
    source : str
        Name of the array, used in messages and as the source of the prediction.
    seconds : float, optional
        Maximum duration in seconds; the rest is dropped.
    tensors : bool
        Whether to return the signal as a torch.Tensor; see :func:`load_file`.
    channel : str
        Use of several channels, see :func:`load_file`.

    Raises
    ------
    AudioError
        If the shape, type or sampling rate is invalid, or samples are not finite.
    """
    rate = _rate(sampling_rate)
    array = _numbers(samples, source)
    time = array.ndim - 1 if array.shape[-1] >= array.shape[0] else 0
    duration = array.shape[time] / rate
    if seconds is not None:
        array = array[(slice(None),) * time + (slice(round(seconds * rate)),)]
    array = _full_scale_one(array)
    warnings = ()
    if array.ndim == 2:
        array, warnings = array_to_mono(array if time == 0 else array.T, channel)
    signal = resample(np.ascontiguousarray(array, dtype=np.float32), rate, SAMPLE_RATE)
    waveform = _validate_waveform(source, _tensor(signal) if tensors else signal, duration, 0.0)
    return replace(waveform, warnings=(*waveform.warnings, *warnings))


def _tensor(signal: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(signal)


def _rate(given: Any) -> int:
    try:
        rate = int(given)
    except (TypeError, ValueError, OverflowError):
        rate = -1
    if rate != given or not VALID_SAMPLE_RATES[0] <= rate <= VALID_SAMPLE_RATES[1]:
        raise AudioError(
            f"Arrays require sampling_rate, an integer between {VALID_SAMPLE_RATES[0]:,} and "
            f"{VALID_SAMPLE_RATES[1]:,} Hz; found {given!r}."
        )
    return rate


def _numbers(samples: Any, source: str) -> np.ndarray:
    if hasattr(samples, "is_floating_point"):  # a tensor
        samples = samples.detach().cpu()
        # numpy has no bfloat16
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    try:
        array = np.asarray(samples)
    except ValueError as error:  # lists of different lengths
        raise AudioError(f"{source} cannot be converted to an array: {error}") from error
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise AudioError(
            f"{source} must be numeric with shape (samples,) or (channels, samples); found "
            f"{array.dtype} with shape {array.shape}."
        )
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4:
        raise AudioError(
            f"{source} must contain floats scaled to [-1, 1], or integers of up to 32 bits; found "
            f"{array.dtype}. Convert it, for example with array.astype('int16') for 16-bit audio."
        )
    return array


def _full_scale_one(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "u":
        middle = (np.iinfo(array.dtype).max + 1) / 2
        return (array.astype(np.float64) - middle) / middle
    if array.dtype.kind == "i":
        return array.astype(np.float64) / (np.iinfo(array.dtype).max + 1.0)
    return array


def signal_warnings(signal: Tensor | np.ndarray) -> tuple[str, ...]:
    """Return warnings about a signal: a low level, clipping, or a full scale other than 1.

    Example
    -------
    >>> signal_warnings(np.zeros(800))
    ('silent',)
    >>> signal_warnings(np.full(800, 0.0005))
    ('very quiet',)
    >>> signal_warnings(np.array([1.0, -1.0] * 400))
    ('clipped',)
    """
    found, signal = [], np.asarray(signal)
    rms = float(np.square(signal, dtype=np.float64).mean()) ** 0.5
    if rms < SILENCE_RMS:
        found.append(SILENT)
    elif rms < QUIET_RMS:
        found.append(VERY_QUIET)
    if float(np.abs(signal).max()) > FULL_SCALE_LIMIT:
        found.append(NOT_SCALED)
    # 16-bit full scale is 32767 / 32768
    elif float((np.abs(signal) >= 0.99996).mean()) > CLIPPED_SHARE:
        found.append(CLIPPED)
    return tuple(found)


def check_min_length(waveforms: Sequence[Waveform], min_samples: int) -> None:
    """Check that utterances are not shorter than the model's receptive field.

    Raises
    ------
    AudioError
        If an utterance is too short. The message names the first one.
    """
    for item in waveforms:
        if len(item.signal) < min_samples:
            raise AudioError(
                f"{item.source} is too short: at least {min_samples / SAMPLE_RATE:g} s are "
                f"required; found {len(item.signal) / SAMPLE_RATE:.4f} s."
            )


def max_pass_seconds(max_samples: int | None) -> float:
    """Return the longest input of a model in seconds, at most :data:`MAX_INPUT_SECONDS`.

    Arguments
    ---------
    max_samples : int or None
        Limit of the model in samples at 16 kHz; ``None`` if it has none.

    Example
    -------
    >>> max_pass_seconds(480_000), max_pass_seconds(None)
    (30.0, 600.0)
    """
    if max_samples is None:
        return MAX_INPUT_SECONDS
    return min(MAX_INPUT_SECONDS, max_samples / SAMPLE_RATE)


def check_max_length(source: str, seconds: float, max_seconds: float) -> None:
    """Check that an utterance is short enough for one pass, before it is read.

    Arguments
    ---------
    source : str
        Name of the utterance.
    seconds : float
        Duration of the part to be processed in seconds.
    max_seconds : float
        Longest input of the model in seconds, at most :data:`MAX_INPUT_SECONDS`.

    Raises
    ------
    AudioError
        If the utterance is too long.
    """
    if seconds > max_seconds + 1 / SAMPLE_RATE:
        raise AudioError(
            f"{source} is too long to be processed in one pass: at most {max_seconds:g} s are "
            f"supported; found {seconds:.1f} s. Set max_seconds to auto for a mean over windows, "
            f"or to a number of seconds to truncate it."
        )


def _validate_waveform(
    source: str, signal: Tensor | np.ndarray, duration: float, start: float
) -> Waveform:
    if not np.isfinite(np.asarray(signal)).all():
        raise AudioError(f"{source} contains NaN or infinite samples. Remove or replace them.")
    if (peak := float(np.abs(np.asarray(signal)).max(initial=0.0))) > MAX_LEVEL:
        raise AudioError(
            f"{source} must contain samples scaled to [-1, 1]; found values of up to {peak:.4g}. "
            f"The data are corrupted or not audio."
        )
    return Waveform(source, signal, duration, start, signal_warnings(signal))
