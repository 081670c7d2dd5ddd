"""Faster convolutional feature encoder of the wav2vec 2.0 family.

It has the same weights and, up to rounding, the same output as the encoder of transformers, but is
faster, and an utterance has the same frames alone and in a padded batch:

- Frames keep the layout (time, channel). Each convolution is a few matrix products on views of its
  input (no window is copied), and layer norm needs no transposition. On the CPU, PyTorch's
  convolution is faster if there is neither layer norm nor a gradient.
- Group norm over time is folded into the first convolution, which has one input channel: its mean
  and variance follow from the mean and the covariance matrix (10 by 10) of the windows of the
  waveform. These are computed over the valid samples only, so padding has no effect.
- On the CPU each utterance runs separately, so no padding is computed. A frozen encoder processes
  an utterance in chunks, so its memory does not grow with the duration.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emosphere_sb.backbones.dropout import is_gelu
from emosphere_sb.backbones.masking import frame_mask
from emosphere_sb.backbones.weight_cache import WeightCache

CHUNK_FRAMES = 250
"""Frames (20 ms each) per chunk; the output of the first convolution then takes 32 MB."""

PARTIAL_SUM = 128
"""Number of products per partial sum. A single long sum has twice the rounding error of PyTorch's
convolution (measured against float64), which uses partial sums too; shorter sums are slower."""


class FeatureEncoder(nn.Module):
    """Replacement for transformers' ``…FeatureEncoder``, with the same ``state_dict`` keys.

    Arguments
    ---------
    original : torch.nn.Module
        Transformers feature encoder for which :func:`is_supported_encoder` returns True.

    Attributes
    ----------
    lengths : torch.Tensor, optional
        Number of valid samples of each row of the next batch, shape (batch,); ``None`` if there is
        no padding.
    """

    def __init__(self, original: nn.Module):
        super().__init__()
        self.conv_layers = original.conv_layers
        self.gradient_checkpointing = False
        self.lengths: Tensor | None = None
        self._blocks = [WeightCache() for _ in self.conv_layers]
        norms = (getattr(layer, "layer_norm", None) for layer in self.conv_layers)
        self._has_layer_norm = any(isinstance(norm, nn.LayerNorm) for norm in norms)

    def _freeze_parameters(self) -> None:
        """Freeze all parameters; transformers calls this method."""
        self.requires_grad_(False)

    def forward(self, signals: Tensor) -> Tensor:
        """Encode signals (batch, sample) as frames (batch, channel, frame), zero where padded."""
        lengths = self.lengths
        if lengths is None:
            lengths = torch.full((len(signals),), signals.shape[1], device=signals.device)
        frozen = not any(parameter.requires_grad for parameter in self.parameters())
        run = self._encode_rows if signals.device.type == "cpu" else self._encode_batch
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                return checkpoint(run, signals, lengths, use_reentrant=False).transpose(1, 2)
            return run(signals, lengths).transpose(1, 2)

    def _encode_rows(self, signals: Tensor, lengths: Tensor) -> Tensor:
        size = frame_count(self.conv_layers, signals.shape[1])
        rows = []
        for signal, length in zip(signals, lengths.tolist(), strict=True):
            frames = self._encode_utterance(signal[:length])
            rows.append(nn.functional.pad(frames, (0, 0, 0, size - len(frames))))
        return torch.stack(rows)

    def _encode_utterance(self, signal: Tensor) -> Tensor:
        """Encode one utterance (sample,) as (frame, channel)."""
        first = self._first_conv(signal, torch.tensor([len(signal)]))
        count = frame_count(self.conv_layers, len(signal))
        if count < 1:
            field = receptive_field_and_hop(self.conv_layers)[0]
            raise ValueError(
                f"The signal must contain at least {field} samples (one frame); found "
                f"{len(signal)}."
            )
        if torch.is_grad_enabled():
            return self._apply_convs(signal, *first)
        field, jump = receptive_field_and_hop(self.conv_layers)
        apply_convs = self._apply_convs if self._has_layer_norm else self._convolve_directly
        starts = range(0, count, CHUNK_FRAMES)
        ends = (min(start + CHUNK_FRAMES, count) for start in starts)
        pieces = [
            apply_convs(signal[start * jump : (end - 1) * jump + field], *first)
            for start, end in zip(starts, ends, strict=True)
        ]
        return torch.cat(pieces)

    def _encode_batch(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch at once, which is faster on a GPU."""
        frames = self._apply_convs(signals, *self._first_conv(signals, lengths))
        valid = frame_count(self.conv_layers, lengths)
        mask = frame_mask(valid, frames.shape[1])
        return frames.masked_fill(~mask.unsqueeze(-1), 0.0)

    def _first_conv(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias of the first convolution with group norm folded in."""
        layer = self.conv_layers[0]
        weight, bias = layer.conv.weight[:, 0].t(), layer.conv.bias
        norm = getattr(layer, "layer_norm", None)
        if not isinstance(norm, nn.GroupNorm):
            return weight, bias
        windows = signals.double().unfold(-1, layer.conv.kernel_size[0], layer.conv.stride[0])
        return fold_group_norm(windows, frame_count([layer], lengths), weight.double(), norm)

    def _apply_convs(self, signals: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply all convolutions to (…, sample); return (…, frame, channel)."""
        conv = self.conv_layers[0].conv
        windows = signals.unfold(-1, conv.kernel_size[0], conv.stride[0])
        if bias is not None and windows.dim() == 2:
            frames = torch.addmm(bias, windows, weight)
        else:
            frames = windows @ weight
            frames = frames if bias is None else frames + bias
        frames = _finish(self.conv_layers[0], frames)
        for number, layer in enumerate(self.conv_layers[1:], start=1):
            frames = _finish(layer, convolve(frames, self._kernel_blocks(number), layer.conv))
        return frames

    def _convolve_directly(self, signal: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply all convolutions with PyTorch's operator; for a CPU, without layer norm."""
        weights = [weight.t().unsqueeze(1), *(layer.conv.weight for layer in self.conv_layers[1:])]
        biases = [None if bias is None else bias.flatten()]
        biases += [layer.conv.bias for layer in self.conv_layers[1:]]
        frames = signal.view(1, 1, -1)
        for layer, kernel, offset in zip(self.conv_layers, weights, biases, strict=True):
            frames = nn.functional.conv1d(frames, kernel, offset, layer.conv.stride)
            frames = _finish(layer, frames)
        return frames[0].t()

    def _kernel_blocks(self, number: int) -> list[Tensor]:
        """Return the weight as blocks for :func:`convolve`, cached while the weight is frozen."""
        conv = self.conv_layers[number].conv
        if conv.weight.requires_grad:
            self._blocks[number].clear()
            return kernel_blocks(conv)
        return self._blocks[number].get([conv.weight], lambda: kernel_blocks(conv))


def is_supported_encoder(original: nn.Module) -> bool:
    """Return whether :class:`FeatureEncoder` supports all layers of a feature encoder."""
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
    """Combine the first convolution and group norm over time into one affine map per utterance.

    The output of a channel with weight w is w·x for each window x of the waveform, so its mean over
    time is w·mean(x) and its variance is w·Cov(x)·w. A bias of the convolution cancels out.

    Arguments
    ---------
    windows : torch.Tensor
        Windows of the waveform, shape (…, window, kernel), float64.
    counts : torch.Tensor
        Number of valid windows of each utterance.
    weight : torch.Tensor
        Weight of the convolution, shape (kernel, channel), float64.
    norm : torch.nn.GroupNorm
        Group norm with one group per channel.

    Returns
    -------
    tuple of torch.Tensor
        Weight (…, kernel, channel) and bias (…, 1, channel), in the dtype of the norm.
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


def kernel_blocks(conv: nn.Conv1d) -> list[Tensor]:
    """Split the weight (out, in, kernel) of a convolution into blocks (taps · in, out).

    A block has ``stride`` taps. Taps left over at the end of the kernel get a block each.
    """
    weight = conv.weight.permute(2, 1, 0)
    step, kernel = conv.stride[0], conv.kernel_size[0]
    full = kernel - kernel % step
    cuts = [*range(0, full, step), *range(full, kernel), kernel]
    return [
        weight[start:end].reshape(-1, conv.out_channels).contiguous()
        for start, end in pairwise(cuts)
    ]


def convolve(frames: Tensor, blocks: Sequence[Tensor], conv: nn.Conv1d) -> Tensor:
    """Apply an unpadded convolution to (…, frame, channel) as matrix products on views of it.

    The first ``stride`` taps of consecutive windows are adjacent in memory and do not overlap, so
    a reshape to rows of ``stride · channel`` numbers yields them without a copy.
    """
    step, channels = conv.stride[0], frames.shape[-1]
    count = (frames.shape[-2] - conv.kernel_size[0]) // step + 1
    autocast = torch.is_autocast_enabled(frames.device.type)  # ignored by in-place operations
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
    """Add ``part @ block`` to ``output`` in place, in sums of :data:`PARTIAL_SUM` products."""
    for start in range(0, len(block), PARTIAL_SUM):
        rows, columns = part[:, start : start + PARTIAL_SUM], block[start : start + PARTIAL_SUM]
        output = rows @ columns if output is None else output.addmm_(rows, columns)
    return output


def _finish(layer: nn.Module, frames: Tensor) -> Tensor:
    """Apply the layer norm, if any, and the activation; group norm is already folded in."""
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.LayerNorm):
        frames = norm(frames)
    if not torch.is_grad_enabled() and is_gelu(layer.activation):
        return torch.ops.aten.gelu_(frames)  # in place: a quarter of the memory traffic
    return layer.activation(frames)


def frame_count(layers: Sequence[nn.Module], samples: int | Tensor) -> int | Tensor:
    """Return the number of frames that a stack of convolutions outputs for a number of samples."""
    for layer in layers:
        samples = (samples - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
    return samples


def frame_count_from_config(config, samples: int | Tensor) -> int | Tensor:
    """Return the number of frames before any adapter, computed from a model's configuration."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def receptive_field_and_hop(layers: Sequence[nn.Module]) -> tuple[int, int]:
    """Return the receptive field and the hop of a stack of convolutions, in samples."""
    field, jump = 1, 1
    for layer in layers:
        field += (layer.conv.kernel_size[0] - 1) * jump
        jump *= layer.conv.stride[0]
    return field, jump
