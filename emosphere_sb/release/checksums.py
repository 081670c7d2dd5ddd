"""The folder of a released model: which files it has, and that they are those that were written.

======================  =======================================================================
``emosphere.json``      parts of the model, label scale, regions, emotion words, protocol
``backbone.json``       transformers' configuration of the SSL model
``model.safetensors``   all weights, the SSL model's among them
``README.md``           the model card
``checksums.json``      SHA-256 of each of these
======================  =======================================================================

Models on log-mel frames have ``preprocessor_config.json`` as well. Nothing in it is code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.atomic import atomic_write, digest_of

CONFIGURATION = "emosphere.json"
BACKBONE = "backbone.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
CHECKSUMS = "checksums.json"
PREPROCESSOR = "preprocessor_config.json"

PARTS = (CONFIGURATION, BACKBONE, WEIGHTS)
"""What a released model is made of."""


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Plain data, readable by people."""
    atomic_write(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def seal(folder: Path) -> None:
    """Write the checksums: the last file of a release."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS)
    write_json(folder / CHECKSUMS, {name: digest_of(folder / name) for name in names})


def check_seal(
    folder: Path, parts: Sequence[str] = PARTS, *, made_by: str = "emosphere release RUN OUT"
) -> None:
    """See that a folder holds what was released.

    It finds damage and careless changes. Whoever changes a file on purpose can write its checksum
    anew: against that, get the model from where you trust its owner.

    Arguments
    ---------
    folder : Path
        Of the model.
    parts : sequence of str
        Files that it is made of.
    made_by : str
        The command that writes such a folder.

    Raises
    ------
    ValueError
        If a file is missing or another one than was written.
    """
    needed = (*parts, CHECKSUMS)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise ValueError(
            f"{folder} must hold {', '.join(needed)} to be a released model; {', '.join(missing)} "
            f"is missing (found {', '.join(there[:8]) or 'nothing'}). `{made_by}` "
            f"writes one; a folder of checkpoints (save/) is none."
        )
    listed = read_json(folder / CHECKSUMS)
    read = [*parts]
    read += [PREPROCESSOR] if (folder / PREPROCESSOR).exists() else []
    for name in read:  # whatever else lies there is not read, and may come and go
        if name not in listed:
            raise ValueError(
                f"{folder / CHECKSUMS} must list {name}, which the model is made of; it does not. "
                f"The file was put there by somebody. Get the model again."
            )
    for name, digest in listed.items():
        path = folder / os.path.basename(name)
        if not path.is_file():
            raise ValueError(f"{path} is missing: the model is damaged. Get it again.")
        if digest_of(path) != digest:
            raise ValueError(
                f"{path} is not the file that was released (its SHA-256 is another one than "
                f"{CHECKSUMS} says): damaged, or changed by somebody. Get the model again."
            )


def read_json(path: Path) -> dict[str, Any]:
    """A mapping from a JSON file.

    Raises
    ------
    ValueError
        If it is no mapping in JSON.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last: nested a thousand deep
        raise ValueError(
            f"{path} is no JSON: {error}. The model is damaged; get it again."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a mapping; found {type(found).__name__}.")
    return found
