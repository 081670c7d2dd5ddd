"""Functions and modules shared by the layouts of public checkpoints."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from emosphere_sb.lobes import SSLEncoder
from emosphere_sb.release.backbone_values import check_values
from emosphere_sb.release.shapes import TensorType, build_without_memory, check_width
from emosphere_sb.scale import DIMENSIONS, Scale

logger = logging.getLogger(__name__)

UNIT_SCALE = Scale(0, 1)
"""Output scale of all layouts: the corpus's scale from 1 to 7, mapped to [0, 1]."""

TRAINING_CORPUS = "MSP-Podcast"
"""Training corpus of the published checkpoints of all layouts."""

OLD_WEIGHT_NORM_NAMES = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
"""Names of weight norm parameters in files older than PyTorch 2, and their current names."""

STRUCTURAL_SETTINGS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "conv_dim", "conv_kernel", "conv_stride", "conv_bias", "feat_extract_norm",
    "feat_extract_activation", "do_stable_layer_norm", "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups", "layer_norm_eps",
)  # fmt: skip
"""transformers settings that affect the output of a waveform model."""


class UnitHead(nn.Module):
    """Wrapper that converts a regression head on [0, 1] to VAD in [-1, 1].

    Arguments
    ---------
    layers : torch.nn.Module
        Module that maps (batch, size) to (batch, 3).
    order : sequence of str
        Dimension of each output.

    Raises
    ------
    ValueError
        If the order does not contain each dimension exactly once.

    Example
    -------
    >>> head = UnitHead(nn.Identity(), ("arousal", "dominance", "valence"))
    >>> head(torch.tensor([[0.5, 1.0, 0.0]]))
    tensor([[-1.,  0.,  1.]])
    """

    def __init__(self, layers: nn.Module, order: Sequence[str]):
        super().__init__()
        if sorted(order) != sorted(DIMENSIONS):
            raise ValueError(
                f"The outputs must be {', '.join(DIMENSIONS)} in any order; found "
                f"{', '.join(order)}."
            )
        self.layers = layers
        self.index = [list(order).index(name) for name in DIMENSIONS]

    def forward(self, utterance: Tensor) -> Tensor:
        """Map (batch, size) to (batch, 3), in the order valence, arousal, dominance."""
        return 2 * self.layers(utterance)[:, self.index] - 1


def output_order(configuration: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the dimension of each output from ``id2label``, or ``None`` if not specified.

    Example
    -------
    >>> output_order({"id2label": {"1": "Dominance", "0": "arousal", "2": "valence"}})
    ('arousal', 'dominance', 'valence')
    >>> output_order({"id2label": {"0": "LABEL_0"}}) is None
    True
    """
    labels = configuration.get("id2label")
    if not isinstance(labels, Mapping):
        return None
    numbered = {str(key): str(name).lower() for key, name in labels.items()}
    order = tuple(numbered.get(str(number), "") for number in range(len(numbered)))
    return order if sorted(order) == sorted(DIMENSIONS) else None


def build_encoder(
    settings: Mapping[str, Any], state: Mapping[str, Tensor], path: Path, layers: str = "last"
) -> SSLEncoder:
    """Build an encoder of this package with the weights of a checkpoint's SSL model.

    Arguments
    ---------
    settings : mapping
        Configuration for transformers, including ``model_type``.
    state : mapping of str to torch.Tensor
        Weights of the SSL model with current or old transformers names.
    path : Path
        Path of the weights, for messages.
    layers : str
        Layer selection (see :class:`emosphere_sb.lobes.SSLEncoder`).

    Raises
    ------
    ValueError
        If the settings are invalid, or the weights do not match them.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "backbone.json"
        file.write_text(json.dumps(dict(settings)), encoding="utf-8")
        build = partial(SSLEncoder, str(file), freeze="all", spec_augment=False, layers=layers)
        tensors = {name: TensorType(tuple(one.shape), one.dtype) for name, one in state.items()}
        source = path.with_name("config.json")
        check_values(settings, source)
        check_width(settings, tensors, source)
        try:
            build_without_memory(build, tensors, str(source))
        except ValueError as error:
            reason = str(error).replace(str(file), str(source))
            raise ValueError(f"{source} does not describe a supported model: {reason}") from error
        encoder = build()
    renamed = {_new_name(name): value for name, value in state.items()}
    own = encoder.model.state_dict()
    if "masked_spec_embed" in own:  # only used in training, and optional
        renamed.setdefault("masked_spec_embed", torch.zeros_like(own["masked_spec_embed"]))
    load_exactly(encoder.model, renamed, path, "the SSL model")
    return encoder


def load_exactly(module: nn.Module, state: Mapping[str, Tensor], path: Path, part: str) -> None:
    """Load weights that must match a module exactly in names and shapes.

    Raises
    ------
    ValueError
        If weights are missing or unexpected, or have the wrong shape.
    """
    own = module.state_dict()
    wrong = [
        *sorted(own.keys() ^ state.keys()),
        *sorted(n for n in own.keys() & state.keys() if own[n].shape != state[n].shape),
    ]
    if wrong:
        raise ValueError(
            f"{path} does not match the layout implied by its weight names and config.json: "
            f"{part} differs for {', '.join(wrong[:5])}{', …' if len(wrong) > 5 else ''}. Download "
            f"the model again."
        )
    module.load_state_dict(dict(state))


def linear_from_state(state: Mapping[str, Tensor], name: str) -> nn.Linear:
    """Build a linear layer from the weights of a linear layer or a convolution with kernel size 1.

    Raises
    ------
    ValueError
        If the shapes do not match such a layer.
    """
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    if weight.dim() == 3 and weight.shape[2] == 1:
        weight = weight.squeeze(2)
    if weight.dim() != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(
            f"{name} must be a linear layer; found a weight of shape {tuple(weight.shape)} and a "
            f"bias of shape {tuple(bias.shape)}."
        )
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def wavlm_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Infer the settings of a WavLM model for transformers from the shapes of its weights.

    Some checkpoints refer to a WavLM model without describing it. One setting cannot be
    inferred from the shapes: models with layer norm in all convolutions (large) normalise before
    each transformer layer, and models with group norm in the first convolution (base, base-plus)
    normalise after it.

    Raises
    ------
    ValueError
        If the weights do not belong to a WavLM model.
    """
    state = {_new_name(name): value for name, value in state.items()}
    try:
        size = state["feature_projection.projection.weight"].shape[0]
        position = state["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
        convolutions = _numbers(state, "feature_extractor.conv_layers.")
        kernels = [
            state[f"feature_extractor.conv_layers.{number}.conv.weight"] for number in convolutions
        ]
        buckets, heads = state["encoder.layers.0.attention.rel_attn_embed.weight"].shape
        inner = state["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"The SSL model must be a WavLM model; weight {error} is missing."
        ) from error
    layer_norm = "feature_extractor.conv_layers.1.layer_norm.weight" in state
    return {
        "model_type": "wavlm",
        "hidden_size": size,
        "num_hidden_layers": len(_numbers(state, "encoder.layers.")),
        "num_attention_heads": heads,
        "num_buckets": buckets,
        "intermediate_size": inner,
        "conv_dim": [kernel.shape[0] for kernel in kernels],
        "conv_kernel": [kernel.shape[2] for kernel in kernels],
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in state,
        "feat_extract_norm": "layer" if layer_norm else "group",
        "do_stable_layer_norm": layer_norm,
        "num_conv_pos_embeddings": position.shape[2],
        "num_conv_pos_embedding_groups": size // position.shape[1],
    }


def _numbers(state: Mapping[str, Tensor], prefix: str) -> list[int]:
    return sorted(
        {int(n.removeprefix(prefix).split(".")[0]) for n in state if n.startswith(prefix)}
    )


def _new_name(name: str) -> str:
    for old, new in OLD_WEIGHT_NORM_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
