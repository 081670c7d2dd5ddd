"""Audio files as the model hears them: mono, 16 kHz, cut to a number of seconds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError

if TYPE_CHECKING:  # models that run without torch read with this module
    from torch import Tensor

SAMPLE_RATE = 16000

TOLERANCE = 0.1
"""Seconds that a file may be shorter than it was when it was prepared."""


UNKNOWN = 2**62
"""libsndfile gives a length above this, in samples, where a header has none."""


class Sequential(soundfile.SoundFile):
    """A file that is read from where it stands to its end.

    soundfile seeks to where it is after every read of a seekable file, which fails at the end of
    one whose header has no length (FLAC that was written to a pipe).
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__(native(path))

    def seekable(self) -> bool:
        """Whether soundfile may seek by itself."""
        return False


def native(path: str | os.PathLike) -> str | bytes:
    """A path for soundfile, which would refuse a name whose bytes are no UTF-8."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def read_audio(
    path: str | os.PathLike, *, start: float = 0.0, seconds: float | None = None
) -> Tensor:
    """Read (part of) a file, mixed to mono and resampled to 16 kHz.

    Arguments
    ---------
    path, start, seconds
        See :func:`read_mono`.

    Returns
    -------
    torch.Tensor
        Shape (samples,), float32.

    Raises
    ------
    AudioError
        If the file cannot be read or holds no samples, naming it.
    """
    import torch

    samples, rate = read_mono(path, start=start, seconds=seconds)
    mono = torch.from_numpy(samples)
    if rate == SAMPLE_RATE:
        return mono
    from torchaudio.functional import resample

    return resample(mono, rate, SAMPLE_RATE)


def read_mono(
    path: str | os.PathLike, *, start: float = 0.0, seconds: float | None = None
) -> tuple[np.ndarray, int]:
    """Read (part of) a file at its own rate, mixed to mono.

    Only the wanted part is read: the file is sought, not loaded and cut.

    Arguments
    ---------
    path : str or os.PathLike
        Anything that libsndfile reads: wav, flac, ogg, mp3.
    start : float
        Where to begin, in seconds.
    seconds : float, optional
        How much to read at the most; ``None`` reads to the end.

    Returns
    -------
    tuple
        Samples, numpy.ndarray of shape (samples,), float32, and their rate in Hz.

    Raises
    ------
    AudioError
        If the file cannot be read or holds no samples, naming it.
    """
    try:
        with Sequential(path) as file:
            rate = file.samplerate
            if start:
                file.seek(round(start * rate))
            left = max(0, file.frames - round(start * rate))
            count = left if seconds is None else min(left, round(seconds * rate))
            if file.frames > UNKNOWN:
                samples = _to_the_end(file, count)
            else:
                samples = file.read(count, dtype="float32", always_2d=True)  # (samples, channels)
    except (OSError, TypeError, soundfile.SoundFileError) as error:  # TypeError: headerless .raw
        raise AudioError(
            f"Audio file {path} cannot be read ({error}). Was it moved or changed since the "
            f"preparation? Run it again with --reuse_manifests=False."
        ) from error
    if not len(samples):
        raise AudioError(f"Audio file {path} has no samples from second {start:g} on.")
    return samples.mean(axis=1, dtype=np.float32), rate


def _to_the_end(file: Sequential, most: int) -> np.ndarray:
    """Samples (samples, channels) of a file that does not know how many it has."""
    pieces = [np.empty((0, file.channels), dtype=np.float32)]
    while most > 0 and len(piece := file.read(min(most, 2**17), dtype="float32", always_2d=True)):
        pieces.append(piece)
        most -= len(piece)
    return np.concatenate(pieces)
