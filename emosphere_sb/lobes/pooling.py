"""Pooling of the frames of an utterance into one vector, regardless of padding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emosphere_sb.backbones.masking import frame_mask, masked_mean
from emosphere_sb.backbones.weight_cache import WeightCache

INITIALISATIONS = ("normal", "uniform")
"""Initial values of the score vector of :class:`AttentiveStatsPooling`."""


class StylePooling(nn.Module):
    """Style pooling with multi-head self-attention (Cho et al., 2025, section 2).

    It consists of two fully connected layers (spectral), two gated convolutions with residual
    connections (temporal), self-attention with a residual connection, a fully connected layer, and
    the mean over the valid frames, as in the style encoder of Meta-StyleSpeech (Min et al., 2021).

    Arguments
    ---------
    input_size : int
        Number of features per frame.
    width : int
        Size of every layer and of the output vector, ``output_size`` (in the paper: 1024).
    heads : int
        Number of attention heads (in the paper: 2).
    kernel_size : int
        Kernel size of the temporal convolutions in frames (in the paper: 5); must be odd.
    dropout : float
        Dropout probability after each spectral layer, each gated convolution, and the attention,
        and of the attention weights (in the official code: 0.1).
    attention_scale : str or float
        Factor for the attention scores: ``d_model`` for 1 / sqrt(width) (in the paper: 1/32),
        ``d_head`` for the usual 1 / sqrt(width / heads), or a positive number.

    Raises
    ------
    ValueError
        If ``width`` is not divisible by ``heads``, the kernel size is even, or the scale is
        invalid.

    Example
    -------
    >>> pooling = StylePooling(16, 32)
    >>> pooling(torch.randn(2, 7, 16), torch.tensor([7, 4])).shape
    torch.Size([2, 32])
    """

    def __init__(
        self,
        input_size: int,
        width: int = 1024,
        heads: int = 2,
        kernel_size: int = 5,
        dropout: float = 0.1,
        attention_scale: str | float = "d_model",
    ):
        super().__init__()
        self.output_size = width
        self.spectral = nn.Sequential(
            nn.Linear(input_size, width), nn.Mish(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.Mish(), nn.Dropout(dropout),
        )  # fmt: skip
        self.temporal = nn.ModuleList(
            GatedConvolution(width, kernel_size, dropout) for _ in range(2)
        )
        self.attention = SelfAttention(width, heads, dropout, attention_scale)
        self.output = nn.Linear(width, width)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool the frames of each utterance.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (batch, time, feature).
        lengths : torch.Tensor
            Number of valid frames of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Shape (batch, ``output_size``).
        """
        mask = frame_mask(lengths, frames.shape[1])
        hidden = self.spectral(frames)  # (batch, time, width)
        for convolution in self.temporal:
            hidden = convolution(hidden.masked_fill(~mask.unsqueeze(-1), 0.0))
        hidden = self.attention(hidden, mask)
        return masked_mean(self.output(hidden), mask)


class GatedConvolution(nn.Module):
    """Convolution over time with a gated linear unit, dropout and a residual connection.

    It is taken from Meta-StyleSpeech (Min et al., 2021).
    """

    def __init__(self, width: int, kernel_size: int = 5, dropout: float = 0.1):
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, so that the number of frames does not change; found "
                f"{kernel_size}."
            )
        self.convolution = nn.Conv1d(width, 2 * width, kernel_size, padding=kernel_size // 2)
        self.dropout = nn.Dropout(dropout)
        self._cache = WeightCache()

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform frames (batch, time, width); padded frames must be zero."""
        gated = F.glu(self._convolve(hidden), dim=-1)  # (batch, time, width)
        return hidden + self.dropout(gated)

    def _convolve(self, hidden: Tensor) -> Tensor:
        conv, (margin,) = self.convolution, self.convolution.padding
        if hidden.device.type != "cpu":
            return conv(hidden.transpose(1, 2)).transpose(1, 2)
        # On the CPU, one matrix product per kernel tap is twice as fast. The utterances are
        # concatenated with margins in between; windows that cross utterances are removed.
        batch, time = hidden.shape[:2]
        rows = F.pad(hidden, (0, 0, margin, margin)).flatten(0, 1)
        count = len(rows) - 2 * margin
        output = conv.bias
        for tap, weight in enumerate(self._taps()):
            output = torch.addmm(output, rows[tap : tap + count], weight)
        output = F.pad(output, (0, 0, 0, 2 * margin))
        return output.unflatten(0, (batch, time + 2 * margin))[:, :time]

    def _taps(self) -> Tensor:
        """Return the kernel as (tap, in, out); a contiguous copy is cached in evaluation."""
        weight = self.convolution.weight
        if self.training or torch.is_grad_enabled():
            self._cache.clear()
            return weight.permute(2, 1, 0)
        return self._cache.get([weight], lambda: weight.permute(2, 1, 0).contiguous())


class SelfAttention(nn.Module):
    """Multi-head self-attention over valid frames, with a residual connection but no layer norm."""

    def __init__(self, width: int, heads: int, dropout: float, scale: str | float = "d_model"):
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(
                f"width ({width}) must be divisible by heads ({heads}), which must be at least 1."
            )
        self.heads = heads
        self.scale = attention_scale(scale, width, heads)
        self.query, self.key, self.value, self.project = (nn.Linear(width, width) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Transform frames (batch, time, width); ``mask`` (batch, time) is True at valid frames."""
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )  # (batch, heads, time, width / heads)
        attended = self._attend(query, key, value, mask[:, None, None, :])
        return hidden + self.dropout(self.project(attended.transpose(1, 2).flatten(-2)))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Compute attention; in training, attention weights are dropped, as in the official code.

        The fused kernels are used only without dropout, because each draws different masks.
        """
        if not self.training or self.dropout.p == 0:
            return F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, scale=self.scale
            )
        scores = self.scale * query @ key.transpose(-2, -1)
        weights = self.dropout(scores.masked_fill(~mask, -math.inf).softmax(dim=-1))
        return weights @ value


def attention_scale(scale: str | float, width: int, heads: int) -> float:
    """Return the factor for the attention scores, given as ``d_model``, ``d_head`` or a number."""
    named = {"d_model": 1 / math.sqrt(width), "d_head": 1 / math.sqrt(width / heads)}
    if isinstance(scale, (int, float)) and not isinstance(scale, bool) and 0 < scale < math.inf:
        return float(scale)
    if not isinstance(scale, str) or scale not in named:
        raise ValueError(
            f"attention_scale must be d_model (1/sqrt(width), as in the paper), d_head, or a "
            f"positive number; found {scale!r}."
        )
    return named[scale]


class MeanPooling(nn.Module):
    """Mean over the valid frames.

    Example
    -------
    >>> MeanPooling(1)(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))
    tensor([[2.]])
    """

    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = input_size

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool frames (batch, time, feature), with valid counts (batch,), to (batch, feature)."""
        return masked_mean(frames, frame_mask(lengths, frames.shape[1]))


class AttentiveStatsPooling(nn.Module):
    """Attentive statistics pooling: weighted mean and SD over time (Okabe et al., 2018).

    It is used by the baseline of the Interspeech 2025 challenge and in the paper's ablation of
    style pooling.

    Arguments
    ---------
    input_size : int
        Number of features per frame; ``output_size`` is twice as large.
    initialisation : str
        Initial values of the score vector: ``normal`` for N(0, 1), as in the official code, with
        which a few frames get most of the weight; or ``uniform`` for PyTorch's default of a linear
        layer, with which all frames initially get almost the same weight.

    Raises
    ------
    ValueError
        If the initialisation is unknown.

    Example
    -------
    >>> AttentiveStatsPooling(16)(torch.randn(2, 7, 16), torch.tensor([7, 4])).shape
    torch.Size([2, 32])
    """

    def __init__(self, input_size: int, initialisation: str = "normal"):
        super().__init__()
        if initialisation not in INITIALISATIONS:
            raise ValueError(
                f"initialisation must be one of {', '.join(INITIALISATIONS)}; found "
                f"{initialisation!r}."
            )
        self.output_size = 2 * input_size
        self.hidden = nn.Linear(input_size, input_size)
        self.score = nn.Linear(input_size, 1, bias=False)
        if initialisation == "normal":
            nn.init.normal_(self.score.weight)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pool frames (batch, time, feature), with valid counts (batch,), to (batch, 2·feature)."""
        mask = frame_mask(lengths, frames.shape[1])
        # In float32, because the variance of a long utterance is inaccurate in fp16.
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
            frames = frames.masked_fill(~mask.unsqueeze(-1), 0.0)
            scores = self.score(torch.tanh(self.hidden(frames))).squeeze(-1)  # (batch, time)
            weights = scores.masked_fill(~mask, -math.inf).softmax(dim=1).unsqueeze(-1)
            mean = (weights * frames).sum(dim=1)
            variance = (weights * (frames - mean.unsqueeze(1)).square()).sum(dim=1)
            return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=-1)
