"""Decode any supported file forwards, block by block. All other code reads samples through here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.ffmpeg import FfmpegDecoder, is_ffmpeg_container
from emosphere_sb.audio.flac import UnknownLengthFlac, scan_flac
from emosphere_sb.audio.scan import Scan

BLOCK_VALUES = 2**15
"""Number of samples, over all channels, that are decoded at a time."""
UNKNOWN_FRAMES = 2**62
"""libsndfile reports more frames than this if the header does not contain the length."""

_SEEKABLE_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC")
_SEEKABLE_SUBTYPES = (
    "PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW",
)  # fmt: skip
"""Formats in which seeking is exact: samples have a fixed size, or frames are numbered."""


class Decoder(Protocol):
    """Protocol of decoders.

    Attributes
    ----------
    rate, channels : int
        Sampling rate in Hz and number of channels.
    frames : int or None
        Number of samples per channel according to the header; ``None`` if unknown.
    """

    rate: int
    channels: int
    frames: int | None

    def read(self, count: int) -> np.ndarray:
        """Read up to ``count`` samples, shape (samples, channels), float32; none at the end."""

    def skip(self, count: int) -> None:
        """Skip samples."""

    def close(self) -> None:
        """Release the file."""


class _SequentialFile(soundfile.SoundFile):
    """A sound file that soundfile only reads forwards.

    After each read of a seekable file, soundfile seeks to the current position. This fails at the
    end of a file without a length (FLAC written to a pipe) and in formats without seeking (GSM).
    """

    def seekable(self) -> bool:
        """Return ``False``, so that soundfile does not seek after reads."""
        return False


class SoundFileDecoder:
    """Decoder that uses libsndfile.

    Arguments
    ---------
    path : path
        Path of the file.

    Raises
    ------
    AudioError
        If libsndfile cannot open the file.
    """

    def __init__(self, path: str | os.PathLike):
        self._source = None
        try:
            self._file = _SequentialFile(encode_path(path))
            if self._file.format == "FLAC" and _has_wrong_length(path):
                self._file.close()
                self._source = UnknownLengthFlac(path)
                self._file = _SequentialFile(self._source)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            if self._source is not None:
                self._source.close()
            raise AudioError(f"not a recognised audio file: {_reason(error, path)}") from None
        self.rate, self.channels = self._file.samplerate, self._file.channels
        self.format, self.subtype = self._file.format, self._file.subtype
        self.log = self._file.extra_info
        known = 0 <= self._file.frames < UNKNOWN_FRAMES
        self.frames = self._file.frames if known else None
        self._position = 0
        self._exact_seek = (
            known and self.format in _SEEKABLE_FORMATS and self.subtype in _SEEKABLE_SUBTYPES
        )

    def read(self, count: int) -> np.ndarray:
        """Read up to ``count`` samples, shape (samples, channels), float32; none at the end.

        Raises
        ------
        AudioError
            If the file is damaged.
        """
        # libFLAC would search for frames in tags that follow the last one
        count = count if self.frames is None else min(count, self.frames - self._position)
        try:
            block = self._file.read(max(0, count), dtype="float32", always_2d=True)
            self._position += len(block)
            return block
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise AudioError(f"damaged audio: {str(error).strip()}") from None

    def skip(self, count: int) -> None:
        """Skip samples: by seeking where this is exact, by decoding them otherwise."""
        if self._exact_seek:
            with _as_audio_error():
                self._position = self._file.seek(min(count, self.frames))
            return
        size = block_size(self.channels)
        while count > 0 and len(block := self.read(min(count, size))):
            count -= len(block)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._source is not None:
            self._source.close()


def _has_wrong_length(path: str | os.PathLike) -> bool:
    """Whether the header of a FLAC file lacks the number of samples, or gives a wrong one."""
    status = os.stat(path)
    return scan_flac_once(os.fspath(path), status.st_size, status.st_mtime_ns).frames is not None


@lru_cache(maxsize=2**12)
def scan_flac_once(path: str | bytes, _size: int, _mtime: int) -> Scan:
    """Call :func:`scan_flac` unless the file is known."""
    return scan_flac(path)


@contextlib.contextmanager
def open_decoder(path: str | os.PathLike) -> Iterator[SoundFileDecoder | FfmpegDecoder]:
    """Open a file with libsndfile; or with ffmpeg, if only ffmpeg supports its container.

    Raises
    ------
    AudioError
        If the file cannot be opened. The message is only the reason.
    """
    try:
        decoder = SoundFileDecoder(path)
    except AudioError:
        with open(path, "rb") as file:
            head = file.read(64)
        if not is_ffmpeg_container(head):
            raise
        decoder = FfmpegDecoder(path)
    with contextlib.closing(decoder):
        yield decoder


def block_size(channels: int) -> int:
    """Return the number of samples per channel that are decoded at a time."""
    return max(64, BLOCK_VALUES // max(channels, 1))


def encode_path(path: str | os.PathLike) -> str | bytes:
    """Encode a path for soundfile, which rejects ``str`` names that are not valid UTF-8."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


@contextlib.contextmanager
def _as_audio_error() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, soundfile.SoundFileError) as error:
        raise AudioError(f"damaged audio: {str(error).strip()}") from None


def _reason(error: Exception, path: str | os.PathLike) -> str:
    """Return the reason given in a soundfile error, without the path."""
    text = str(error)
    if "possibly a pipe" in text:  # libsndfile's default for what it takes for MP3
        return "Format not recognised"
    for name in (encode_path(path), os.fspath(path)):
        text = text.removeprefix(f"Error opening {name!r}: ")
    return text.strip().rstrip(".") or type(error).__name__
