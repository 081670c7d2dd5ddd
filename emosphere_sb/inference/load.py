"""From a folder or a name on the hub to a model; tensors and plain data, never code."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from emosphere_sb.public_models.registry import load_public, public_layout
from emosphere_sb.release import checksums
from emosphere_sb.release.load import load_released
from emosphere_sb.release.model import About


def load(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> tuple[nn.Module, About]:
    """Load a released model, or a public checkpoint whose layout is known.

    Arguments
    ---------
    source : str
        A folder, or a name on the HuggingFace hub.
    revision, savedir
        See :meth:`emosphere_sb.inference.interface.EmoSphere.from_pretrained`.

    Returns
    -------
    tuple
        The model, in evaluation mode, and what is known of it.

    Raises
    ------
    ValueError
        If it is not there, damaged, or nothing that is known.
    """
    folder = find(source, revision=revision, savedir=savedir)
    if not (folder / checksums.CONFIGURATION).is_file():
        layout = public_layout(folder, str(source))
        if layout is not None:
            return load_public(layout, folder, str(source))
    return load_released(folder)


def find(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> Path:
    """The folder of a model, downloaded where it is a name on the hub.

    Raises
    ------
    ValueError
        If there is no such folder, and no such model on the hub or no way to it.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    text = str(source)
    if folder.exists():
        raise ValueError(f"{text} must be the folder of a model; it is a file.")
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise ValueError(f"There is no folder {text}, and it is no name on the hub (owner/model).")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                text, revision=revision, local_dir=savedir,
                # Weights as tensors, and plain data: nothing that could be code.
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
            f"{text} is no folder here, and cannot be had from the HuggingFace hub ({reason})."
        ) from error
