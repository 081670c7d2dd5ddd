"""List the audio files of a corpus, check them, and detect changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from tqdm import tqdm

from emosphere_sb.audio.check import AudioInfo, check_audio
from emosphere_sb.audio.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
)
"""File name extensions (in lower case) of audio files."""

MAX_LISTED = 5
"""Number of skipped entries that a warning lists."""

FILES_PER_TASK = 256
"""Number of files that a thread checks per task."""

DEFAULT_WORKERS = 8
"""Default number of threads. They hide the latency of network file systems; the number has little
effect on local disks."""


class FileStatus(NamedTuple):
    """Size and modification time of a file.

    Arguments
    ---------
    size : int
        Size in bytes.
    mtime_ns : int
        Modification time in nanoseconds.
    is_link : bool
        Whether the file is a symbolic link; ``size`` and ``mtime_ns`` are those of its target.
    """

    size: int
    mtime_ns: int
    is_link: bool = False


def list_audio(
    folders: Iterable[str | os.PathLike], *, warnings: list[str] | None = None
) -> dict[str, FileStatus]:
    """List all audio files in some folders and their subfolders.

    Each folder is visited once, even if several links point to it. Names that start with a dot are
    skipped, because copies of corpora may contain AppleDouble files such as ``._a.wav``.

    Arguments
    ---------
    folders : iterable of path
        Folders to search; missing folders are ignored.
    warnings : list of str, optional
        List to which warnings about skipped folders and links are appended.

    Returns
    -------
    dict of str to FileStatus
        Status of each file by its absolute path.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.wav").write_bytes(b"12"), (folder / "._a.wav").write_bytes(b"1")
    >>> [(os.path.basename(path), size) for path, (size, *_) in list_audio([folder]).items()]
    [('a.wav', 2)]
    """
    statuses: dict[str, FileStatus] = {}
    seen: set[tuple[int, int]] = set()
    skipped: list[tuple[str, str]] = []
    waiting = [os.path.abspath(folder) for folder in folders]
    while waiting:
        folder = waiting.pop()
        if not os.path.isdir(folder):
            continue
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                waiting.extend(_collect(entries, statuses, skipped))
        except OSError as error:
            skipped.append((folder, f"unreadable folder, {error.strerror}"))
    if warnings is not None and skipped:
        warnings.append(_skipped_warning(skipped))
    return statuses


def stat_audio(files: Iterable[str | os.PathLike]) -> dict[str, FileStatus]:
    """Return the status of named audio files by absolute path; missing files are skipped.

    Arguments
    ---------
    files : iterable of path
        Audio files. No other files are examined.

    Example
    -------
    >>> stat_audio([getfixture("tmp_path") / "absent.wav"])
    {}
    """
    found = {}
    for file in files:
        path = os.path.abspath(file)
        try:
            if os.path.isfile(path):
                status, link = os.stat(path), os.path.islink(path)
                found[path] = FileStatus(status.st_size, status.st_mtime_ns, link)
        except (OSError, ValueError):  # a path that no file can have
            continue
    return found


def _collect(
    entries: Iterable[os.DirEntry],
    statuses: dict[str, FileStatus],
    skipped: list[tuple[str, str]],
) -> list[str]:
    """Add the audio files of a folder to ``statuses`` and return its subfolders."""
    folders = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir():
                folders.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() not in AUDIO_SUFFIXES:
                continue
            elif entry.is_file():
                status = entry.stat()
                statuses[entry.path] = FileStatus(
                    status.st_size, status.st_mtime_ns, entry.is_symlink()
                )
            else:
                kind = "broken link" if entry.is_symlink() else "not a regular file"
                skipped.append((entry.path, kind))
        except OSError as error:  # a cycle of links, or a file removed in the meantime
            skipped.append((entry.path, f"unreadable, {error.strerror}"))
    return sorted(folders)


def _skipped_warning(skipped: Sequence[tuple[str, str]]) -> str:
    """Return a warning that lists skipped entries of folders."""
    listed = "; ".join(f"{path} ({reason})" for path, reason in sorted(skipped)[:MAX_LISTED])
    more = f"; and {len(skipped) - MAX_LISTED:,} more" if len(skipped) > MAX_LISTED else ""
    noun = "entry" if len(skipped) == 1 else "entries"
    return f"{len(skipped):,} {noun} of the audio folders skipped: {listed}{more}."


def listing_digest(listing: dict[str, FileStatus]) -> str:
    """Return a hash that changes when a file is added, removed, rewritten or replaced with a link.

    Example
    -------
    >>> a, b = FileStatus(1, 2), FileStatus(3, 4)
    >>> listing_digest({"a": a, "b": b}) == listing_digest({"b": b, "a": a})
    True
    >>> listing_digest({"a": a}) == listing_digest({"a": FileStatus(1, 3)})
    False
    """
    digest = hashlib.sha256()
    for path in sorted(listing):
        size, mtime_ns, is_link = listing[path]
        text = f"{path}\0{size}\0{mtime_ns}\0{is_link}\n"
        digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def check_audio_files(
    paths: Sequence[str],
    *,
    workers: int | None = None,
    channel: str = "mix",
    max_seconds: float | None = None,
) -> list[AudioInfo | AudioError]:
    """Check audio files in parallel.

    Arguments
    ---------
    paths : sequence of str
        Paths of the audio files.
    workers : int, optional
        Number of threads (default: 8).
    channel, max_seconds
        See :func:`emosphere_sb.audio.check.check_audio`.

    Returns
    -------
    list of AudioInfo or AudioError
        Properties of each file, or the error for an unusable file, in the order of ``paths``.

    Raises
    ------
    ValueError
        If ``workers`` is not positive.
    """
    workers = DEFAULT_WORKERS if workers is None else int(workers)
    if workers < 1:
        raise ValueError(f"workers must be at least 1; found {workers}.")
    chunks = [
        paths[start : start + FILES_PER_TASK] for start in range(0, len(paths), FILES_PER_TASK)
    ]
    found: list[AudioInfo | AudioError] = []
    # disable=None shows the progress bar only on a terminal, so that log files stay readable.
    progress = tqdm(total=len(paths), desc="Audio files", unit="file", disable=None, leave=False)
    check = partial(_check_chunk, channel=channel, max_seconds=max_seconds)
    with progress, ThreadPoolExecutor(workers) as pool:
        for part in pool.map(check, chunks):
            found.extend(part)
            progress.update(len(part))
    return found


def _check_chunk(paths: Sequence[str], **options) -> list[AudioInfo | AudioError]:
    """Check the files of one task; errors are returned in place of properties."""
    found: list[AudioInfo | AudioError] = []
    for path in paths:
        try:
            found.append(check_audio(path, **options))
        except AudioError as error:
            found.append(error)
    return found
