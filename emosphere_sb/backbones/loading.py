"""Load a backbone from a Hub name, a local folder or a configuration file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from emosphere_sb.backbones.log_mel import load_feature_extractor
from emosphere_sb.backbones.waveform_models import WaveformBackbone

logger = logging.getLogger(__name__)


def load_backbone(
    backbone: str,
    spec_augment: bool = True,
    *,
    fast: bool = True,
    trust_remote_code: bool = False,
) -> nn.Module:
    """Load a speech model in float32.

    Arguments
    ---------
    backbone : str
        Name on the Hugging Face Hub, path of a folder written by ``save_pretrained``, or path of a
        ``.json`` configuration for a model with random weights.
    spec_augment : bool
        Whether to apply SpecAugment in training, with the settings of the configuration.
    fast : bool
        Whether to replace transformers modules with faster equivalents.
    trust_remote_code : bool
        Whether Python code that comes with the model may be executed. Weights are always loaded
        with ``weights_only=True``.

    Returns
    -------
    torch.nn.Module
        Backbone; see :mod:`emosphere_sb.backbones`.

    Raises
    ------
    ValueError
        If the model cannot be loaded or is not a supported speech model.
    """
    model = load_transformers_model(backbone, trust_remote_code)
    kind = model.config.model_type
    if kind == "whisper":
        from emosphere_sb.backbones.whisper import WhisperBackbone

        return WhisperBackbone(model, load_feature_extractor(model, backbone), spec_augment)
    if kind == "wav2vec2-bert":
        from emosphere_sb.backbones.w2v_bert import W2vBertBackbone

        return W2vBertBackbone(model, load_feature_extractor(model, backbone), spec_augment)
    if not hasattr(model, "feature_extractor"):
        raise ValueError(
            f"backbone must be a speech model with a convolutional waveform encoder (WavLM, "
            f"wav2vec 2.0, HuBERT, data2vec-audio, UniSpeech-SAT, …), w2v-BERT 2.0 or Whisper; "
            f"{backbone!r} is a {type(model).__name__}."
        )
    return WaveformBackbone(model, spec_augment, fast=fast)


def load_transformers_model(backbone: str, trust_remote_code: bool = False) -> nn.Module:
    """Load a transformers model in float32.

    Arguments
    ---------
    backbone : str
        See :func:`load_backbone`.
    trust_remote_code : bool
        Whether Python code that comes with the model may be executed.

    Returns
    -------
    torch.nn.Module
        Instance of the transformers class for this model.

    Raises
    ------
    ValueError
        If the model cannot be loaded.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    # Raised by the libraries for an invalid name or configuration and for damaged weights.
    load_errors = (
        OSError, ValueError, TypeError, KeyError, RuntimeError, UnpicklingError,
        SafetensorError, StrictDataclassError,
    )  # fmt: skip
    bare = find_configuration(backbone) if str(backbone).endswith(".json") else None
    try:
        if bare is None:
            return AutoModel.from_pretrained(
                backbone,
                dtype=torch.float32,
                weights_only=True,  # rejects pickles that contain anything but tensors
                trust_remote_code=trust_remote_code,
            )
        settings = json.loads(bare.read_text(encoding="utf-8"))
        return AutoModel.from_config(AutoConfig.for_model(**settings), dtype=torch.float32)
    except load_errors as error:
        if bare is not None:
            reason = str(error).strip() or type(error).__name__
            raise ValueError(
                f"{bare} must be a valid configuration of a transformers model; found: {reason} "
                f"({type(error).__name__}). Correct it; if it belongs to a downloaded model, "
                f"download the model again."
            ) from error
        raise ValueError(
            f"backbone must be a name on the Hugging Face Hub (such as microsoft/wavlm-large), a "
            f"folder written by save_pretrained, or a .json configuration; {backbone!r} could not "
            f"be loaded: {error}"
        ) from error


def find_configuration(backbone: str | os.PathLike) -> Path:
    """Return the path of a ``.json`` configuration: as given, or in ``hparams/backbones``."""
    own = Path(__file__).resolve().parents[2] / "hparams" / "backbones"
    path = Path(backbone)
    if path.is_file():
        return path
    # Not for paths in other folders: a misspelt path must not select a bundled configuration.
    if path.parent in (Path(), Path("hparams/backbones")) and (own / path.name).is_file():
        return own / path.name
    known = ", ".join(sorted(path.name for path in own.glob("*.json")))
    raise ValueError(
        f"Backbone configuration {str(backbone)!r} not found. Configurations that come with the "
        f"package: {known}."
    )
