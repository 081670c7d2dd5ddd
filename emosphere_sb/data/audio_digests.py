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
THREADS = 4
AT_A_TIME = 1024
"""Number of files between two writes; a killed process loses at most the digests of these."""


def audio_digests(folder: Path, paths: Iterable[str | os.PathLike]) -> dict[str, str]:
    """Return a digest of the bytes of each file.

    Digests are stored with path, size and modification time. A file is read again only if one of
    these has changed.

    Arguments
    ---------
    folder : Path
        Folder in which the digests are stored.
    paths : iterable of path
        Audio files.

    Returns
    -------
    dict
        Digests by path.

    Raises
    ------
    OSError
        If a file does not exist or cannot be read.
    """
    stored = folder / FILE_NAME
    known = {}
    if stored.is_file():
        for path, size, time, digest in read_checked_lines(stored):
            known[path, size, time] = digest
    digests, unknown = {}, []
    for path in dict.fromkeys(map(str, paths)):
        stat = os.stat(path)
        key = (os.path.abspath(path), stat.st_size, stat.st_mtime_ns)
        if key in known:
            digests[path] = known[key]
        else:
            unknown.append((path, key))
    if len(unknown) > AT_A_TIME:
        logger.info("Computing digests of %s audio files", f"{len(unknown):,}")
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(unknown), AT_A_TIME):
            part = unknown[first : first + AT_A_TIME]
            found = list(pool.map(file_digest, (path for path, _ in part)))
            records = [(*key, digest) for (_, key), digest in zip(part, found, strict=True)]
            append_checked_lines(stored, records)
            digests |= {path: digest for (path, _), digest in zip(part, found, strict=True)}
    return digests


def file_digest(path: str | os.PathLike) -> str:
    """Return the BLAKE2b digest (16 bytes) of a file's content, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            digest.update(chunk)
    return digest.hexdigest()
