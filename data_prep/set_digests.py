"""Digests of the audio of each set, to detect that files of equal length were replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from data_prep.schema import read_manifest_rows
from emosphere_sb.fileio.audio_digests import audio_digests


def set_digests(sets: Mapping[str, Path], data_root: Path, folder: Path) -> dict[str, str]:
    """Return a digest of the audio of each set: of the ids and the contents of all its files.

    It depends neither on the path of the corpus nor on time stamps.

    Arguments
    ---------
    sets : mapping of str to Path
        Manifest of each set.
    data_root : Path
        Folder of the corpus.
    folder : Path
        Folder in which the digests of the files are stored.

    Returns
    -------
    dict of str to str
        SHA-256 by set. A file that cannot be read counts as unreadable, not as an error.
    """
    paths = {
        name: {
            key: row["wav"] for key, row in read_manifest_rows(path, data_root=data_root).items()
        }
        for name, path in sets.items()
    }
    files = sorted({path for part in paths.values() for path in part.values()})
    found = audio_digests(folder, files, allow_unreadable=True)
    digests = {}
    for name, part in paths.items():
        digest = hashlib.sha256()
        for key in sorted(part):
            digest.update(f"{key}\0{found[part[key]]}\n".encode("utf-8", "surrogateescape"))
        digests[name] = digest.hexdigest()
    return digests
