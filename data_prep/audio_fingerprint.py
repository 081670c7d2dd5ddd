"""Digests of the content of audio files, to detect that files of equal length were replaced.

The digest of a file is computed once and cached in ``audio.json`` next to the manifests. It is
computed again only if the size, a time stamp or the inode of the file has changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data_prep.schema import read_manifest_rows
from emosphere_sb.fileio.atomic import atomic_write, digest_of

logger = logging.getLogger(__name__)

CACHE_FILE = "audio.json"
WORKERS = 8
"""Number of threads that read files; they hide the latency of network file systems."""
UNREADABLE = "unreadable"
"""Digest of a file that cannot be read."""


def audio_digests(sets: Mapping[str, Path], data_root: Path, cache: Path) -> dict[str, str]:
    """Return a digest of the audio of each set: of the ids and the contents of all its files.

    It depends neither on the path of the corpus nor on time stamps.

    Arguments
    ---------
    sets : mapping of str to Path
        Manifest of each set.
    data_root : Path
        Folder of the corpus.
    cache : Path
        File in which the digests of the files are cached.
    """
    paths = {
        name: {
            key: row["wav"] for key, row in read_manifest_rows(path, data_root=data_root).items()
        }
        for name, path in sets.items()
    }
    found = file_digests({path for part in paths.values() for path in part.values()}, cache)
    digests = {}
    for name, part in paths.items():
        digest = hashlib.sha256()
        for key in sorted(part):
            digest.update(f"{key}\0{found[part[key]]}\n".encode("utf-8", "surrogateescape"))
        digests[name] = digest.hexdigest()
    return digests


def file_digests(paths: set[str], cache: Path) -> dict[str, str]:
    """Return the SHA-256 of each file; those of unchanged files are read from the cache."""
    before = _read_cache(cache)
    states = {path: _state(path) for path in sorted(paths)}
    known = {
        p: before[p] for p, state in states.items() if state and before.get(p, [0])[0] == state
    }
    new = [path for path in states if path not in known]
    if new:
        logger.info("Computing the checksums of %d audio files (cached in %s)", len(new), cache)
        with ThreadPoolExecutor(WORKERS) as pool:
            contents = list(pool.map(_digest, new))
        found = {path: [states[path], digest] for path, digest in zip(new, contents, strict=True)}
        kept = {p: pair for p, pair in {**known, **found}.items() if pair[1] != UNREADABLE}
        # Another process may write the same file.
        partial = cache.with_name(f"{cache.name}.{os.getpid()}.partial")
        atomic_write(cache, json.dumps(kept), partial=partial)
        known |= found
    return {path: known[path][1] for path in states}


def _read_cache(cache: Path) -> dict[str, list]:
    """Return the cached pairs of state and digest by path; nothing if the file is damaged."""
    try:
        found = json.loads(cache.read_text(encoding="utf-8"))
        return {path: [list(state), str(digest)] for path, (state, digest) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _state(path: str) -> list[int]:
    """Return what changes when a file is rewritten or replaced; nothing if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(path: str) -> str:
    try:
        return digest_of(path)
    except OSError:
        return UNREADABLE
