"""Files of a released model and their checksums.

======================  =======================================================================
``emosphere.json``      parts of the model, label scale, regions, emotion words, protocol
``backbone.json``       transformers configuration of the SSL model
``model.safetensors``   all weights, including those of the SSL model
``model.onnx``          copy for ONNX Runtime, with weights (optional)
``model_int8.onnx``     copy with 8-bit weights (optional)
``README.md``           model card
``checksums.json``      SHA-256 of all other files
======================  =======================================================================

Models with log-mel features also have a ``preprocessor_config.json``. No file contains code.
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
ONNX, ONNX_INT8 = "model.onnx", "model_int8.onnx"
CARD = "README.md"
CHECKSUMS = "checksums.json"
PREPROCESSOR = "preprocessor_config.json"

PARTS = (CONFIGURATION, BACKBONE, WEIGHTS)
"""Files that every released model contains."""
WEIGHT_SUFFIXES = (".safetensors", ".onnx", ".onnx.data")
"""Files of weights. Each engine reads its own, which may be the only one that was downloaded."""


def write_json_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    atomic_write(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_checksums(folder: Path) -> None:
    """Write the checksums of all other files; call this after writing them."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS)
    write_json_file(folder / CHECKSUMS, {name: digest_of(folder / name) for name in names})


def verify_checksums(
    folder: Path, parts: Sequence[str] = PARTS, *, command: str = "emosphere release RUN OUT"
) -> None:
    """Check that the files of a released model are complete and unchanged.

    This detects damage and accidental changes. It does not detect deliberate manipulation, because
    the checksums can be changed as well; download models only from sources that you trust. Weights
    of other engines are not checked.

    Arguments
    ---------
    folder : Path
        Folder of the model.
    parts : sequence of str
        Required files.
    command : str
        Command that writes such a folder, for error messages.

    Raises
    ------
    ValueError
        If a file is missing, is not listed or has been changed.
    """
    needed = (*parts, CHECKSUMS)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise ValueError(
            f"{folder} is not a released model; missing: {', '.join(missing)} (found "
            f"{', '.join(found[:8]) or 'nothing'}). A checkpoint folder (save/) is not a released "
            f"model; run `{command}` first."
        )
    listed = read_json(folder / CHECKSUMS)
    read = [*parts]
    read += [PREPROCESSOR] if (folder / PREPROCESSOR).exists() else []
    for name in read:  # other files are not read and may be added or removed
        if name not in listed:
            raise ValueError(
                f"{folder / name} is not listed in {CHECKSUMS}. The model was modified; "
                f"download it again."
            )
    for name, digest in listed.items():
        if name.endswith(WEIGHT_SUFFIXES) and name.removesuffix(".data") not in parts:
            continue  # not read: weights of another engine
        path = folder / os.path.basename(name)
        if not path.is_file():
            raise ValueError(f"{path} is missing. The model is incomplete; download it again.")
        if digest_of(path) != digest:
            raise ValueError(
                f"The SHA-256 of {path} does not match {CHECKSUMS}. The file is damaged or was "
                f"modified; download the model again."
            )


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping from a JSON file.

    Raises
    ------
    ValueError
        If the file is not valid JSON or does not contain a mapping.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: too deeply nested
        raise ValueError(
            f"{path} is not valid JSON: {error}. The model is damaged; download it again."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} must contain a mapping; found {type(found).__name__}. Download the model "
            f"again."
        )
    return found
