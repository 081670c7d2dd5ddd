"""Faster WavLM attention with gated relative position bias (Chen et al., 2022).

The implementation of transformers computes attention weights that are never used, repeats the bias
for every utterance, and bypasses the projection modules, so LoRA on them has no effect. This one
has the same weights and the same output (see :func:`matches_transformers`) and calls the
projections as modules.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from emosphere_sb.backbones.dropout import fill_with_mask, keep_mask

TOLERANCE = 1e-4
"""Largest absolute difference that :func:`matches_transformers` accepts, for outputs around 1."""


class GatedAttention(WavLMAttention):
    """``WavLMAttention`` with a faster forward pass, which returns no attention weights.

    It is not instantiated, but assigned as the class of existing modules.
    """

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        index: int = 0,
        **kwargs,
    ) -> tuple[Tensor, None, Tensor]:
        """Apply self-attention, with the arguments and results of ``WavLMAttention.forward``.

        Arguments
        ---------
        hidden_states : torch.Tensor
            Shape (batch, frame, feature).
        attention_mask : torch.Tensor, optional
            1 at valid frames, shape (batch, frame).
        position_bias : torch.Tensor, optional
            Relative position bias of an earlier layer, shape (head, frame, frame).
        index : int
            Number of the layer; ignored.

        Returns
        -------
        tuple
            Output (batch, frame, feature), None, and the relative position bias.
        """
        batch, frames, _ = hidden_states.shape
        if position_bias is None:
            position_bias = self.compute_bias(frames, frames)
        shape = (batch, frames, self.num_heads, self.head_dim)
        gate = self._gate(hidden_states.view(shape))
        query, key, value = (
            projection(hidden_states).view(shape).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        valid = None if attention_mask is None else attention_mask.bool()
        dropout = self.dropout if self.training else 0.0
        output = attend(query, key, value, gate, position_bias, valid, dropout)
        output = output.transpose(1, 2).reshape(batch, frames, self.embed_dim)
        return self.out_proj(output), None, position_bias

    def _gate(self, heads: Tensor) -> Tensor:
        """Return the factor of the bias for each query frame, shape (batch, head, frame)."""
        # transformers sums groups of four of the eight outputs; summing the weights first leaves
        # two outputs to compute.
        weight = self.gru_rel_pos_linear.weight.view(2, 4, -1).sum(1)
        bias = self.gru_rel_pos_linear.bias.view(2, 4).sum(1)
        update, reset = torch.sigmoid(functional.linear(heads, weight, bias)).unbind(-1)
        gate = update * (reset * self.gru_rel_pos_const.view(-1) - 1.0) + 2.0
        return gate.transpose(1, 2)

    def compute_bias(self, query_length: int, key_length: int) -> Tensor:
        """Return the bias (head, frame, frame), a function of the distance between frames."""
        device = self.rel_attn_embed.weight.device
        distances = torch.arange(1 - query_length, key_length, device=device)
        by_distance = self.rel_attn_embed(self._relative_positions_bucket(distances))
        # Row i starts with the distance from frame i to frame 0. Windows give the last row first.
        return by_distance.t().contiguous().unfold(1, key_length, 1).flip(1)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    gate: Tensor,
    bias: Tensor,
    valid: Tensor | None,
    dropout: float = 0.0,
) -> Tensor:
    r"""Compute attention with a gated relative position bias over the valid frames.

    .. math:: \mathrm{softmax}\left(q k^\top / \sqrt{d} + g \cdot b\right) v

    Arguments
    ---------
    query, key, value : torch.Tensor
        Shape (batch, head, frame, feature).
    gate : torch.Tensor
        Factor g of the bias, shape (batch, head, frame).
    bias : torch.Tensor
        Relative position bias b, shape (head, frame, frame).
    valid : torch.Tensor, optional
        True at valid frames, shape (batch, frame). (default: all valid)
    dropout : float
        Dropout probability of the attention weights.

    Returns
    -------
    torch.Tensor
        Shape (batch, head, frame, feature); padded frames have arbitrary values.
    """
    tensors = (query, key, value, gate, bias)
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
        return _fused_attention(*tensors, valid, dropout)
    if query.device.type == "cpu":
        if query.dtype in (torch.float32, torch.float64):
            return _AttendOnCPU.apply(*tensors, valid, dropout)
        # PyTorch's attention with a trained bias needs less memory in bfloat16, but is slower than
        # this in float32.
        with torch.autocast("cpu", enabled=False):
            output = _AttendOnCPU.apply(*(tensor.float() for tensor in tensors), valid, dropout)
        return output.to(query.dtype)
    # Recompute the gated bias (batch, head, frame, frame) in the backward pass: storing it would
    # take most of the memory of a GPU, and it is cheap to compute.
    options = {"use_reentrant": False, "preserve_rng_state": dropout > 0}
    return checkpoint(_fused_attention, *tensors, valid, dropout, **options)


def _fused_attention(query, key, value, gate, bias, valid, dropout) -> Tensor:
    mask = (gate.unsqueeze(-1) * bias).to(query.dtype)
    if valid is not None:
        mask = mask.masked_fill(~valid[:, None, None, :], -torch.inf)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout
    )


class _AttendOnCPU(torch.autograd.Function):
    """Attention of :func:`attend` with gradients on the CPU, one utterance at a time.

    PyTorch's fused CPU kernel has no gradient for the bias. With one utterance at a time, the
    (head, frame, frame) tensors fit into the CPU cache, two buffers are enough for all utterances,
    and no padding is computed. The output is zero at padded frames.
    """

    @staticmethod
    def forward(ctx, query, key, value, gate, bias, valid, dropout):
        batch, heads, frames, size = query.shape
        lengths = [frames] * batch if valid is None else valid.sum(1).tolist()
        ctx.factor, ctx.scale, ctx.lengths = 1 / (1 - dropout), size**-0.5, lengths
        # The layout that the output projection expects, to avoid a copy
        output = query.new_zeros(batch, frames, heads, size).transpose(1, 2)
        buffer, saved = query.new_empty(heads * max(lengths) ** 2), []
        for row, length in enumerate(lengths):
            q, k, v = (tensor[row, :, :length] for tensor in (query, key, value))
            scores = buffer[: heads * length**2].view(heads, length, length)
            torch.mul(gate[row, :, :length, None], bias[:, :length, :length], out=scores)
            scores.baddbmm_(q * ctx.scale, k.transpose(1, 2))
            weights = torch.softmax(scores, -1)
            keep = keep_mask(weights.shape, dropout) if dropout else None
            dropped = weights if keep is None else fill_with_mask(scores, keep).mul_(weights)
            output[row, :, :length] = torch.bmm(dropped, v).mul_(ctx.factor)
            saved += [weights] if keep is None else [weights, keep]
        ctx.save_for_backward(query, key, value, gate, bias, output, *saved)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        query, key, value, gate, bias, output, *saved = ctx.saved_tensors
        step = len(saved) // len(ctx.lengths)
        d_query, d_key, d_value, d_gate, d_bias = (
            torch.zeros_like(tensor) for tensor in (query, key, value, gate, bias)
        )
        first, second = query.new_empty(2, query.shape[1] * max(ctx.lengths) ** 2)
        for row, length in enumerate(ctx.lengths):
            weights, keep = (*saved[row * step : (row + 1) * step], None)[:2]
            shape = weights.shape
            d_scores, buffer = (part[: weights.numel()].view(shape) for part in (first, second))
            q, k, v = (tensor[row, :, :length] for tensor in (query, key, value))
            d_output = gradient[row, :, :length]
            # The gradient of the softmax is weights · (d_weights - sum of weights · d_weights). The
            # sum equals output · d_output, with or without dropout (Dao et al., 2022).
            total = (d_output * output[row, :, :length]).sum(-1, keepdim=True)
            d_output = d_output * ctx.factor
            torch.bmm(d_output, v.transpose(1, 2), out=d_scores)
            dropped = weights
            if keep is not None:
                d_scores.mul_(fill_with_mask(buffer, keep))
                dropped = buffer.mul_(weights)
            d_value[row, :, :length] = torch.bmm(dropped.transpose(1, 2), d_output)
            d_scores.sub_(total).mul_(weights)
            d_query[row, :, :length] = torch.bmm(d_scores, k).mul_(ctx.scale)
            d_key[row, :, :length] = torch.bmm(d_scores.transpose(1, 2), q * ctx.scale)
            d_bias[:, :length, :length].addcmul_(d_scores, gate[row, :, :length, None])
            torch.mul(d_scores, bias[:, :length, :length], out=buffer)
            torch.sum(buffer, -1, out=d_gate[row, :, :length])
        return d_query, d_key, d_value, d_gate, d_bias, None, None


def matches_transformers() -> bool:
    """Return whether this attention matches the installed transformers on a tiny random example.

    This is checked once per process before a WavLM model is modified, because a new version of
    transformers may compute its attention differently.
    """
    state = torch.random.get_rng_state()
    try:
        with torch.device("cpu"):  # released models are first built on the meta device
            return _outputs_match()
    except (AttributeError, TypeError, RuntimeError, ValueError):
        return False
    finally:
        torch.random.set_rng_state(state)


def _outputs_match() -> bool:
    torch.manual_seed(0)
    stock = WavLMAttention(embed_dim=16, num_heads=2, num_buckets=16, max_distance=8).eval()
    fast = WavLMAttention(embed_dim=16, num_heads=2, num_buckets=16, max_distance=8).eval()
    for parameter in stock.parameters():  # torch.nn.init may be disabled
        parameter.data.normal_(std=0.25)
    fast.load_state_dict(stock.state_dict())
    fast.__class__ = GatedAttention
    frames = torch.randn(2, 12, 16)
    mask = torch.arange(12) < torch.tensor([[12], [7]])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns about a call in transformers
        first, second = (module(frames, attention_mask=mask)[0] for module in (stock, fast))
    return bool((first - second)[mask].abs().max() < TOLERANCE)
