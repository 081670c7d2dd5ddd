"""File locks. Requires ``filelock``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

logger = logging.getLogger(__name__)


@contextmanager
def file_lock(path: str | os.PathLike, *, timeout: float) -> Iterator[None]:
    """Hold a lock that the operating system releases when the process ends, even if it is killed.

    Arguments
    ---------
    path : path
        The lock file. It remains after the release; its existence means nothing.
    timeout : float
        Seconds to wait while another process holds the lock; -1 waits without a limit.

    Raises
    ------
    TimeoutError
        If another process still holds the lock.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except NotImplementedError:
        logger.warning(
            "The file system of %s has no locks: make sure that only one run uses it.", path
        )
        yield
        return
    try:
        yield
    finally:
        lock.release()
