"""Files that are whole or not there, and locks that end with their process."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from emosphere_sb.fileio.digests import digest_of

__all__ = ["FULL", "MAKE_ROOM", "digest_of", "force", "held", "write_whole"]

logger = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk without room: none left, none left for this user, or in this file."""

MAKE_ROOM = "Make room and start the same command again: it goes on from its last checkpoint."


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, whatever happens meanwhile: the old one stays until then.

    Raises
    ------
    OSError
        If it cannot be written, naming it.
    """
    path = Path(path)
    # The whole name: a table's files differ in their endings only. What a killed process has left
    # is written over by the next.
    partial = path.with_name(f"{path.name}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        force(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise type(error)(error.errno, f"{path} cannot be written: {error.strerror}") from error


def force(path: Path) -> None:
    """Bring a file, or a folder's entries, to the disk."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def held(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold a lock; the system takes it back when the process dies, however it does.

    Arguments
    ---------
    path : path
        The lock's file. It stays behind, and says nothing by being there.
    seconds : float
        How long to wait for another holder; -1: for ever.

    Raises
    ------
    TimeoutError
        If another process still holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except NotImplementedError:
        logger.warning("The disk of %s has no locks: see to it that one run alone uses it.", path)
        yield
        return
    try:
        yield
    finally:
        lock.release()
