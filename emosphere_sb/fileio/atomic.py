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
"""Errors of a disk without room: none left, none left for this user, or in this file."""

MAKE_ROOM = "Make room and start the same command again: it goes on from its last checkpoint."

CHUNK_SIZE = 1 << 22
"""Bytes that are hashed at a time."""


def atomic_write(
    path: str | os.PathLike,
    content: str | bytes,
    *,
    errors: str = "strict",
    partial: Path | None = None,
) -> None:
    """Write a file atomically: until the new content is complete, the old file stays.

    Arguments
    ---------
    path : path
        The file. Its folder must exist.
    content : str or bytes
        Text is written as UTF-8; line ends are kept as they are.
    errors : str
        How text that is not valid Unicode is encoded, as in :meth:`str.encode`.
    partial : Path, optional
        See :func:`atomic_file`.

    Raises
    ------
    OSError
        If the file cannot be written; the message names it.

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
    """Write a file atomically, piece by piece.

    The content goes to a partial file, which replaces ``path`` at the end of the context. If the
    context ends in an error, the partial file is deleted. If the process is killed, the partial
    file remains, and the next writer overwrites it.

    Arguments
    ---------
    path : path
        The file. Its folder must exist.
    partial : Path, optional
        The partial file, in the same folder. By default ``<name>.partial``. Writers that may run at
        the same time need different ones.

    Yields
    ------
    BinaryIO
        The partial file, open for writing.
    """
    path = Path(path)
    # The whole name and not the stem: the files of a table differ only in their suffixes.
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
    """Rename a file or a folder, and write the new name to the disk.

    Arguments
    ---------
    source : Path
        What is renamed. Its content must be on the disk already: see :func:`fsync_path`.
    target : Path
        The new name, in the same file system. A file, or an empty folder, there is replaced.
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
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            digest.update(chunk)
    return digest.hexdigest()
