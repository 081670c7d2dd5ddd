"""Atomic writes: a file is complete or absent. Requires only the standard library."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for a full disk, an exceeded quota and a file that is too large."""

MAKE_ROOM = "Free some disk space and re-run the same command to resume from the last checkpoint."

CHUNK_SIZE = 1 << 22
"""Number of bytes that are read and hashed at a time."""


def atomic_write(
    path: str | os.PathLike,
    content: str | bytes,
    *,
    errors: str = "strict",
    partial: Path | None = None,
) -> None:
    """Write a file atomically: the old file is replaced only when the new one is complete.

    Arguments
    ---------
    path : path
        The file. Its folder must exist.
    content : str or bytes
        New content. Text is encoded as UTF-8; line endings are not converted.
    errors : str
        Error handling for text that cannot be encoded, as in :meth:`str.encode`.
    partial : Path, optional
        Temporary file; see :func:`atomic_file`.

    Raises
    ------
    OSError
        If the file cannot be written. The message contains its path.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> atomic_write(path, "text")
    >>> path.read_text()
    'text'
    """
    data = content.encode("utf-8", errors) if isinstance(content, str) else content
    try:
        with atomic_file(path, partial=partial) as file:
            file.write(data)
    except OSError as error:
        raise type(error)(error.errno, f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def atomic_file(path: str | os.PathLike, *, partial: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file for an atomic write in several steps.

    The content is written to a partial file, which replaces ``path`` when the context is left. If
    the context is left with an exception, the partial file is deleted. If the process is killed,
    the partial file remains and is overwritten by the next write.

    Arguments
    ---------
    path : path
        The file. Its folder must exist.
    partial : Path, optional
        The partial file, in the same folder; ``<name>.partial`` by default. Processes that may
        write the same file at the same time need different partial files.

    Yields
    ------
    BinaryIO
        The partial file, open for writing.
    """
    path = Path(path)
    # Append to the full name, not the stem: the files of a table differ only in their suffixes.
    partial = path.with_name(f"{path.name}.partial") if partial is None else partial
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        atomic_replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def atomic_replace(source: Path, target: Path) -> None:
    """Rename a file or folder and flush the new name to the disk.

    Arguments
    ---------
    source : Path
        File or folder to rename. Its content must already be flushed; see :func:`fsync_path`.
    target : Path
        New path on the same file system. An existing file or empty folder is replaced.
    """
    os.replace(source, target)
    fsync_path(target.parent)


def fsync_path(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_tree(folder: Path) -> None:
    """Flush everything in a folder to the disk: the files first, then the folder's entries."""
    for path in folder.iterdir():
        if path.is_dir():
            fsync_tree(path)
        else:
            fsync_path(path)
    fsync_path(folder)


def digest_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            digest.update(chunk)
    return digest.hexdigest()
