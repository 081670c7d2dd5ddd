"""Read recordings of any length block by block, as 16 kHz mono, with constant memory.

Blocks are read sequentially, without seeking: seeking is inexact in MP3 and Ogg, and a file written
to a pipe has no known length.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import SAMPLE_RATE, SequentialFile
from emosphere_sb.audio.resampling import ROLLOFF, ZERO_CROSSINGS, resample

BLOCK_SAMPLES = 2**15
"""Samples per channel read at a time. Up to one block before an unreadable part is lost."""


def read_mono_blocks(
    path: str | os.PathLike, *, block_size: int = BLOCK_SAMPLES
) -> Iterator[np.ndarray]:
    """Read a file in blocks at its original sampling rate, mixed to mono.

    Arguments
    ---------
    path : path
        Path of a file that :func:`emosphere_sb.audio.header.read_header` accepts.
    block_size : int
        Number of samples per block.

    Yields
    ------
    numpy.ndarray
        Samples of shape (samples,), float32. The last block may be shorter.

    Raises
    ------
    AudioError
        If the file is damaged. All blocks before the unreadable part have been yielded by then,
        and the message contains its position.
    """
    done, rate = 0, 1
    try:
        with SequentialFile(path) as file:
            rate = file.samplerate
            while len(samples := file.read(block_size, dtype="float32", always_2d=True)):
                mono = samples.mean(axis=1, dtype=np.float32)
                if not np.isfinite(mono).all():
                    raise AudioError(f"{path} contains NaN or infinite samples.")
                done += len(mono)
                yield mono
    except (TypeError, soundfile.SoundFileError) as error:
        raise AudioError(
            f"{path} cannot be read after {done / rate:.1f} s: {str(error).strip()}"
        ) from error


def count_samples(path: str | os.PathLike) -> int:
    """Count the samples per channel by decoding the entire file.

    Raises
    ------
    AudioError
        If the file is damaged.
    """
    return sum(len(block) for block in read_mono_blocks(path))


def resample_blocks(pieces: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Resample one signal to 16 kHz block by block, as if it were resampled at once.

    Each block is resampled together with the neighbouring input samples that its first and last
    output samples depend on, starting where an input and an output sample coincide.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Consecutive blocks (samples,) of the signal, of any lengths.
    rate : int
        Sampling rate of the signal in Hz.

    Yields
    ------
    numpy.ndarray
        Samples of shape (samples,), float32; in total ceil(samples · 16000 / rate).

    Example
    -------
    >>> sum(len(part) for part in resample_blocks([np.zeros(500), np.zeros(382)], 44100))
    320
    """
    if rate == SAMPLE_RATE:
        yield from pieces
        return
    common = math.gcd(rate, SAMPLE_RATE)
    old, new = (
        rate // common,
        SAMPLE_RATE // common,
    )  # `old` input samples give `new` output samples
    reach = math.ceil(ZERO_CROSSINGS / ROLLOFF * max(1.0, rate / SAMPLE_RATE)) + 2
    margin = -(-reach // old) * old
    buffer, done = np.empty(0, dtype=np.float32), 0  # `done`: processed samples in the buffer
    for piece in pieces:
        buffer = np.concatenate([buffer, piece])
        ready = (len(buffer) - reach) // old * old
        if ready > done:
            yield resample(buffer[: ready + reach], rate, SAMPLE_RATE)[
                done // old * new : ready // old * new
            ]
            drop = max(0, ready - margin)
            buffer, done = buffer[drop:], ready - drop
    if len(buffer) > done:
        yield resample(buffer, rate, SAMPLE_RATE)[done // old * new :]
