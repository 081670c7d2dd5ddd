"""Load models from a folder or the Hugging Face Hub: tensors and plain data, never code."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from emosphere_sb.public_models.registry import detect_layout, load_public
from emosphere_sb.release import checksums
from emosphere_sb.release.load import load_released
from emosphere_sb.release.model import ModelInfo


def load_pretrained(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> tuple[nn.Module, ModelInfo]:
    """Load a released model, or a public checkpoint with a supported layout.

    Arguments
    ---------
    source : str
        Path of a folder, or name of a model on the Hugging Face Hub.
    revision, savedir
        See :meth:`emosphere_sb.inference.interface.EmoSphere.from_pretrained`.

    Returns
    -------
    model : torch.nn.Module
        The model in evaluation mode.
    about : ModelInfo
        Information about the model.

    Raises
    ------
    ValueError
        If the model is not found, damaged or unsupported.
    """
    folder = find_model(source, revision=revision, savedir=savedir)
    if not (folder / checksums.CONFIGURATION).is_file():
        layout = detect_layout(folder, str(source))
        if layout is not None:
            return load_public(layout, folder, str(source))
    return load_released(folder)


def find_model(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> Path:
    """Return the folder of a model; download it if ``source`` is a name on the Hub.

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
                # Only tensors and plain data, no code
                allow_patterns=["*.json", "*.safetensors", "*.bin", "README.md", "*.txt"],
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
