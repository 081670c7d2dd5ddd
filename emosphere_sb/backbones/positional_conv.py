"""FFT implementation of the convolutional positional embedding of the wav2vec 2.0 family.

These models add to each frame the output of a grouped convolution with 128 taps and 16 groups. On
the CPU, its backward pass takes as long as several transformer layers. With FFT, the backward pass
takes a third of the time and the forward pass half of the time. The outputs are equal up to float32
rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.weight_cache import WeightCache

MIN_KERNEL_SIZE = 32
"""Smallest number of taps for which FFT is faster than direct convolution."""

SEGMENT_KERNELS = 4
"""Length of a segment as a multiple of the kernel size. Shorter segments discard a larger part of
the output; longer ones need larger spectra of the weights."""

MIN_TRAINING_FRAMES = 1200
"""Smallest number of frames in a batch for which FFT is faster in training (the spectrum of the
weights is then recomputed in each step)."""


class SpectralConv1d(nn.Conv1d):
    """``torch.nn.Conv1d`` that uses FFT on the CPU; unchanged on other devices.

    It is not instantiated; :func:`patch_positional_conv` assigns it as the class of an existing
    module, which keeps its weights and weight norm.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve (batch, channel, frame), as ``torch.nn.Conv1d`` does."""
        kernel, (padding,) = self.kernel_size[0], self.padding
        if self.training or self._is_trained():
            # Cleared in any case: autograd's version counters do not record the updates of fused
            # optimisers, so the cache could not detect that the weights have changed.
            self.weight_cache.clear()
        count = frames.shape[-1] + 2 * padding - kernel + 1
        if (
            frames.device.type != "cpu"
            or frames.dtype not in (torch.float32, torch.bfloat16)
            or (self._is_trained() and count * len(frames) < MIN_TRAINING_FRAMES)
            or count < 1  # PyTorch raises an informative error
        ):
            return super().forward(frames)
        # Overlap-save: segments overlap by one kernel, and the first `step` values of a segment's
        # circular correlation are valid. All segments share one spectrum of the weights.
        size = SEGMENT_KERNELS * kernel
        step = size - kernel + 1
        segments = -(-count // step)
        end = (segments - 1) * step + size - frames.shape[-1] - padding
        # FFT in float32 is also faster than direct convolution in bfloat16
        windows = nn.functional.pad(frames.float(), (padding, end)).unfold(-1, size, step)
        signal = torch.fft.rfft(windows).unflatten(1, (self.groups, -1))
        # (group, frequency, batch · segment, in), so that each frequency is a matrix product
        signal = signal.permute(1, 4, 0, 3, 2).flatten(2, 3)
        product = signal @ self._spectrum(size)
        product = product.unflatten(2, (len(frames), segments)).permute(2, 0, 4, 3, 1).flatten(1, 2)
        output = torch.fft.irfft(product, n=size)[..., :step].flatten(2)[..., :count]
        output = output if self.bias is None else output + self.bias.unsqueeze(-1)
        return output.to(frames.dtype)

    def _is_trained(self) -> bool:
        return torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())

    def _spectrum(self, size: int) -> Tensor:
        """Return the spectrum of the weights, shape (group, frequency, in, out)."""
        if self.training or self._is_trained():
            return self._transform(size)
        # With weight norm, the weight is computed from these parameters.
        return self.weight_cache.get(self.parameters(), lambda: self._transform(size).contiguous())

    def _transform(self, size: int) -> Tensor:
        spectrum = torch.fft.rfft(self.weight.float(), n=size).unflatten(0, (self.groups, -1))
        return spectrum.permute(0, 3, 2, 1).conj()


def patch_positional_conv(model: nn.Module) -> None:
    """Replace the positional convolution of a model with :class:`SpectralConv1d`, in place."""
    embedding = getattr(model.encoder, "pos_conv_embed", None)
    for module in [] if embedding is None else embedding.modules():
        # Weight norm gives the module a subclass of nn.Conv1d.
        if isinstance(module, nn.Conv1d) and is_supported_convolution(module):
            kind = type(module)
            module.weight_cache = WeightCache()
            if kind is nn.Conv1d:
                module.__class__ = SpectralConv1d
            else:
                module.__class__ = type(kind.__name__, (_Parametrized, kind), {})


class _Parametrized(SpectralConv1d):
    """Base class that precedes the class created by ``torch.nn.utils.parametrize``."""


def is_supported_convolution(conv: nn.Conv1d) -> bool:
    """Return whether a convolution can be computed with FFT and is faster that way."""
    return (
        conv.kernel_size[0] >= MIN_KERNEL_SIZE
        and (conv.stride, conv.dilation) == ((1,), (1,))
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )
