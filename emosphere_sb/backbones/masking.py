"""Masks of valid frames, used by all modules."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_mask(lengths: Tensor, size: int) -> Tensor:
    """Return a mask that is True at valid frames.

    Arguments
    ---------
    lengths : torch.Tensor
        Number of valid frames (or samples) of each row, shape (batch,).
    size : int
        Number of frames of the padded batch.

    Returns
    -------
    torch.Tensor
        Boolean mask, shape (batch, size).

    Example
    -------
    >>> frame_mask(torch.tensor([2, 1]), 3)
    tensor([[ True,  True, False],
            [ True, False, False]])
    """
    return torch.arange(size, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over valid frames, computed in float32 or higher precision.

    (In bfloat16, counts above 256 would be inexact.)

    Arguments
    ---------
    values : torch.Tensor
        Shape (batch, time, feature).
    mask : torch.Tensor
        True at valid frames, shape (batch, time).

    Returns
    -------
    torch.Tensor
        Shape (batch, feature).
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    total = values.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)
