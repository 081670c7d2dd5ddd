"""Recordings of any length, read a piece at a time: 16 kHz mono, in memory that does not grow.

Pieces are read one behind the other, never sought: in MP3 and Ogg a place is found only roughly,
and a file that was written to a pipe does not know its own length.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import SAMPLE_RATE, Sequential
from emosphere_sb.audio.resampling import ROLLOFF, ZEROS, resample

PIECE = 2**15
"""Samples of each channel that are read at a time: what is lost in front of damage, at the most."""


def mono_pieces(path: str | os.PathLike, *, piece: int = PIECE) -> Iterator[np.ndarray]:
    """A file at its own rate, mixed to mono.

    Arguments
    ---------
    path : path
        Anything that libsndfile reads; :func:`emosphere_sb.audio.header.read_header` says why
        not.
    piece : int
        Samples at a time.

    Yields
    ------
    numpy.ndarray
        Shape (samples,), float32: ``piece`` of them, the last one fewer.

    Raises
    ------
    AudioError
        If the file is damaged, naming the place: what lies before it has been yielded by then.
    """
    done, rate = 0, 1
    try:
        with Sequential(path) as file:
            rate = file.samplerate
            while len(samples := file.read(piece, dtype="float32", always_2d=True)):
                mono = samples.mean(axis=1, dtype=np.float32)
                if not np.isfinite(mono).all():
                    raise AudioError(f"{path} holds samples that are not finite numbers.")
                done += len(mono)
                yield mono
    except (TypeError, soundfile.SoundFileError) as error:
        raise AudioError(
            f"{path} cannot be read beyond {done / rate:.1f} s: {str(error).strip()}"
        ) from error


def count_samples(path: str | os.PathLike) -> int:
    """Samples of each channel, counted by reading all of them.

    Raises
    ------
    AudioError
        As :func:`mono_pieces`.
    """
    return sum(len(piece) for piece in mono_pieces(path))


def resampled(pieces: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Pieces of one signal at 16 kHz, each sample as when the whole was resampled at once.

    Every piece is resampled with the input samples on both of its sides that its first and last
    output samples depend on, beginning where an input and an output sample fall together.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Shape (samples,) each, of any lengths.
    rate : int
        Theirs, in Hz.

    Yields
    ------
    numpy.ndarray
        Shape (samples,), float32; in all ceil(samples · 16000 / rate).

    Example
    -------
    >>> sum(len(part) for part in resampled([np.zeros(500), np.zeros(382)], 44100))
    320
    """
    if rate == SAMPLE_RATE:
        yield from pieces
        return
    common = math.gcd(rate, SAMPLE_RATE)
    old, new = rate // common, SAMPLE_RATE // common  # so many input samples are so many of output
    reach = math.ceil(ZEROS / ROLLOFF * max(1.0, rate / SAMPLE_RATE)) + 2
    margin = -(-reach // old) * old
    held, before = np.empty(0, dtype=np.float32), 0  # `before`: input samples of it that are done
    for piece in pieces:
        held = np.concatenate([held, piece])
        ready = (len(held) - reach) // old * old
        if ready > before:
            yield resample(held[: ready + reach], rate, SAMPLE_RATE)[
                before // old * new : ready // old * new
            ]
            drop = max(0, ready - margin)
            held, before = held[drop:], ready - drop
    if len(held) > before:
        yield resample(held, rate, SAMPLE_RATE)[before // old * new :]
