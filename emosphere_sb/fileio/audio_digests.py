"""Digests of the content of audio files. Unchanged files are read only once."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emosphere_sb.fileio.atomic import CHUNK_SIZE
from emosphere_sb.fileio.checked_lines import append_checked_lines, read_checked_lines

logger = logging.getLogger(__name__)

FILE_NAME = "audio.index"
UNREADABLE = "unreadable"
"""Digest of a file that cannot be read."""
THREADS = 8
"""Number of threads that read files. They hide the latency of network file systems."""
AT_A_TIME = 1024
"""Number of files between two writes; a killed process loses at most the digests of these."""


def audio_digests(
    folder: Path, paths: Iterable[str | os.PathLike], *, allow_unreadable: bool = False
) -> dict[str, str]:
    """Return a digest of the bytes of each file.

    Digests are stored with path, size, time stamps and inode. A file is read again only if one of
    these has changed.

    Arguments
    ---------
    folder : Path
        Folder in which the digests are stored.
    paths : iterable of path
        Audio files.
    allow_unreadable : bool
        Whether the digest of a file that cannot be read is ``UNREADABLE``, which is not stored.

    Returns
    -------
    dict
        Digests by path.

    Raises
    ------
    OSError
        If a file does not exist or cannot be read, unless ``allow_unreadable``.
    """
    stored = folder / FILE_NAME
    known = {}
    if stored.is_file():
        for *state, digest in read_checked_lines(stored):
            known[tuple(state)] = digest
    digests, unknown = {}, []
    for path in dict.fromkeys(map(str, paths)):
        try:
            state = _state(path)
        except OSError:
            if not allow_unreadable:
                raise
            digests[path] = UNREADABLE
            continue
        if state in known:
            digests[path] = known[state]
        else:
            unknown.append((path, state))
    if len(unknown) > AT_A_TIME:
        logger.info("Computing digests of %s audio files", f"{len(unknown):,}")
    digest_one = _digest_or_unreadable if allow_unreadable else file_digest
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(unknown), AT_A_TIME):
            part = unknown[first : first + AT_A_TIME]
            found = list(pool.map(digest_one, (path for path, _ in part)))
            pairs = list(zip(part, found, strict=True))
            records = [(*state, digest) for (_, state), digest in pairs if digest != UNREADABLE]
            append_checked_lines(stored, records)
            digests |= {path: digest for (path, _), digest in pairs}
    return digests


def _state(path: str) -> tuple:
    """Return what changes when a file is rewritten, replaced or moved."""
    stat = os.stat(path)
    times = stat.st_mtime_ns, stat.st_ctime_ns
    return (os.path.abspath(path), stat.st_size, *times, stat.st_ino)


def file_digest(path: str | os.PathLike) -> str:
    """Return the BLAKE2b digest (16 bytes) of a file's content, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            digest.update(chunk)
    return digest.hexdigest()


def _digest_or_unreadable(path: str) -> str:
    try:
        return file_digest(path)
    except OSError:
        return UNREADABLE
