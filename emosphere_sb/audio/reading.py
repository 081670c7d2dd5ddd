"""Read audio files as model input: mono, 16 kHz, complete, in part, or block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.check import check_audio, regular_file_status, to_mono
from emosphere_sb.audio.decoder import block_size, open_decoder
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.resampling import resample

SAMPLE_RATE = 16000

DURATION_TOLERANCE = 0.1
"""Number of seconds by which a file may be shorter than when the corpus was prepared."""


def read_audio(
    path: str | os.PathLike,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    channel: str = "mix",
) -> np.ndarray:
    """Read (part of) a file, converted to mono and resampled to 16 kHz.

    Arguments
    ---------
    path, start, seconds, channel
        See :func:`read_mono`.

    Returns
    -------
    numpy.ndarray
        Samples of shape (samples,), float32.

    Raises
    ------
    AudioError
        If the file cannot be read or contains no samples.
    """
    samples, rate = read_mono(path, start=start, seconds=seconds, channel=channel)
    return resample(samples, rate, SAMPLE_RATE)


def read_mono(
    path: str | os.PathLike,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    channel: str = "mix",
) -> tuple[np.ndarray, int]:
    """Read (part of) a file at its original sampling rate, converted to mono.

    A part equals the slice of the complete file, in every format. Where seeking is not exact, the
    samples before the part are decoded and dropped.

    Arguments
    ---------
    path : path
        Path of a file that :func:`emosphere_sb.audio.check.check_audio` accepts.
    start : float
        Start of the part in seconds.
    seconds : float, optional
        Maximum duration of the part in seconds; ``None`` reads to the end of the file.
    channel : str
        ``mix``, ``left``, ``right`` or ``loudest``, see
        :func:`emosphere_sb.audio.check.check_audio`.

    Returns
    -------
    samples : numpy.ndarray
        Samples of shape (samples,), float32.
    rate : int
        Sampling rate in Hz.

    Raises
    ------
    AudioError
        If the file cannot be read or contains no samples.
    """
    found = list(_blocks(path, start, seconds, channel))
    if not found:
        raise AudioError(f"no samples after {start:g} s", path)
    blocks = [block for block, _ in found]
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)), found[0][1]


def read_mono_blocks(path: str | os.PathLike, *, channel: str = "mix") -> Iterator[np.ndarray]:
    """Read a file in blocks at its original sampling rate, converted to mono.

    Arguments
    ---------
    path, channel
        See :func:`read_mono`.

    Yields
    ------
    numpy.ndarray
        Samples of shape (samples,), float32.

    Raises
    ------
    AudioError
        If the file is damaged. All blocks before the damage have been yielded by then.
    """
    for block, _ in _blocks(path, 0.0, None, channel):
        if not np.isfinite(block).all():
            raise AudioError("non-finite samples: NaN or infinity", path)
        yield block


def _blocks(
    path: str | os.PathLike, start: float, seconds: float | None, channel: str
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield mono blocks of a part of a file, with the sampling rate."""
    check_channel(channel)
    loudest = check_audio(path, channel=channel).loudest if channel == "loudest" else 0
    try:
        regular_file_status(path)
        with open_decoder(path) as decoder:
            rate = decoder.rate
            if first := round(start * rate):
                decoder.skip(first)
            left = None if seconds is None else round(seconds * rate)
            if decoder.frames is not None:
                rest = max(0, decoder.frames - first)
                left = rest if left is None else min(left, rest)
            size = block_size(decoder.channels)
            while left is None or left > 0:
                block = decoder.read(size if left is None else min(size, left))
                if not len(block):
                    break
                left = None if left is None else left - len(block)
                yield to_mono(block, channel, loudest), rate
    except AudioError as error:
        raise AudioError(error.reason, path) from None
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror or error}", path) from None
