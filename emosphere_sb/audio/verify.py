"""Decoding a file to its end, which finds the damage that no header tells."""

from __future__ import annotations

import os

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import native

_BLOCK = 1 << 20


def verify_samples(path: str | os.PathLike, frames: int) -> None:
    """Decode a file to its end.

    Arguments
    ---------
    path : path
        The file.
    frames : int
        Samples per channel that its header promises.

    Raises
    ------
    AudioError
        If decoding fails or ends early, or samples are NaN or infinite. The message is the reason
        as ``kind: details`` and does not name the file.
    """
    read = 0
    finite = True
    try:
        with soundfile.SoundFile(native(path)) as file:
            for block in file.blocks(_BLOCK, dtype="float32"):
                finite = bool(np.isfinite(block).all())
                if not finite:
                    break
                read += len(block)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"damaged audio: {error}") from None
    if not finite:
        raise AudioError("samples that are no numbers: NaN or infinity")
    if read < frames:
        raise AudioError(f"truncated audio: {read} of {frames} frames can be read")
