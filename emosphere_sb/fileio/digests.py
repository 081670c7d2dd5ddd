"""What a file's content is known by; without any package beside Python's own."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**22):
            whole.update(piece)
    return whole.hexdigest()
