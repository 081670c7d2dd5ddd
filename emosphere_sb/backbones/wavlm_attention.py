"""WavLM's attention with its gated relative position bias (Chen et al., 2022), without the waste.

transformers asks for attention weights that nobody reads, repeats the bias for every utterance, and
reads the projections' weights past their modules, so that LoRA on them does nothing. Here the same
weights give the same output, through the projections as modules.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from emosphere_sb.backbones.dropout import drop_mask

TOLERANCE = 1e-4
"""How far the two may be apart on the numbers of :func:`agrees`, which are of the order of 1."""


class GatedAttention(WavLMAttention):
    """transformers' ``WavLMAttention`` with another forward pass: no attention weights.

    Never built: the class of a loaded module is set to it.
    """

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        index: int = 0,
        **kwargs,
    ) -> tuple[Tensor, None, Tensor]:
        """As transformers': (batch, frame, feature); the mask (batch, frame) is 1 where valid."""
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
        """How much of the bias each frame takes: (batch, head, frame)."""
        # The eight outputs are summed in fours: summing the weights first does it in two.
        weight = self.gru_rel_pos_linear.weight.view(2, 4, -1).sum(1)
        bias = self.gru_rel_pos_linear.bias.view(2, 4).sum(1)
        update, reset = torch.sigmoid(functional.linear(heads, weight, bias)).unbind(-1)
        gate = update * (reset * self.gru_rel_pos_const.view(-1) - 1.0) + 2.0
        return gate.transpose(1, 2)

    def compute_bias(self, query_length: int, key_length: int) -> Tensor:
        """Bias (head, frame, frame), which depends on the distance of two frames alone."""
        device = self.rel_attn_embed.weight.device
        distances = torch.arange(1 - query_length, key_length, device=device)
        by_distance = self.rel_attn_embed(self._relative_positions_bucket(distances))
        # Row i begins at the distance of frame 0 from frame i: the last row first, then turned.
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
    """softmax(q·k / sqrt(d) + gate · bias) · v over valid frames.

    Arguments
    ---------
    query, key, value : torch.Tensor
        Shape (batch, head, frame, feature).
    gate : torch.Tensor
        Shape (batch, head, frame).
    bias : torch.Tensor
        Shape (head, frame, frame).
    valid : torch.Tensor, optional
        Shape (batch, frame), bool; ``None``: all are.
    dropout : float
        Probability that an attention weight is left out.

    Returns
    -------
    torch.Tensor
        Shape (batch, head, frame, feature); what stands at padded frames means nothing.
    """
    tensors = (query, key, value, gate, bias)
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
        return _fused(*tensors, valid, dropout)
    if query.device.type == "cpu" and query.dtype in (torch.float32, torch.float64):
        return _AttendOnCPU.apply(*tensors, valid, dropout)
    # The bias of all utterances and heads is made again in the backward pass: it is what fills the
    # memory of a GPU, and costs little.
    return checkpoint(_fused, *tensors, valid, dropout, use_reentrant=False)


def _fused(query, key, value, gate, bias, valid, dropout) -> Tensor:
    mask = (gate.unsqueeze(-1) * bias).to(query.dtype)
    if valid is not None:
        mask = mask.masked_fill(~valid[:, None, None, :], -torch.inf)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout
    )


class _AttendOnCPU(torch.autograd.Function):
    """The same with its gradients, utterance by utterance, over its own frames alone.

    PyTorch's fused kernel for CPUs has no gradient for the bias. One utterance's (head, frame,
    frame) stays in the cache through all passes over it, in two buffers that all utterances share,
    and padding is never computed: padded frames give zeros.
    """

    @staticmethod
    def forward(ctx, query, key, value, gate, bias, valid, dropout):
        batch, heads, frames, size = query.shape
        lengths = [frames] * batch if valid is None else valid.sum(1).tolist()
        ctx.factor, ctx.scale, ctx.lengths = 1 / (1 - dropout), size**-0.5, lengths
        # In the layout that the output projection reads, so that nobody copies it
        output = query.new_zeros(batch, frames, heads, size).transpose(1, 2)
        buffer, kept = query.new_empty(heads * max(lengths) ** 2), []
        for row, length in enumerate(lengths):
            q, k, v = (tensor[row, :, :length] for tensor in (query, key, value))
            scores = buffer[: heads * length**2].view(heads, length, length)
            torch.mul(gate[row, :, :length, None], bias[:, :length, :length], out=scores)
            scores.baddbmm_(q * ctx.scale, k.transpose(1, 2))
            weights = torch.softmax(scores, -1)
            drop = drop_mask(weights.shape, dropout) if dropout else None
            dropped = weights if drop is None else scores.copy_(weights).masked_fill_(drop, 0.0)
            output[row, :, :length] = torch.bmm(dropped, v).mul_(ctx.factor)
            kept += [weights] if drop is None else [weights, drop]
        ctx.save_for_backward(query, key, value, gate, bias, output, *kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        query, key, value, gate, bias, output, *kept = ctx.saved_tensors
        step = len(kept) // len(ctx.lengths)
        d_query, d_key, d_value, d_gate, d_bias = (
            torch.zeros_like(tensor) for tensor in (query, key, value, gate, bias)
        )
        first, second = query.new_empty(2, query.shape[1] * max(ctx.lengths) ** 2)
        for row, length in enumerate(ctx.lengths):
            weights, drop = (*kept[row * step : (row + 1) * step], None)[:2]
            shape = weights.shape
            d_scores, buffer = (part[: weights.numel()].view(shape) for part in (first, second))
            q, k, v = (tensor[row, :, :length] for tensor in (query, key, value))
            d_output = gradient[row, :, :length]
            # Of the softmax: weights · (d_weights - sum of weights · d_weights), and that sum is
            # the product of the output with its gradient, dropout or not (Dao et al., 2022).
            total = (d_output * output[row, :, :length]).sum(-1, keepdim=True)
            d_output = d_output * ctx.factor
            torch.bmm(d_output, v.transpose(1, 2), out=d_scores)
            dropped = weights
            if drop is not None:
                d_scores.masked_fill_(drop, 0.0)
                dropped = buffer.copy_(weights).masked_fill_(drop, 0.0)
            d_value[row, :, :length] = torch.bmm(dropped.transpose(1, 2), d_output)
            d_scores.sub_(total).mul_(weights)
            d_query[row, :, :length] = torch.bmm(d_scores, k).mul_(ctx.scale)
            d_key[row, :, :length] = torch.bmm(d_scores.transpose(1, 2), q * ctx.scale)
            d_bias[:, :length, :length].addcmul_(d_scores, gate[row, :, :length, None])
            torch.mul(d_scores, bias[:, :length, :length], out=buffer)
            torch.sum(buffer, -1, out=d_gate[row, :, :length])
        return d_query, d_key, d_value, d_gate, d_bias, None, None


def agrees() -> bool:
    """Whether this attention gives what the installed transformers' does, on a tiny example.

    Asked once a process, before a WavLM is changed: transformers may change underneath.
    """
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        stock = WavLMAttention(embed_dim=16, num_heads=2, num_buckets=16, max_distance=8).eval()
        ours = WavLMAttention(embed_dim=16, num_heads=2, num_buckets=16, max_distance=8).eval()
        for parameter in stock.parameters():  # not left to torch.nn.init, which may be switched off
            parameter.data.normal_(std=0.25)
        ours.load_state_dict(stock.state_dict())
        ours.__class__ = GatedAttention
        frames = torch.randn(2, 12, 16)
        mask = torch.arange(12) < torch.tensor([[12], [7]])
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch on how transformers asks it
            first, second = (module(frames, attention_mask=mask)[0] for module in (stock, ours))
        return bool((first - second)[mask].abs().max() < TOLERANCE)
    except (AttributeError, TypeError, RuntimeError, ValueError):
        return False
    finally:
        torch.random.set_rng_state(state)
