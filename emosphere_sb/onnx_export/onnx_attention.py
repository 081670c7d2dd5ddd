"""WavLM's attention as products that ONNX has, with the relative positions of transformers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from emosphere_sb.backbones.wavlm_attention import GatedAttention


class ExportedAttention(GatedAttention):
    """Never built: the class of a loaded module is set to it."""

    # By an index for each pair of frames: views that overlap have no counterpart in ONNX.
    compute_bias = WavLMAttention.compute_bias

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **unused,
    ) -> tuple[Tensor, None, Tensor]:
        """As :class:`emosphere_sb.backbones.wavlm_attention.GatedAttention`."""
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
