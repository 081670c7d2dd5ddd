"""Layout of tiantiaf/wavlm-large-msp-podcast-emotion-dim (Vox-Profile; Feng et al., 2025).

The model consists of WavLM-large on waveforms normalised by utterance (base-plus: not normalised);
a learned weighted mean of all layers (softmax over ``weights``), including the input of the first
layer if ``use_conv_output`` is true; three linear layers with ReLU on each frame; the mean over
frames; and, for each dimension, a linear layer, ReLU, a linear layer and a sigmoid, with outputs in
(0, 1).
Some checkpoints have low-rank adapters in the feed-forward layers of the upper half; they are
merged into the weights, scaled by one over their rank (the default of loralib). The last layer is
used after the final norm, as in transformers 4, with which the weights were trained. The authors'
evaluation truncates utterances to 15 s. T. Feng et al., "Vox-Profile: a speech foundation model
benchmark for characterizing diverse speaker and speech traits", arXiv 2505.14648, 2025.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.masking import frame_mask, masked_mean
from emosphere_sb.lobes import WaveformNormaliser
from emosphere_sb.public_models.files import select_prefix
from emosphere_sb.public_models.modules import build_encoder, linear_from_state, wavlm_settings
from emosphere_sb.release.model import ReleasedModel
from emosphere_sb.scale import DIMENSIONS

KNOWN = "tiantiaf/wavlm-large-msp-podcast-emotion-dim"
LICENCE = "OpenRAIL; its model card excludes commercial use, clinical use and surveillance"
RELEASE = ""
BACKBONES = {"wavlm_large": "layer", "wavlm": "group"}
"""Type of norm in the convolutions of the WavLM model, by value of ``pretrain_model``."""


class FramewisePooling(nn.Module):
    """Pooling that applies layers to each frame and averages over valid frames.

    Arguments
    ---------
    layers : torch.nn.Sequential
        Layers applied to each frame. The last one must be linear.

    Example
    -------
    >>> pooling = FramewisePooling(nn.Sequential(nn.Linear(4, 2)))
    >>> pooling(torch.zeros(1, 3, 4), torch.tensor([2])).shape
    torch.Size([1, 2])
    """

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        self.layers = layers
        self.output_size: int = layers[-1].out_features

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool (batch, time, feature) with valid frames (batch,) to (batch, ``output_size``)."""
        return masked_mean(self.layers(frames), frame_mask(lengths, frames.shape[1]))


class DimensionHeads(nn.Module):
    """Separate heads on (0, 1) for each dimension, combined to VAD in (-1, 1).

    Arguments
    ---------
    heads : mapping of str to torch.nn.Module
        Head of each dimension, which maps (batch, size) to (batch, 1).
    """

    def __init__(self, heads: Mapping[str, nn.Module]):
        super().__init__()
        self.heads = nn.ModuleDict({name: heads[name] for name in DIMENSIONS})

    def forward(self, utterance: Tensor) -> Tensor:
        """Map (batch, size) to (batch, 3), in the order valence, arousal, dominance."""
        outputs = [head(utterance) for head in self.heads.values()]
        return 2 * torch.cat(outputs, dim=1) - 1


def matches(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Return whether configuration and weight names match this layout.

    Models for emotion categories, which also have heads with these names, do not match.
    """
    return (
        {"pretrain_model", "use_conv_output"} <= configuration.keys()
        and {f"{name}_layer.2.weight" for name in DIMENSIONS} <= names
        and {"weights", "model_seq.0.weight", "model_seq.6.weight"} <= names
        and any(name.startswith("backbone_model.") for name in names)
        and not any(name.startswith("emotion_layer.") for name in names)
    )


def build(
    configuration: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path, path: Path
) -> tuple[ReleasedModel, set[str]]:
    """Build the model, and return it with the names of the weights it uses.

    Raises
    ------
    ValueError
        If the weights do not match, or belong to a WavLM model other than the specified one.
    """
    ssl = merge_adapters(select_prefix(state, "backbone_model."), path)
    settings, kind = wavlm_settings(ssl), configuration["pretrain_model"]
    if BACKBONES.get(kind) != settings["feat_extract_norm"]:
        raise ValueError(
            f"pretrain_model in {folder / 'config.json'} must be {' or '.join(BACKBONES)} and "
            f"match the weights; found {kind!r}, but the convolutions have "
            f"{settings['feat_extract_norm']} norm."
        )
    encoder = build_encoder(settings, ssl, path, layers="weighted")
    _set_layer_weights(
        encoder.states.weights, state["weights"], configuration["use_conv_output"], path
    )
    frames = nn.Sequential(
        linear_from_state(state, "model_seq.0"), nn.ReLU(),
        linear_from_state(state, "model_seq.3"), nn.ReLU(), linear_from_state(state, "model_seq.6"),
    )  # fmt: skip
    heads = {name: _head(state, f"{name}_layer") for name in DIMENSIONS}
    model = ReleasedModel(
        WaveformNormaliser("utterance" if kind == "wavlm_large" else "none"),
        encoder,
        FramewisePooling(frames),
        DimensionHeads(heads),
    )
    prefixes = ("backbone_model.", "model_seq.", *(f"{name}_layer." for name in DIMENSIONS))
    return model, {name for name in state if name == "weights" or name.startswith(prefixes)}


def max_seconds(_configuration: Mapping[str, Any]) -> float | None:
    """Return the maximum duration in the authors' evaluation, in seconds."""
    return 15.0


def merge_adapters(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Merge low-rank adapters into the weights of their layers.

    Arguments
    ---------
    state : mapping of str to torch.Tensor
        Weights, with adapters ``NAME.lora_A`` (rank, in) and ``NAME.lora_B`` (out, rank) for some
        ``NAME.weight``.
    path : Path
        Path of the weights, for messages.

    Returns
    -------
    dict
        Weights without adapters: weight + B A / rank.

    Raises
    ------
    ValueError
        If an adapter is incomplete or does not match its weight.

    Example
    -------
    >>> factors = {"up.lora_A": torch.ones(2, 3), "up.lora_B": torch.ones(1, 2)}
    >>> merge_adapters({"up.weight": torch.zeros(1, 3), **factors}, Path("model.safetensors"))
    {'up.weight': tensor([[1., 1., 1.]])}
    """
    merged = {name: v for name, v in state.items() if not name.endswith((".lora_A", ".lora_B"))}
    for layer in sorted({name.rpartition(".")[0] for name in state.keys() - merged.keys()}):
        try:
            down, up = state[f"{layer}.lora_A"], state[f"{layer}.lora_B"]
            merged[f"{layer}.weight"] = merged[f"{layer}.weight"] + up @ down / len(down)
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"{path} must contain matching lora_A, lora_B and weight of {layer}; found a "
                f"mismatch: {error}."
            ) from error
    return merged


def _set_layer_weights(own: nn.Parameter, given: Tensor, first: bool, path: Path) -> None:
    """Set the layer weights; if the input of the first layer is not used, its share is zero."""
    if not first:
        given = torch.cat([torch.full((1,), -math.inf), given])
    if given.shape != own.shape:
        raise ValueError(
            f"{path} must contain one weight per layer; found {len(given)} weights for {len(own)} "
            f"layers."
        )
    with torch.no_grad():
        own.copy_(given)


def _head(state: Mapping[str, Tensor], name: str) -> nn.Sequential:
    return nn.Sequential(
        linear_from_state(state, f"{name}.0"),
        nn.ReLU(),
        linear_from_state(state, f"{name}.2"),
        nn.Sigmoid(),
    )
