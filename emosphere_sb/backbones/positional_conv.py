"""The wide grouped convolution that tells a speech model where a frame stands, through FFT.

wav2vec 2.0 and its relatives add to each frame a convolution over 128 of its neighbours, in 16
groups. On a CPU its backward pass takes as long as several transformer layers; as products of
spectra it takes a third of that, forward half, with the rounding of float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.weight_cache import Kept

SHORTEST_KERNEL = 32
"""Below this many taps the convolution itself is as fast."""

SEGMENT = 4
"""Kernels that a segment is long: shorter ones compute more of what is thrown away, longer ones
read larger spectra of the weights."""

FEW_FRAMES = 1200
"""Below this many frames of a batch, training's spectra of the weights cost more than they save."""


class SpectralConv1d(nn.Conv1d):
    """``torch.nn.Conv1d`` that runs through FFT on a CPU; elsewhere PyTorch's own.

    Never built: the class of a loaded module is set to it, so that its weights, weight norm
    included, stay where they are.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """As ``torch.nn.Conv1d``: (batch, channel, frame)."""
        kernel, (padding,) = self.kernel_size[0], self.padding
        if self.training or self._learns():
            # Whatever computes this pass: a step that follows may be one that autograd does not
            # count, as fused optimisers' are.
            self.kept.clear()
        count = frames.shape[-1] + 2 * padding - kernel + 1
        if (
            (frames.device.type, frames.dtype) != ("cpu", torch.float32)
            or (self._learns() and count * len(frames) < FEW_FRAMES)
            or count < 1  # PyTorch's error says what is missing
        ):
            return super().forward(frames)
        # Segments of one size, which overlap by a kernel (overlap-save): a cyclic correlation has
        # the true one at its beginning. One size means one spectrum of the weights.
        size = SEGMENT * kernel
        step = size - kernel + 1
        segments = -(-count // step)
        end = (segments - 1) * step + size - frames.shape[-1] - padding
        windows = nn.functional.pad(frames, (padding, end)).unfold(-1, size, step)
        signal = torch.fft.rfft(windows).unflatten(1, (self.groups, -1))
        # (group, frequency, batch · segment, in), so that each frequency is a matrix product
        signal = signal.permute(1, 4, 0, 3, 2).flatten(2, 3)
        product = signal @ self._spectrum(size)
        product = product.unflatten(2, (len(frames), segments)).permute(2, 0, 4, 3, 1).flatten(1, 2)
        output = torch.fft.irfft(product, n=size)[..., :step].flatten(2)[..., :count]
        return output if self.bias is None else output + self.bias.unsqueeze(-1)

    def _learns(self) -> bool:
        return torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())

    def _spectrum(self, size: int) -> Tensor:
        """The weights' (group, frequency, in, out)."""
        if self.training or self._learns():
            return self._transform(size)
        # The parameters are what weight norm makes the weight of.
        return self.kept.get(self.parameters(), lambda: self._transform(size).contiguous())

    def _transform(self, size: int) -> Tensor:
        spectrum = torch.fft.rfft(self.weight, n=size).unflatten(0, (self.groups, -1))
        return spectrum.permute(0, 3, 2, 1).conj()


def make_fast(model: nn.Module) -> None:
    """Turn the position convolution of a model into a :class:`SpectralConv1d`, in place."""
    embedding = getattr(model.encoder, "pos_conv_embed", None)
    for module in [] if embedding is None else embedding.modules():
        # Weight norm gives the module a class of its own, below PyTorch's.
        if isinstance(module, nn.Conv1d) and is_supported(module):
            kind = type(module)
            module.kept = Kept()
            if kind is nn.Conv1d:
                module.__class__ = SpectralConv1d
            else:
                module.__class__ = type(kind.__name__, (_Parametrized, kind), {})


class _Parametrized(SpectralConv1d):
    """The same before a class that ``torch.nn.utils.parametrize`` made for a module."""


def is_supported(conv: nn.Conv1d) -> bool:
    """Whether it is a convolution as this module computes it, and wide enough to gain by it."""
    return (
        conv.kernel_size[0] >= SHORTEST_KERNEL
        and (conv.stride, conv.dilation) == ((1,), (1,))
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )
