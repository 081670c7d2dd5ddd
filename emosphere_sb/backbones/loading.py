"""One string to a backbone: a hub name, a local folder, or a bare configuration."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from emosphere_sb.backbones.log_mel import extractor_for
from emosphere_sb.backbones.waveform_models import WaveformBackbone

logger = logging.getLogger(__name__)


def load_backbone(
    backbone: str,
    spec_augment: bool = True,
    *,
    fast: bool = True,
    trust_remote_code: bool = False,
) -> nn.Module:
    """Load a speech model in float32, as a module of this package.

    Arguments
    ---------
    backbone : str
        A name on the HuggingFace hub, a folder that ``save_pretrained`` wrote, or a ``.json`` file
        with a configuration, which gives random weights.
    spec_augment : bool
        Whether SpecAugment is applied in training as the configuration says.
    fast : bool
        ``False``: transformers' modules as they are.
    trust_remote_code : bool
        Whether Python code that comes with the weights may run. Weights themselves are read as
        tensors, whatever this says.

    Returns
    -------
    torch.nn.Module
        See :mod:`emosphere_sb.backbones`.

    Raises
    ------
    ValueError
        If there is no such model, or it does not hear speech.
    """
    model = load_model(backbone, trust_remote_code)
    kind = model.config.model_type
    if kind == "whisper":
        from emosphere_sb.backbones.whisper import WhisperBackbone

        return WhisperBackbone(model, extractor_for(model, backbone), spec_augment)
    if kind == "wav2vec2-bert":
        from emosphere_sb.backbones.w2v_bert import W2vBertBackbone

        return W2vBertBackbone(model, extractor_for(model, backbone), spec_augment)
    if not hasattr(model, "feature_extractor"):
        raise ValueError(
            f"backbone must be a speech model that hears waveforms through convolutions (WavLM, "
            f"wav2vec 2.0, HuBERT, data2vec-audio, UniSpeech-SAT, …), w2v-BERT 2.0 or Whisper; "
            f"{backbone!r} is a {type(model).__name__}."
        )
    return WaveformBackbone(model, spec_augment, fast=fast)


def load_model(backbone: str, trust_remote_code: bool = False) -> nn.Module:
    """transformers' own model of that name.

    Raises
    ------
    ValueError
        If it cannot be loaded, with what was tried.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    # What they raise for a name, a configuration and a file of weights that are wrong or damaged.
    refusals = (
        OSError, ValueError, TypeError, KeyError, RuntimeError, UnpicklingError,
        SafetensorError, StrictDataclassError,
    )  # fmt: skip
    bare = find_configuration(backbone) if str(backbone).endswith(".json") else None
    try:
        if bare is None:
            return AutoModel.from_pretrained(
                backbone,
                dtype=torch.float32,
                weights_only=True,  # a pickle that holds anything but tensors is refused
                trust_remote_code=trust_remote_code,
            )
        settings = json.loads(bare.read_text(encoding="utf-8"))
        return AutoModel.from_config(AutoConfig.for_model(**settings), dtype=torch.float32)
    except refusals as error:
        raise ValueError(
            f"backbone must be a name on the HuggingFace hub (microsoft/wavlm-large), a folder "
            f"written by save_pretrained, or a .json configuration; {backbone!r} could not be "
            f"loaded: {error}"
        ) from error


def find_configuration(backbone: str | os.PathLike) -> Path:
    """The ``.json`` file: as given, or among the package's own ``hparams/backbones``."""
    own = Path(__file__).resolve().parents[2] / "hparams" / "backbones"
    path = Path(backbone)
    if path.is_file():
        return path
    # Not for other folders: a path with a typing error must not build another model.
    if path.parent in (Path(), Path("hparams/backbones")) and (own / path.name).is_file():
        return own / path.name
    known = ", ".join(sorted(path.name for path in own.glob("*.json")))
    raise ValueError(
        f"backbone {str(backbone)!r}: no such file, and none of that name comes with the package, "
        f"which has {known}."
    )
