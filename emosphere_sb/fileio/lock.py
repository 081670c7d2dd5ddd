"""File locks with ``filelock``, which installations for ONNX models may lack."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

try:
    from filelock import FileLock
except ImportError:
    FileLock = None

logger = logging.getLogger(__name__)


@contextmanager
def file_lock(path: str | os.PathLike, *, timeout: float) -> Iterator[None]:
    """Hold a lock, which the operating system releases when the process ends or is killed.

    Arguments
    ---------
    path : path
        The lock file. It is not deleted afterwards; its existence does not mean that the lock is
        held.
    timeout : float
        Seconds to wait if another process holds the lock; -1 waits indefinitely.

    Raises
    ------
    TimeoutError
        If another process still holds the lock after ``timeout`` seconds.
    """
    if FileLock is None:
        logger.info("Install filelock to lock %s against other commands.", path)
        yield
        return
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except NotImplementedError:
        logger.warning(
            "The file system of %s does not support locking; make sure only one run uses it.", path
        )
        yield
        return
    try:
        yield
    finally:
        lock.release()
