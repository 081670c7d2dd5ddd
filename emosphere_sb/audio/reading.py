"""Read audio files, or parts of them, as model input: mono at 16 kHz."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError

if TYPE_CHECKING:  # this module must also work without torch
    from torch import Tensor

SAMPLE_RATE = 16000

DURATION_TOLERANCE = 0.1
"""Number of seconds by which a file may be shorter than when the corpus was prepared."""


UNKNOWN_FRAMES = 2**62
"""libsndfile reports more frames than this if the header does not contain the length."""


class SequentialFile(soundfile.SoundFile):
    """A sound file that soundfile only reads forwards.

    After each read of a seekable file, soundfile seeks to the current position. This fails at the
    end of a file whose header does not contain the length (FLAC written to a pipe).
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__(encode_path(path))

    def seekable(self) -> bool:
        """Return ``False``, so that soundfile does not seek after reads."""
        return False


def encode_path(path: str | os.PathLike) -> str | bytes:
    """Encode a path for soundfile, which rejects ``str`` names that are not valid UTF-8."""
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
        Samples of shape (samples,), float32.

    Raises
    ------
    AudioError
        If the file cannot be read or contains no samples.
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
    """Read (part of) a file at its original sampling rate, mixed to mono.

    Only the requested part is read, by seeking in the file.

    Arguments
    ---------
    path : str or os.PathLike
        Path of a file in any format that libsndfile supports, such as wav, flac, ogg or mp3.
    start : float
        Start of the part in seconds.
    seconds : float, optional
        Maximum duration of the part in seconds; ``None`` reads to the end of the file.

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
    try:
        with SequentialFile(path) as file:
            rate = file.samplerate
            if start:
                file.seek(round(start * rate))
            remaining = max(0, file.frames - round(start * rate))
            count = remaining if seconds is None else min(remaining, round(seconds * rate))
            if file.frames > UNKNOWN_FRAMES:
                samples = _read_unknown_length(file, count)
            else:
                samples = file.read(count, dtype="float32", always_2d=True)  # (samples, channels)
    except (
        OSError,
        TypeError,
        soundfile.SoundFileError,
    ) as error:  # TypeError: .raw files
        raise AudioError(
            f"Audio file {path} cannot be read ({error}). If it has been moved or changed since "
            f"the data preparation, re-run the preparation with --reuse_manifests=False."
        ) from error
    if not len(samples):
        raise AudioError(f"Audio file {path} contains no samples after {start:g} s.")
    return samples.mean(axis=1, dtype=np.float32), rate


def _read_unknown_length(file: SequentialFile, limit: int) -> np.ndarray:
    """Read at most ``limit`` samples (samples, channels) of a file of unknown length."""
    blocks = [np.empty((0, file.channels), dtype=np.float32)]
    while limit > 0 and len(block := file.read(min(limit, 2**17), dtype="float32", always_2d=True)):
        blocks.append(block)
        limit -= len(block)
    return np.concatenate(blocks)
