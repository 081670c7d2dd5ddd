"""The files of a released model, from its parts."""

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
from emosphere_sb.release.model import About, ReleasedModel

PRIVATE = ("_name_or_path", "transformers_version")
"""Settings that say where a configuration came from, and not what the model is."""


def write_released(
    folder: Path, model: ReleasedModel, about: About, described: Mapping[str, Any], card: str
) -> None:
    """Write all files of a released model into an empty folder, the checksums last.

    Arguments
    ---------
    folder : Path
        Where to.
    model : ReleasedModel
        With the weights that are released.
    about : About
        What is known of it.
    described : mapping
        Its parts as :mod:`emosphere_sb.release.parts` describes them: ``normaliser``,
        ``encoder``, ``pooling``, ``vad_head``, ``class_head``.
    card : str
        The model card.

    Raises
    ------
    ValueError
        If the backbone needs code of its own.
    OSError
        If the disk is full.
    """
    backbone = model.encoder.backbone
    configuration = {**format_header(), "about": about.to_dict(), "parts": dict(described)}
    checksums.write_json(folder / checksums.CONFIGURATION, configuration)
    checksums.write_json(folder / checksums.BACKBONE, backbone_configuration(backbone.model.config))
    log_mel = getattr(backbone, "log_mel", None)
    if log_mel is not None:
        checksums.write_json(folder / checksums.PREPROCESSOR, json.loads(log_mel.settings))
    save_weights(model, folder / checksums.WEIGHTS)
    (folder / checksums.CARD).write_text(card, encoding="utf-8")
    checksums.seal(folder)


def backbone_configuration(config) -> dict[str, Any]:
    """transformers' configuration without paths of this machine.

    Raises
    ------
    ValueError
        If the model needs code of its own.
    """
    facts = json.loads(config.to_json_string(use_diff=False))
    if "auto_map" in facts:
        raise ValueError(
            "The backbone runs Python code of its own (--trust_remote_code), which a released "
            "model does not hold."
        )
    return {key: value for key, value in facts.items() if key not in PRIVATE}


def save_weights(model: nn.Module, path: Path) -> None:
    """All weights and buffers, as tensors alone.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    # Copies: safetensors refuses tensors that share memory.
    state = {
        name: value.detach().cpu().clone().contiguous()
        for name, value in model.state_dict().items()
    }
    try:
        save_file(state, path)
    except SafetensorError as error:  # a full disk
        raise OSError(f"{path} cannot be written: {error}") from error
