"""Audio files: which there are, and whether they can be read to their end.

Of WAV files with integer samples (the corpora's own) only the header is read, and read here: that
is several times as fast as opening the file with libsndfile, which moreover shortens a truncated
file without a word. Compressed files can be damaged in their middle, and float samples can be NaN,
which no header tells: those are decoded once.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
)
"""Names (in lower case) by which an audio file is recognised in a folder."""

CHUNK = 256
"""Headers that one thread reads in a row."""

DEFAULT_WORKERS = 8
"""Threads. They hide the latency of a network disk; on a local disk their number hardly matters."""

UNKNOWN_LENGTH = 0x7FFFF000
"""Streaming writers put a data size of this or more into a WAV header: that is no promise."""

MISSING_FILE = "missing audio file"

_PCM, _EXTENSIBLE = 1, 0xFFFE
_WHOLE = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32")
_BLOCK = 1 << 20
_SHORTENED = re.compile(r"(?:SSND|Data Size)\s*: \d+ \(should be|lacks an end-of-stream bit")


class Header(NamedTuple):
    """What an audio file says of itself.

    Arguments
    ---------
    frames : int
        Samples per channel.
    sample_rate : int
        In Hz.
    channels : int
        1 for mono.

    Example
    -------
    >>> Header(frames=8000, sample_rate=16000, channels=1).duration
    0.5
    """

    frames: int
    sample_rate: int
    channels: int

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.frames / self.sample_rate


class Found(NamedTuple):
    """What a folder tells of a file in it.

    Arguments
    ---------
    size : int
        In bytes.
    changed : int
        When it was written, in nanoseconds.
    is_link : bool
        Whether it is a symbolic link; size and time are those of the file behind it.
    """

    size: int
    changed: int
    is_link: bool = False


class AudioError(ValueError):
    """An audio file that cannot be used; the message is the reason as ``kind: details``."""


def list_audio(folders: Iterable[str | os.PathLike]) -> dict[str, Found]:
    """Absolute path to (size, time of last change in ns) of all audio files below some folders.

    Links to folders are followed once. Names that start with a dot are skipped: they are no audio
    (AppleDouble files such as ``._a.wav`` occur in copies of corpora).

    Arguments
    ---------
    folders : iterable of path
        Searched with their sub-folders; a folder that is not there has no files.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.wav").write_bytes(b"12"), (folder / "._a.wav").write_bytes(b"1")
    >>> [(os.path.basename(path), size) for path, (size, *_) in list_audio([folder]).items()]
    [('a.wav', 2)]
    """
    found: dict[str, Found] = {}
    seen: set[tuple[int, int]] = set()
    waiting = [os.path.abspath(folder) for folder in folders]
    while waiting:
        folder = waiting.pop()
        if not os.path.isdir(folder):
            continue
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            waiting.extend(_collect(entries, found))
    return found


def _collect(entries: Iterable[os.DirEntry], found: dict[str, Found]) -> list[str]:
    """Puts a folder's audio files into ``found`` and returns its sub-folders."""
    folders = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            folders.append(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES and entry.is_file():
            status = entry.stat()
            found[entry.path] = Found(status.st_size, status.st_mtime_ns, entry.is_symlink())
    return sorted(folders)


def listing_digest(listing: dict[str, Found]) -> str:
    """A short text that changes when a file comes, goes, is written anew, or becomes a link.

    Example
    -------
    >>> a, b = Found(1, 2), Found(3, 4)
    >>> listing_digest({"a": a, "b": b}) == listing_digest({"b": b, "a": a})
    True
    >>> listing_digest({"a": a}) == listing_digest({"a": Found(1, 3)})
    False
    """
    digest = hashlib.sha256()
    for path in sorted(listing):
        size, changed, is_link = listing[path]
        text = f"{path}\0{size}\0{changed}\0{is_link}\n"
        digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_headers(paths: Sequence[str], *, workers: int | None = None) -> list[Header | AudioError]:
    """The header of every file, or the reason why there is none, in the order of ``paths``.

    Arguments
    ---------
    paths : sequence of str
        Audio files.
    workers : int, optional
        Threads that read; 8 by default.

    Raises
    ------
    ValueError
        If ``workers`` is not positive.
    """
    workers = DEFAULT_WORKERS if workers is None else int(workers)
    if workers < 1:
        raise ValueError(f"The number of workers must be at least 1; found {workers}.")
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    headers: list[Header | AudioError] = []
    # The bar shows only on a terminal (disable=None), so that log files stay readable.
    progress = tqdm(total=len(paths), desc="Audio headers", unit="file", disable=None, leave=False)
    with progress, ThreadPoolExecutor(workers) as pool:
        for part in pool.map(_read_chunk, chunks):
            headers.extend(part)
            progress.update(len(part))
    return headers


def _read_chunk(paths: Sequence[str]) -> list[Header | AudioError]:
    """Headers and reasons of a few files."""
    headers: list[Header | AudioError] = []
    for path in paths:
        try:
            headers.append(read_header(path))
        except AudioError as error:
            headers.append(error)
    return headers


def read_header(path: str | os.PathLike) -> Header:
    """Frames, sample rate and channels of an audio file.

    Arguments
    ---------
    path : path
        WAV or whatever libsndfile reads.

    Raises
    ------
    AudioError
        If the file is missing, empty, no audio, truncated, or may not be read.

    Example
    -------
    >>> file = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(file, [[0.0, 0.1]] * 800, 16000)
    >>> read_header(file)
    Header(frames=800, sample_rate=16000, channels=2)
    >>> _ = file.write_bytes(file.read_bytes()[:1000])
    >>> read_header(file)
    Traceback (most recent call last):
    data_prep.audio_check.AudioError: truncated audio: the header promises 3200 bytes, 956 are there
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            header = _plain_wav(file, size) if size else Header(0, 1, 1)
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(MISSING_FILE) from None
    except OSError as error:
        raise AudioError(f"unreadable audio file: {error.strerror}") from None
    header = header or _with_soundfile(str(path))
    if header.frames == 0:
        raise AudioError("empty audio file")
    return header


def _plain_wav(file: io.RawIOBase, size: int) -> Header | None:
    """Header of a WAV file of integer samples; None for all that is less plain."""
    start = file.read(256)
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        return None
    offset, frame, rate, channels = 12, 0, 0, 0
    while offset + 8 <= size:
        chunk = start[offset : offset + 34]
        if len(chunk) < min(34, size - offset):
            file.seek(offset)
            chunk = file.read(34)
        name, length = struct.unpack_from("<4sI", chunk)
        if name == b"fmt " and len(chunk) >= 24:
            code, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", chunk, 8)
            if code == _EXTENSIBLE and length >= 40 and len(chunk) == 34:
                code = struct.unpack_from("<H", chunk, 32)[0]
            if not _is_plain(code, channels, rate, frame, bits):
                return None
        elif name == b"data":
            return _plain_data(length, size - offset - 8, Header(frame, rate, channels))
        offset += 8 + length + length % 2
    return None


def _is_plain(code: int, channels: int, rate: int, frame: int, bits: int) -> bool:
    """Whether frames can be counted by a division."""
    return (
        code == _PCM
        and bits in (8, 16, 24, 32)
        and channels > 0
        and rate > 0
        and frame == channels * bits // 8
    )


def _plain_data(promised: int, there: int, layout: Header) -> Header | None:
    """Header from the size of the data chunk; ``layout.frames`` holds the bytes of a frame."""
    if not layout.frames or promised == 0 or promised >= UNKNOWN_LENGTH:
        return None
    if promised > there:
        raise AudioError(
            f"truncated audio: the header promises {promised} bytes, {there} are there"
        )
    return layout._replace(frames=promised // layout.frames)


def _with_soundfile(path: str) -> Header:
    """Header by libsndfile; whatever is no whole-number PCM in a WAV file is decoded as well."""
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).replace(path, "").replace("Error opening '': ", "").strip()
        raise AudioError(f"not audio: {reason}") from None
    if _SHORTENED.search(info.extra_info):
        raise AudioError("truncated audio: the header promises more than the file holds")
    if info.format not in ("WAV", "WAVEX") or info.subtype not in _WHOLE:
        _decode(path, info.frames)
    return Header(info.frames, info.samplerate, info.channels)


def _decode(path: str, promised: int) -> None:
    """Read a file to its end; refuse it if that fails, ends early, or meets NaN."""
    read = 0
    try:
        with soundfile.SoundFile(path) as file:
            for block in file.blocks(_BLOCK, dtype="float32"):
                if not np.isfinite(block).all():
                    raise AudioError("samples that are no numbers: NaN or infinity")
                read += len(block)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"damaged audio: {error}") from None
    if read < promised:
        raise AudioError(f"truncated audio: {read} of {promised} frames can be read")
