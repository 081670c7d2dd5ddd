"""The wide grouped convolution that tells a speech model where a frame stands, through FFT.

wav2vec 2.0 and its relatives add to each frame a convolution over 128 of its neighbours, in 16
groups. On a CPU its backward pass takes as long as several transformer layers; as products of
spectra it takes a third of that, forward half, with the rounding of float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHORTEST_KERNEL = 32
"""Below this many taps the convolution itself is as fast."""


class SpectralConv1d(nn.Conv1d):
    """``torch.nn.Conv1d`` that runs through FFT on a CPU; elsewhere PyTorch's own.

    Never built: the class of a loaded module is set to it, so that its weights, weight norm
    included, stay where they are.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """As ``torch.nn.Conv1d``: (batch, channel, frame)."""
        if frames.device.type != "cpu" or frames.dtype != torch.float32:
            return super().forward(frames)
        kernel, (padding,) = self.kernel_size[0], self.padding
        padded = nn.functional.pad(frames, (padding, padding))
        size = fast_size(padded.shape[-1])
        shape = (frames.shape[0], self.groups, self.in_channels // self.groups, -1)
        # A cyclic correlation over at least the padded length has the true one at its beginning.
        signal = torch.fft.rfft(padded, n=size).view(shape)
        weight = torch.fft.rfft(self.weight, n=size).conj()
        weight = weight.view(self.groups, -1, *weight.shape[1:])
        spectrum = torch.einsum("bgif,goif->bgof", signal, weight).flatten(1, 2)
        output = torch.fft.irfft(spectrum, n=size)[..., : padded.shape[-1] - kernel + 1]
        return output if self.bias is None else output + self.bias.unsqueeze(-1)


def fast_size(length: int) -> int:
    """The smallest length from ``length`` on with no prime factor above 5: FFTs are fast on it.

    Example
    -------
    >>> [fast_size(length) for length in (1, 7, 128, 427)]
    [1, 8, 128, 432]
    """
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def make_fast(model: nn.Module) -> None:
    """Turn the position convolution of a model into a :class:`SpectralConv1d`, in place."""
    embedding = getattr(model.encoder, "pos_conv_embed", None)
    for module in [] if embedding is None else embedding.modules():
        # Weight norm gives the module a class of its own, below PyTorch's.
        if isinstance(module, nn.Conv1d) and is_supported(module):
            kind = type(module)
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
