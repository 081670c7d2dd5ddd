"""The layout of tiantiaf/wavlm-large-msp-podcast-emotion-dim (Vox-Profile; Feng et al., 2025).

WavLM-large on the waveform normalised by utterance (base-plus: as it is); a learned mixture of all
layers (softmax over ``weights``), with what enters the first one where ``use_conv_output`` is true;
three linear layers with ReLU on each frame; the mean over frames; and for each dimension a linear
layer, ReLU, a linear layer and a sigmoid, so that outputs lie in (0, 1). Low-rank adapters stand,
where a checkpoint has them, beside the feed-forward layers of the upper half; they are added to
what they stand beside, scaled by one over their rank (loralib's default). The last layer is mixed
in with its final norm, as transformers 4 gave it, with which the weights were trained. The authors'
evaluation cuts to 15 s. T. Feng et al., "Vox-Profile: a speech foundation model benchmark for
characterizing diverse speaker and speech traits", arXiv 2505.14648, 2025.
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
from emosphere_sb.public_models.files import take
from emosphere_sb.public_models.modules import encoder_of, linear, wavlm_settings
from emosphere_sb.release.model import ReleasedModel
from emosphere_sb.scale import DIMENSIONS

KNOWN = "tiantiaf/wavlm-large-msp-podcast-emotion-dim"
LICENCE = "OpenRAIL; its model card excludes commercial and clinical use and surveillance"
RELEASE = ""
BACKBONES = {"wavlm_large": "layer", "wavlm": "group"}
"""``pretrain_model``, and the norm that the convolutions of that WavLM have."""


class FramewisePooling(nn.Module):
    """The same layers on each frame, then the mean over the valid ones.

    Arguments
    ---------
    layers : torch.nn.Sequential
        Ends with a linear layer.

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
    """A head of its own for each dimension, on (0, 1), as VAD in (-1, 1).

    Arguments
    ---------
    heads : mapping of str to torch.nn.Module
        By dimension; shape (batch, size) to (batch, 1).
    """

    def __init__(self, heads: Mapping[str, nn.Module]):
        super().__init__()
        self.heads = nn.ModuleDict({name: heads[name] for name in DIMENSIONS})

    def forward(self, utterance: Tensor) -> Tensor:
        """Shape (batch, size) to (batch, 3), in the order valence, arousal, dominance."""
        outputs = [head(utterance) for head in self.heads.values()]
        return 2 * torch.cat(outputs, dim=1) - 1


def recognises(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Whether settings and names of weights are of this layout.

    Models for emotion categories have heads of these names too, of which nothing is said.
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
    """The model, and the names of the weights that it has taken.

    Raises
    ------
    ValueError
        If the weights do not fit, or are of another WavLM than the settings say.
    """
    ssl = merge_adapters(take(state, "backbone_model."), path)
    settings, kind = wavlm_settings(ssl), configuration["pretrain_model"]
    if BACKBONES.get(kind) != settings["feat_extract_norm"]:
        raise ValueError(
            f"{folder / 'config.json'} must name in pretrain_model the WavLM of the weights, "
            f"{' or '.join(BACKBONES)}; found {kind!r} beside convolutions with "
            f"{settings['feat_extract_norm']} norm."
        )
    encoder = encoder_of(settings, ssl, path, layers="weighted")
    _mix(encoder.states.weights, state["weights"], configuration["use_conv_output"], path)
    frames = nn.Sequential(
        linear(state, "model_seq.0"), nn.ReLU(),
        linear(state, "model_seq.3"), nn.ReLU(), linear(state, "model_seq.6"),
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
    """The authors' cut."""
    return 15.0


def merge_adapters(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Add each pair of low-rank factors to the weight that it stands beside.

    Arguments
    ---------
    state : mapping of str to torch.Tensor
        With ``NAME.lora_A`` (rank, in) and ``NAME.lora_B`` (out, rank) beside ``NAME.weight``.
    path : Path
        For messages.

    Returns
    -------
    dict
        Without the factors: weight + B A / rank.

    Raises
    ------
    ValueError
        If a factor has no other one, or no weight.

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
                f"{path} must hold lora_A, lora_B and weight of {layer}, which fit one another; "
                f"found otherwise: {error}."
            ) from error
    return merged


def _mix(own: nn.Parameter, given: Tensor, first: bool, path: Path) -> None:
    """Set the shares of the layers; without what enters the first one its share is nothing."""
    if not first:
        given = torch.cat([torch.full((1,), -math.inf), given])
    if given.shape != own.shape:
        raise ValueError(
            f"{path} must hold a weight for each layer; found {len(given)} for {len(own)}."
        )
    with torch.no_grad():
        own.copy_(given)


def _head(state: Mapping[str, Tensor], name: str) -> nn.Sequential:
    return nn.Sequential(
        linear(state, f"{name}.0"), nn.ReLU(), linear(state, f"{name}.2"), nn.Sigmoid()
    )
