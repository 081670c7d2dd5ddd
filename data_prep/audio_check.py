"""The audio files of a corpus: which there are, their headers, and whether anything has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tqdm import tqdm

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import Header, read_header

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
)
"""Names (in lower case) by which an audio file is recognised in a folder."""

CHUNK = 256
"""Headers that one thread reads in a row."""

DEFAULT_WORKERS = 8
"""Threads. They hide the latency of a network disk; on a local disk their number hardly matters."""


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
    """The header of every file, or the reason why it cannot be used, in the order of ``paths``.

    Every file is verified, see :func:`emosphere_sb.audio.header.read_header`.

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
            headers.append(read_header(path, verify=True))
        except AudioError as error:
            headers.append(error)
    return headers
