"""The convolutional feature encoder of wav2vec 2.0 and its relatives as matrix products.

Same weights, same frames as transformers' own, in less time, and the same for an utterance alone
and in a padded batch:

- Frames stay in the layout (time, channel), so that each convolution is a few matrix products on
  views of its input (no window is copied), and layer norm needs no transposition.
- Group norm over time is an affine map of the first convolution, which has one input channel: its
  mean and variance follow from those of the windows of the waveform (10 by 10 numbers), taken over
  the utterance's own samples. It costs nothing, and padding cannot leak through it.
- On a CPU each utterance runs by itself, so that padding is never computed, and a frozen encoder
  goes through it piece by piece, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emosphere_sb.backbones.dropout import is_gelu
from emosphere_sb.backbones.masking import frame_mask
from emosphere_sb.backbones.weight_cache import Kept

PIECE = 250
"""Frames (20 ms each) of a piece: the first convolution's output then takes 32 MB."""

TERMS = 128
"""Products that are summed at a time. One long sum is twice as far from a float64 run as a
convolution is, which sums in parts too; shorter ones go through memory too often."""


class FeatureEncoder(nn.Module):
    """Takes the place of transformers' ``…FeatureEncoder`` and keeps its weights and their names.

    Arguments
    ---------
    original : torch.nn.Module
        One for which :func:`is_supported` is true.

    Attributes
    ----------
    lengths : torch.Tensor, optional
        Shape (batch,): valid samples of the batch that comes next; ``None``: all are valid.
    """

    def __init__(self, original: nn.Module):
        super().__init__()
        self.conv_layers = original.conv_layers
        self.gradient_checkpointing = False
        self.lengths: Tensor | None = None
        self._blocks = [Kept() for _ in self.conv_layers]

    def _freeze_parameters(self) -> None:
        """The name by which transformers freezes it."""
        self.requires_grad_(False)

    def forward(self, signals: Tensor) -> Tensor:
        """Frames (batch, channel, frame) of (batch, sample), zero where padded."""
        lengths = self.lengths
        if lengths is None:
            lengths = torch.full((len(signals),), signals.shape[1], device=signals.device)
        frozen = not any(parameter.requires_grad for parameter in self.parameters())
        run = self._by_row if signals.device.type == "cpu" else self._together
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                return checkpoint(run, signals, lengths, use_reentrant=False).transpose(1, 2)
            return run(signals, lengths).transpose(1, 2)

    def _by_row(self, signals: Tensor, lengths: Tensor) -> Tensor:
        size = number_of_frames(self.conv_layers, signals.shape[1])
        rows = []
        for signal, length in zip(signals, lengths.tolist(), strict=True):
            frames = self._utterance(signal[:length])
            rows.append(nn.functional.pad(frames, (0, 0, 0, size - len(frames))))
        return torch.stack(rows)

    def _utterance(self, signal: Tensor) -> Tensor:
        """One utterance: (sample,) to (frame, channel)."""
        first = self._first(signal, torch.tensor([len(signal)]))
        count = number_of_frames(self.conv_layers, len(signal))
        if count < 1:
            field = extent(self.conv_layers)[0]
            raise ValueError(f"A frame needs {field} samples; found {len(signal)}.")
        if torch.is_grad_enabled():
            return self._stack(signal, *first)
        field, jump = extent(self.conv_layers)
        starts = range(0, count, PIECE)
        ends = (min(start + PIECE, count) for start in starts)
        pieces = [
            self._stack(signal[start * jump : (end - 1) * jump + field], *first)
            for start, end in zip(starts, ends, strict=True)
        ]
        return torch.cat(pieces)

    def _together(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """A padded batch at once, as a GPU likes it."""
        frames = self._stack(signals, *self._first(signals, lengths))
        valid = number_of_frames(self.conv_layers, lengths)
        mask = frame_mask(valid, frames.shape[1])
        return frames.masked_fill(~mask.unsqueeze(-1), 0.0)

    def _first(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the first convolution, group norm included."""
        layer = self.conv_layers[0]
        weight, bias = layer.conv.weight[:, 0].t(), layer.conv.bias
        norm = getattr(layer, "layer_norm", None)
        if not isinstance(norm, nn.GroupNorm):
            return weight, bias
        windows = signals.double().unfold(-1, layer.conv.kernel_size[0], layer.conv.stride[0])
        return fold_group_norm(windows, number_of_frames([layer], lengths), weight.double(), norm)

    def _stack(self, signals: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """All convolutions: (…, sample) to (…, frame, channel)."""
        conv = self.conv_layers[0].conv
        windows = signals.unfold(-1, conv.kernel_size[0], conv.stride[0])
        if bias is not None and windows.dim() == 2:
            frames = torch.addmm(bias, windows, weight)
        else:
            frames = windows @ weight
            frames = frames if bias is None else frames + bias
        frames = _finish(self.conv_layers[0], frames)
        for number, layer in enumerate(self.conv_layers[1:], start=1):
            frames = _finish(layer, convolve(frames, self._blocks_of(number), layer.conv))
        return frames

    def _blocks_of(self, number: int) -> list[Tensor]:
        """A convolution's weight as the factors of :func:`convolve`, kept while it is frozen."""
        conv = self.conv_layers[number].conv
        if conv.weight.requires_grad:
            self._blocks[number].clear()
            return blocks_of(conv)
        return self._blocks[number].get([conv.weight], lambda: blocks_of(conv))


def is_supported(original: nn.Module) -> bool:
    """Whether a feature encoder consists of what :class:`FeatureEncoder` computes."""
    layers = getattr(original, "conv_layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        return False
    return all(_is_plain(layer, first=number == 0) for number, layer in enumerate(layers))


def _is_plain(layer: nn.Module, *, first: bool) -> bool:
    conv, norm = getattr(layer, "conv", None), getattr(layer, "layer_norm", None)
    return (
        isinstance(conv, nn.Conv1d)
        and (conv.padding, conv.dilation, conv.groups) == ((0,), (1,), 1)
        and conv.kernel_size[0] >= conv.stride[0]
        and (conv.in_channels == 1 or not first)
        and (
            norm is None
            or isinstance(norm, nn.LayerNorm)
            or (first and isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels)
        )
    )


def fold_group_norm(
    windows: Tensor, counts: Tensor, weight: Tensor, norm: nn.GroupNorm
) -> tuple[Tensor, Tensor]:
    """First convolution and group norm over time as one affine map, for each utterance.

    A channel is w·x for the windows x of the waveform, so that its mean over time is w·mean(x) and
    its variance w·Cov(x)·w. A bias of the convolution cancels.

    Arguments
    ---------
    windows : torch.Tensor
        Shape (…, window, kernel), float64.
    counts : torch.Tensor
        Valid windows of each utterance.
    weight : torch.Tensor
        Shape (kernel, channel), float64.
    norm : torch.nn.GroupNorm
        With a group for each channel.

    Returns
    -------
    tuple
        Weight (…, kernel, channel) and bias (…, 1, channel), in the norm's own precision.
    """
    valid = frame_mask(counts, windows.shape[-2]).reshape(*windows.shape[:-1], 1)
    total = counts.reshape(*windows.shape[:-2], 1, 1)
    centre = (windows * valid).sum(-2, keepdim=True) / total
    windows = (windows - centre) * valid
    covariance = windows.transpose(-1, -2) @ windows / total
    variance = ((covariance @ weight) * weight).sum(-2, keepdim=True)
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    bias = norm.bias.double() - (centre @ weight) * scale
    return (weight * scale).to(norm.weight.dtype), bias.to(norm.weight.dtype)


def blocks_of(conv: nn.Conv1d) -> list[Tensor]:
    """A convolution's weight (out, in, kernel) as factors (taps · in, out), ``stride`` taps each.

    Taps that do not fill a stride stand alone.
    """
    weight = conv.weight.permute(2, 1, 0)
    step, kernel = conv.stride[0], conv.kernel_size[0]
    whole = kernel - kernel % step
    cuts = [*range(0, whole, step), *range(whole, kernel), kernel]
    return [
        weight[start:end].reshape(-1, conv.out_channels).contiguous()
        for start, end in pairwise(cuts)
    ]


def convolve(frames: Tensor, blocks: Sequence[Tensor], conv: nn.Conv1d) -> Tensor:
    """A convolution without padding on (…, frame, channel), as matrix products on views of it.

    The first ``stride`` taps of all windows lie behind one another without overlap: as rows of
    ``stride · channel`` numbers they are the frames themselves.
    """
    step, channels = conv.stride[0], frames.shape[-1]
    count = (frames.shape[-2] - conv.kernel_size[0]) // step + 1
    autocast = torch.is_autocast_enabled(frames.device.type)  # which no operation in place heeds
    output, offset = None, 0
    for block in blocks:
        taps = block.shape[0] // channels
        if taps == step:
            part = frames.narrow(-2, offset, count * step)
            part = part.reshape(*frames.shape[:-2], count, step * channels)
        else:
            part = frames[..., offset : offset + (count - 1) * step + 1 : step, :]
        offset += taps
        if part.dim() == 2 and not (torch.is_grad_enabled() or autocast):
            output = _add_product(output, part, block)
        else:
            product = part @ block
            output = product if output is None else output + product
    return output if conv.bias is None else output + conv.bias


def _add_product(output: Tensor | None, part: Tensor, block: Tensor) -> Tensor:
    """``output + part @ block`` in sums of :data:`TERMS` products, in place."""
    for start in range(0, len(block), TERMS):
        rows, columns = part[:, start : start + TERMS], block[start : start + TERMS]
        output = rows @ columns if output is None else output.addmm_(rows, columns)
    return output


def _finish(layer: nn.Module, frames: Tensor) -> Tensor:
    """Layer norm where there is one (group norm is folded in before), and the activation."""
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.LayerNorm):
        frames = norm(frames)
    if not torch.is_grad_enabled() and is_gelu(layer.activation):
        return torch.ops.aten.gelu_(frames)  # in place: a quarter of the memory traffic
    return layer.activation(frames)


def number_of_frames(layers: Sequence[nn.Module], samples: int | Tensor) -> int | Tensor:
    """Frames that a stack of convolutions makes of a number of samples, or of a tensor of them."""
    for layer in layers:
        samples = (samples - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
    return samples


def number_of_frames_of(config, samples: int | Tensor) -> int | Tensor:
    """The same from a model's configuration: frames before any adapter."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def extent(layers: Sequence[nn.Module]) -> tuple[int, int]:
    """Samples that a frame sees, and samples from one frame to the next."""
    field, jump = 1, 1
    for layer in layers:
        field += (layer.conv.kernel_size[0] - 1) * jump
        jump *= layer.conv.stride[0]
    return field, jump
