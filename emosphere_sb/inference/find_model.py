"""Find the folder of a model, or download it from the Hugging Face Hub; torch is not imported."""

from __future__ import annotations

import os
from pathlib import Path

from emosphere_sb.release.checksums import ONNX, ONNX_INT8

DATA_FILES = ("*.json", "*.safetensors", "*.bin", "README.md", "*.txt")
"""Patterns of the files that are downloaded: only tensors and plain data, no code."""
ONNX_FILES = tuple(f"{name}{end}" for name in (ONNX, ONNX_INT8) for end in ("", ".data"))
"""Names of the files of an ONNX copy."""


def find_model(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
    onnx: bool = False,
) -> Path:
    """Return the folder of a model; download it if ``source`` is a name on the Hub.

    Arguments
    ---------
    source : str
        Path of a folder, or name of a model on the Hugging Face Hub.
    revision : str, optional
        Branch, tag or commit on the Hub.
    savedir : path, optional
        Folder for downloads. The default is the Hugging Face cache.
    onnx : bool
        Whether to download the ONNX copy of the model too, if it has one.

    Raises
    ------
    ValueError
        If ``source`` is not a local folder and cannot be downloaded.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    text = str(source)
    if folder.exists():
        raise ValueError(f"{text} must be a model folder; found a file.")
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise ValueError(
            f"Model not found: {text} is neither a folder nor a name on the Hugging Face Hub "
            f"(owner/model)."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                text, revision=revision, local_dir=savedir,
                allow_patterns=[*DATA_FILES, *(ONNX_FILES if onnx else ())],
            )
        )  # fmt: skip
    except (
        OSError,
        ValueError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"Model not found: {text} is not a local folder and could not be downloaded from the "
            f"Hugging Face Hub ({reason})."
        ) from error
