"""Dropout on a CPU at a third of its time: four decisions from one random number of 64 bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def drop_mask(shape: Sequence[int], dropout: float) -> Tensor:
    """True where an element is dropped, from PyTorch's own generator: the same seed, the same mask.

    Arguments
    ---------
    shape : sequence of int
        Of the mask.
    dropout : float
        Probability of True, met to within 1/131072.
    """
    count = math.prod(shape)
    numbers = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    limit = round(dropout * 2**16) - 2**15
    return (numbers.view(torch.int16)[:count] < limit).view(shape)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, dropout):
        drop = drop_mask(values.shape, dropout)
        ctx.save_for_backward(drop)
        ctx.factor = 1 / (1 - dropout)
        # Not a product with the mask, which would first be copied to floating point.
        return values.masked_fill(drop, 0.0).mul_(ctx.factor)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (drop,) = ctx.saved_tensors
        return gradient.masked_fill(drop, 0.0).mul_(ctx.factor), None


class FastDropout(nn.Dropout):
    """``torch.nn.Dropout`` with :func:`drop_mask` on a CPU; elsewhere PyTorch's own.

    Never built: the class of a loaded module is set to it.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Drop in training, pass on in evaluation."""
        if values.device.type != "cpu" or not self.training or not 0 < self.p < 1:
            return super().forward(values)
        return _Drop.apply(values, self.p)


class _GeluDrop(torch.autograd.Function):
    """GELU, then dropout: what the one makes the other changes in place, forward and backward."""

    @staticmethod
    def forward(ctx, values, dropout):
        drop = drop_mask(values.shape, dropout)
        ctx.save_for_backward(values, drop)
        ctx.factor = 1 / (1 - dropout)
        return torch.ops.aten.gelu(values).masked_fill_(drop, 0.0).mul_(ctx.factor)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        values, drop = ctx.saved_tensors
        through = torch.ops.aten.gelu_backward(gradient, values)
        return through.masked_fill_(drop, 0.0).mul_(ctx.factor), None


class GeluDropout(nn.Dropout):
    """The exact GELU and the dropout behind it, in one; on a CPU with :func:`drop_mask`."""

    def forward(self, values: Tensor) -> Tensor:
        """GELU; in training with dropout."""
        if values.device.type != "cpu" or not self.training or not 0 < self.p < 1:
            return super().forward(nn.functional.gelu(values))
        return _GeluDrop.apply(values, self.p)


def is_gelu(activation: nn.Module) -> bool:
    """Whether it is the exact GELU; transformers has a class of its own for it."""
    if isinstance(activation, nn.GELU):
        return activation.approximate == "none"
    return type(activation).__name__ == "GELUActivation" and activation.act is nn.functional.gelu


def make_fast(model: nn.Module) -> None:
    """Turn the dropout layers of a model into :class:`FastDropout`, in place.

    In feed-forward layers (all relatives of wav2vec 2.0 name their parts alike) activation and
    dropout become a :class:`GeluDropout`.
    """
    for module in model.modules():
        dropout = getattr(module, "intermediate_dropout", None)
        activation = getattr(module, "intermediate_act_fn", None)
        if type(dropout) is nn.Dropout and activation is not None and is_gelu(activation):
            module.intermediate_act_fn = GeluDropout(dropout.p).train(dropout.training)
            module.intermediate_dropout = nn.Identity()
    for module in model.modules():
        if type(module) is nn.Dropout and not module.inplace:
            module.__class__ = FastDropout
