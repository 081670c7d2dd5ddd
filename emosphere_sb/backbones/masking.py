"""Masks from numbers of valid frames: one place, so that every lobe means the same by a length."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_mask(lengths: Tensor, size: int) -> Tensor:
    """True where a frame is valid.

    Arguments
    ---------
    lengths : torch.Tensor
        Shape (batch,), number of valid frames (or samples) of each row.
    size : int
        Number of frames of the padded batch.

    Returns
    -------
    torch.Tensor
        Shape (batch, size), bool.

    Example
    -------
    >>> frame_mask(torch.tensor([2, 1]), 3)
    tensor([[ True,  True, False],
            [ True, False, False]])
    """
    return torch.arange(size, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid frames: (batch, time, feature) and (batch, time) give (batch, feature).

    In float32 at least: bfloat16 cannot count beyond 256 frames.
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    total = values.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)
