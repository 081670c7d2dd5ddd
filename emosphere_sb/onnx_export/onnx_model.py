"""A released model in exportable form, without data-dependent branches or loops.

The optimised modules of this package process utterances separately and read lengths in Python. For
ONNX, the same weights are used in the convolutions of transformers, and padding is masked inside
the graph, so predictions do not depend on the rest of the batch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from emosphere_sb.backbones.layer_mix import HiddenStates
from emosphere_sb.backbones.masking import frame_mask
from emosphere_sb.backbones.waveform_models import MASKED_FAMILIES, WaveformBackbone
from emosphere_sb.backbones.wavlm_attention import GatedAttention
from emosphere_sb.backbones.whisper import WhisperBackbone
from emosphere_sb.lobes.pooling import GatedConvolution
from emosphere_sb.onnx_export.whisper import ExportedWhisper
from emosphere_sb.release.model import ReleasedModel

EXPORTABLE_FAMILIES = (*MASKED_FAMILIES, "whisper")


class ExportedModel(nn.Module):
    """A released model for :func:`torch.onnx.export`.

    Arguments
    ---------
    model : ReleasedModel
        Model to export. It is not modified.

    Raises
    ------
    ValueError
        If the family of the SSL model is not supported.

    Example
    -------
    >>> ExportedModel(model)(waveform, lengths)  # doctest: +SKIP
    """

    def __init__(self, model: ReleasedModel):
        super().__init__()
        check_exportable(model)
        self.normaliser = copy.deepcopy(model.normaliser)
        self.backbone = exported_backbone(model.encoder)
        own = model.encoder.states
        self.states = HiddenStates(self.backbone, own.layers, own.normalisation.mode)
        self.states.load_state_dict(own.state_dict())
        self.pooling = copy.deepcopy(model.pooling)
        self.vad_head = copy.deepcopy(model.vad_head)
        self.class_head = copy.deepcopy(model.class_head)
        for module in self.pooling.modules():
            if type(module) is GatedConvolution:
                module.__class__ = ExportedConvolution
        self.requires_grad_(False).eval()

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Predict waveforms (batch, samples) at 16 kHz with ``lengths`` (batch,) in samples.

        Returns
        -------
        tuple
            VAD (batch, 3), embedding (batch, size) and, with a class head, logits (batch, classes).
        """
        states = self.states(self.normaliser(waveform, lengths), lengths)
        valid = self.backbone.frame_lengths(lengths)
        mask = frame_mask(valid, states.shape[2])
        states = states.masked_fill(~mask[:, None, :, None], 0.0)
        embedding = self.pooling(self.states.combine(states, valid), valid)
        found = self.vad_head(embedding), embedding
        return found if self.class_head is None else (*found, self.class_head(embedding))


class ExportedBackbone(WaveformBackbone):
    """A speech model from transformers with its original convolutions and with tensor masks.

    Arguments
    ---------
    model : torch.nn.Module
        Unmodified model from transformers.
    """

    def __init__(self, model: nn.Module):
        super().__init__(model, spec_augment=False, fast=False)
        for conv_layer in self.feature_encoder.conv_layers:
            if isinstance(getattr(conv_layer, "layer_norm", None), nn.GroupNorm):
                conv_layer.layer_norm = MaskedGroupNorm(conv_layer.layer_norm)
        for module in model.encoder.pos_conv_embed.modules():
            if parametrize.is_parametrized(module, "weight"):  # fold weight norm into the weight
                parametrize.remove_parametrizations(module, "weight")
        if model.config.model_type == "wavlm":
            for layer in model.encoder.layers:
                layer.attention.__class__ = ExportedAttention
        # The original method modifies tensors in place
        model._get_feature_vector_attention_mask = self._valid_frame_mask

    def _valid_frame_mask(self, size: int, attention_mask: Tensor, **_) -> Tensor:
        return frame_mask(self.frame_lengths(attention_mask.sum(-1)), size)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Return the last hidden state (batch, frame, feature) for signals (batch, sample)."""
        for module in self.feature_encoder.modules():
            if isinstance(module, MaskedGroupNorm):
                first = self.feature_encoder.conv_layers[0].conv
                module.valid = (lengths - first.kernel_size[0]) // first.stride[0] + 1
        mask = frame_mask(lengths, signals.shape[1]).long()
        return self.model(signals, attention_mask=mask).last_hidden_state


class MaskedGroupNorm(nn.Module):
    """Group norm with one group per channel, computed over valid frames only.

    Arguments
    ---------
    original : torch.nn.GroupNorm
        Module that provides the weights.

    Attributes
    ----------
    valid : torch.Tensor
        Number of valid frames of each row in the next batch, shape (batch,).
    """

    def __init__(self, original: nn.GroupNorm):
        super().__init__()
        self.weight, self.bias, self.eps = original.weight, original.bias, original.eps
        self.valid: Tensor | None = None

    def forward(self, frames: Tensor) -> Tensor:
        """Normalise frames of shape (batch, channel, frame)."""
        mask = frame_mask(self.valid, frames.shape[2]).unsqueeze(1).to(frames.dtype)
        count = self.valid[:, None, None].to(frames.dtype)
        centred = frames - (frames * mask).sum(2, keepdim=True) / count
        variance = (centred * mask).square().sum(2, keepdim=True) / count
        scale = self.weight[:, None] * (variance + self.eps).rsqrt()
        return centred * scale + self.bias[:, None]


class ExportedConvolution(GatedConvolution):
    """Convolution of style pooling without the CPU optimisation, which would complicate the graph.

    It is not instantiated, but assigned as the class of existing modules.
    """

    def _convolve(self, hidden: Tensor) -> Tensor:
        return self.convolution(hidden.transpose(1, 2)).transpose(1, 2)


class ExportedAttention(GatedAttention):
    """WavLM attention that uses only operations supported by ONNX.

    It is not instantiated, but assigned as the class of existing modules.
    """

    # The original version indexes each pair of frames. ONNX does not support overlapping views.
    compute_bias = WavLMAttention.compute_bias

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **unused,
    ) -> tuple[Tensor, None, Tensor]:
        """Compute gated attention with explicit matrix products; see :class:`GatedAttention`."""
        frames = hidden_states.shape[1]
        if position_bias is None:
            position_bias = self.compute_bias(frames, frames)
        heads = hidden_states.unflatten(-1, (self.num_heads, self.head_dim))
        gate = self._gate(heads)
        query, key, value = (
            projection(hidden_states).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )  # (batch, head, frame, feature)
        scores = query @ key.transpose(2, 3) * self.head_dim**-0.5
        scores = scores + gate.unsqueeze(-1) * position_bias
        scores = scores.masked_fill(~attention_mask.bool()[:, None, None, :], -torch.inf)
        output = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        return self.out_proj(output), None, position_bias


class NotExportableError(ValueError):
    """The model, or its SSL model, is not supported by the export to ONNX."""


def check_exportable(model: nn.Module) -> None:
    """Check that a model can be exported.

    Raises
    ------
    NotExportableError
        If the model or its SSL model is not supported.
    """
    if not isinstance(model, ReleasedModel):
        raise NotExportableError(
            f"Only models written by `emosphere release` can be exported; found a "
            f"{type(model).__name__}."
        )
    if isinstance(model.encoder.backbone, WhisperBackbone):
        return
    config = model.encoder.model.config
    if config.model_type not in MASKED_FAMILIES or not model.encoder.backbone.masked:
        reason = " with adapters or batch norm" if config.model_type in MASKED_FAMILIES else ""
        raise NotExportableError(
            f"ONNX export supports the model families {', '.join(EXPORTABLE_FAMILIES)}; found "
            f"{config.model_type}{reason}. Other models cannot be exported, because their outputs "
            f"depend on padding or they require operations that ONNX does not support. Use the "
            f"model with PyTorch: emosphere predict."
        )


def exported_backbone(encoder) -> nn.Module:
    """Return the backbone of an encoder in exportable form, with the same weights."""
    if isinstance(encoder.backbone, WhisperBackbone):
        return ExportedWhisper(encoder.backbone)
    return ExportedBackbone(_rebuilt(encoder))


def _rebuilt(encoder) -> nn.Module:
    """Rebuild the unmodified model from transformers with the weights of an encoder."""
    from transformers import AutoModel

    own = encoder.model
    config = copy.deepcopy(own.config)
    config._attn_implementation = "eager"  # plain products, which runtimes fuse
    with torch.random.fork_rng(devices=[]):
        plain = AutoModel.from_config(config, dtype=torch.float32)
    # If the encoder only has the lower layers, restore the upper ones. HiddenStates removes them
    # again, but it must be able to distinguish the model's last layer from the last one used.
    above = plain.encoder.layers[len(own.encoder.layers) :]
    del plain.encoder.layers[len(own.encoder.layers) :]
    plain.load_state_dict(own.state_dict())
    plain.encoder.layers.extend(above)
    return plain
