"""Audio as people have it: any file that libsndfile reads, arrays, odd rates, odd contents."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import RATES, read_header
from emosphere_sb.audio.reading import (
    SAMPLE_RATE,
    TOLERANCE,
    read_audio,
    read_mono,
)
from emosphere_sb.audio.resampling import resample

if TYPE_CHECKING:  # a model in ONNX is asked without torch
    from torch import Tensor

SILENT = 1e-4
"""Root mean square, of full scale 1, below which a file is called silent (-80 dB)."""
CLIPPED = 0.001
"""Share of samples at full scale above which a file is called clipped."""
BEYOND = 2.0
"""Level, of full scale 1, above which a signal has another full scale than it should."""
IMPOSSIBLE = 1e10
"""Level that no audio has, integers of 32 bits that were written as floats (2e9) included: beyond
it squares leave float32, and a model would say nothing of all that runs with it in a batch."""
LONGEST = 600.0
"""Seconds that are heard in one piece at the most: attention's memory grows with their square."""


@dataclass(frozen=True)
class Heard:
    """An utterance as the model hears it.

    Arguments
    ---------
    source : str
        Path, or a name for an array.
    signal : torch.Tensor or numpy.ndarray
        Shape (samples,), float32, 16 kHz mono.
    duration : float
        Seconds of the whole.
    start : float
        Where the signal begins in it, in seconds.
    warnings : tuple of str
        What is odd about it.
    """

    source: str
    signal: Tensor | np.ndarray
    duration: float
    start: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        """Where the signal ends in the whole, in seconds."""
        return self.start + len(self.signal) / SAMPLE_RATE


def hear_file(
    path: str | os.PathLike,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    tensors: bool = True,
) -> Heard:
    """Read a file, or a part of it, as evaluation reads it.

    Arguments
    ---------
    path : path
        Anything that libsndfile reads.
    start : float
        Where to begin, in seconds.
    seconds : float, optional
        How much at the most.
    tensors : bool
        ``False``: a numpy.ndarray, resampled without torch (equal to 1e-5 at the level of speech).

    Raises
    ------
    AudioError
        If it cannot be read, or holds samples that are not finite.
    """
    header = read_header(path)
    try:
        if tensors:
            signal = read_audio(path, start=start, seconds=seconds)
        else:
            signal = resample(*read_mono(path, start=start, seconds=seconds), SAMPLE_RATE)
    except AudioError as error:  # its advice is for a prepared corpus
        raise AudioError(f"{os.fsdecode(path)} cannot be read: {_cause(error)}") from error
    heard = _heard(os.fsdecode(path), signal, header.duration, start)
    if header.warning:
        heard = replace(heard, warnings=(*heard.warnings, header.warning))
    whole = header.duration
    expected = whole if seconds is None else min(whole, start + seconds)
    if heard.end < expected - TOLERANCE:
        return replace(heard, warnings=(*heard.warnings, ends_early(heard.end, whole)))
    return heard


def ends_early(end: float, duration: float) -> str:
    """The warning of a file that was cut off, in seconds."""
    return f"the file ends at {end:.1f} s; its header says {duration:.1f} s"


def hear_array(
    samples: Any,
    sampling_rate: int,
    *,
    source: str = "array",
    seconds: float | None = None,
    tensors: bool = True,
) -> Heard:
    """An array as an utterance.

    Arguments
    ---------
    samples : array_like or torch.Tensor
        Shape (samples,), or two-dimensional with the shorter axis for channels. Floats are taken
        with full scale 1, integers of up to 32 bits by their type's range.
    sampling_rate : int
        In Hz.
    source : str
        Its name.
    seconds : float, optional
        How much of it at the most.
    tensors : bool
        As for :func:`hear_file`.

    Raises
    ------
    AudioError
        If the shape, the type or the rate cannot be audio, or samples are not finite.
    """
    rate = _rate(sampling_rate)
    array = _numbers(samples, source)
    time = array.ndim - 1 if array.shape[-1] >= array.shape[0] else 0
    duration = array.shape[time] / rate
    if seconds is not None:
        array = array[(slice(None),) * time + (slice(round(seconds * rate)),)]
    array = _full_scale_one(array)
    if array.ndim == 2:
        array = array.mean(axis=1 - time)
    signal = np.ascontiguousarray(array, dtype=np.float32)
    signal = _tensor(signal, rate) if tensors else resample(signal, rate, SAMPLE_RATE)
    return _heard(source, signal, duration, 0.0)


def _tensor(signal: np.ndarray, rate: int) -> Tensor:
    """A signal at the model's rate as a tensor."""
    import torch

    if rate == SAMPLE_RATE:
        return torch.from_numpy(signal)
    from torchaudio.functional import resample as resample_tensor

    return resample_tensor(torch.from_numpy(signal), rate, SAMPLE_RATE)


def _rate(given: Any) -> int:
    try:
        rate = int(given)
    except (TypeError, ValueError, OverflowError):
        rate = -1
    if rate != given or not RATES[0] <= rate <= RATES[1]:
        raise AudioError(
            f"An array needs its sampling_rate, a whole number between {RATES[0]:,} and "
            f"{RATES[1]:,} Hz; found {given!r}."
        )
    return rate


def _numbers(samples: Any, source: str) -> np.ndarray:
    if hasattr(samples, "is_floating_point"):  # a tensor
        samples = samples.detach().cpu()
        # numpy has no bfloat16
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    try:
        array = np.asarray(samples)
    except ValueError as error:  # lists of several lengths
        raise AudioError(f"{source} is no array: {error}") from error
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise AudioError(
            f"{source} must be numbers of shape (samples,) or (channels, samples); found "
            f"{array.dtype} of shape {array.shape}."
        )
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4:
        raise AudioError(
            f"{source} must be floats with full scale 1, or integers of up to 32 bits, whose type "
            f"says what full scale is; found {array.dtype}. Convert it: array.astype('int16') for "
            f"16-bit audio."
        )
    return array


def _full_scale_one(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "u":
        middle = (np.iinfo(array.dtype).max + 1) / 2
        return (array.astype(np.float64) - middle) / middle
    if array.dtype.kind == "i":
        return array.astype(np.float64) / (np.iinfo(array.dtype).max + 1.0)
    return array


def warnings_of(signal: Tensor | np.ndarray) -> tuple[str, ...]:
    """What is odd about a signal: silence, clipping, another full scale than 1.

    Example
    -------
    >>> warnings_of(np.zeros(800))
    ('silent',)
    >>> warnings_of(np.array([1.0, -1.0] * 400))
    ('clipped',)
    """
    found, signal = [], np.asarray(signal)
    if float(np.square(signal, dtype=np.float64).mean()) ** 0.5 < SILENT:
        found.append("silent")
    if (peak := float(np.abs(signal).max())) > BEYOND:
        found.append(f"a peak of {peak:.4g} where full scale is 1")
    # 16-bit full scale is 32767 / 32768
    elif float((np.abs(signal) >= 0.99996).mean()) > CLIPPED:
        found.append("clipped")
    return tuple(found)


def refuse_short(heard: Sequence[Heard], shortest: int) -> None:
    """Refuse what is shorter than the model's receptive field.

    Raises
    ------
    AudioError
        Naming the first such utterance.
    """
    for item in heard:
        if len(item.signal) < shortest:
            raise AudioError(
                f"{item.source} must have at least {shortest / SAMPLE_RATE:g} s to be heard; found "
                f"{len(item.signal) / SAMPLE_RATE:.4f} s."
            )


def refuse_long(source: str, seconds: float, most: float) -> None:
    """Refuse what is longer than can be heard in one piece, before it is read.

    Arguments
    ---------
    source : str
        Its name.
    seconds : float
        What is to be heard of it.
    most : float
        The model's own limit, or :data:`LONGEST`.

    Raises
    ------
    AudioError
        Saying what to do.
    """
    if seconds > most + 1 / SAMPLE_RATE:
        raise AudioError(
            f"{source} must have at most {most:g} s to be heard in one piece; found {seconds:.1f} "
            f"s. Take windows (emosphere timeline, or predict with a window), or set max_seconds."
        )


def _heard(source: str, signal: Tensor | np.ndarray, duration: float, start: float) -> Heard:
    if not np.isfinite(np.asarray(signal)).all():
        raise AudioError(f"{source} holds samples that are not finite numbers.")
    if (peak := float(np.abs(np.asarray(signal)).max(initial=0.0))) > IMPOSSIBLE:
        raise AudioError(
            f"{source} must hold samples with full scale 1; found values of up to {peak:.4g}: it "
            f"is damaged, or no audio."
        )
    return Heard(source, signal, duration, start, warnings_of(signal))


def _cause(error: AudioError) -> str:
    return str(error.__cause__ or error)
