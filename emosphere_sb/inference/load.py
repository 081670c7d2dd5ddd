"""Load models from a folder or the Hugging Face Hub: tensors and plain data, never code."""

from __future__ import annotations

import os

from torch import nn

from emosphere_sb.inference.find_model import find_model
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
        See :meth:`emosphere_sb.inference.torch_predictor.TorchPredictor.from_pretrained`.

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
