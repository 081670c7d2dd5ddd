"""Write the files of a released model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from emosphere_sb.release import checksums
from emosphere_sb.release.formats import format_header
from emosphere_sb.release.model import ModelInfo, ReleasedModel

PRIVATE = ("_name_or_path", "transformers_version")
"""Settings about the origin of a configuration, which are not part of the model."""


def write_released(
    folder: Path, model: ReleasedModel, info: ModelInfo, described: Mapping[str, Any], card: str
) -> None:
    """Write all files of a released model to an empty folder. The checksums are written last.

    Arguments
    ---------
    folder : Path
        Output folder.
    model : ReleasedModel
        Model with the weights to release.
    info : ModelInfo
        Metadata of the model.
    described : mapping
        Descriptions of its parts (see :mod:`emosphere_sb.release.parts`): ``normaliser``,
        ``encoder``, ``pooling``, ``vad_head``, ``class_head``.
    card : str
        Model card.

    Raises
    ------
    ValueError
        If the backbone requires custom code.
    OSError
        If a file cannot be written.
    """
    backbone = model.encoder.backbone
    configuration = {**format_header(), "about": info.to_dict(), "parts": dict(described)}
    checksums.write_json_file(folder / checksums.CONFIGURATION, configuration)
    checksums.write_json_file(
        folder / checksums.BACKBONE, backbone_configuration(backbone.model.config)
    )
    log_mel = getattr(backbone, "log_mel", None)
    if log_mel is not None:
        checksums.write_json_file(folder / checksums.PREPROCESSOR, json.loads(log_mel.settings))
    save_weights(model, folder / checksums.WEIGHTS)
    (folder / checksums.CARD).write_text(card, encoding="utf-8")
    checksums.write_checksums(folder)


def backbone_configuration(config) -> dict[str, Any]:
    """Return the transformers configuration without local paths.

    Raises
    ------
    ValueError
        If the backbone requires custom code.
    """
    settings = json.loads(config.to_json_string(use_diff=False))
    if "auto_map" in settings:
        raise ValueError(
            "The backbone requires custom code (--trust_remote_code), which a released model "
            "cannot contain. Use a backbone that is part of transformers."
        )
    return {key: value for key, value in settings.items() if key not in PRIVATE}


def save_weights(model: nn.Module, path: Path) -> None:
    """Save all weights and buffers of a model as safetensors.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    # Copies, because safetensors does not support tensors that share memory.
    state = {
        name: value.detach().cpu().clone().contiguous()
        for name, value in model.state_dict().items()
    }
    try:
        save_file(state, path)
    except SafetensorError as error:  # a full disk
        raise OSError(f"{path} cannot be written: {error}") from error
