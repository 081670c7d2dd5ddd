"""Decode audio files completely, to find damage that the header does not reveal."""

from __future__ import annotations

import os

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import encode_path

_BLOCK = 1 << 20


def verify_samples(path: str | os.PathLike, frames: int) -> None:
    """Check that a file can be decoded completely.

    Arguments
    ---------
    path : path
        Path of the file.
    frames : int
        Number of samples per channel according to the header.

    Raises
    ------
    AudioError
        If decoding fails or ends early, or samples are NaN or infinite. The message is the reason
        as ``kind: details``, without the path.
    """
    read = 0
    finite = True
    try:
        with soundfile.SoundFile(encode_path(path)) as file:
            for block in file.blocks(_BLOCK, dtype="float32"):
                finite = bool(np.isfinite(block).all())
                if not finite:
                    break
                read += len(block)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"damaged audio: {error}") from None
    if not finite:
        raise AudioError("non-finite samples: NaN or infinity")
    if read < frames:
        raise AudioError(f"truncated audio: only {read} of {frames} frames can be read")
