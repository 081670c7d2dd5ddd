"""Masks from lengths, and masked means."""

import math

import pytest
import torch

from emosphere_sb.backbones.masking import frame_mask, masked_mean


def test_frame_mask_by_hand():
    found = frame_mask(torch.tensor([3, 0, 1]), 3)
    assert found.tolist() == [[True] * 3, [False] * 3, [True, False, False]]


def test_length_beyond_the_batch_gives_a_full_mask():
    assert frame_mask(torch.tensor([9]), 2).all()


@pytest.mark.parametrize("padding", [0.0, 1e30, math.inf, math.nan])
def test_mean_ignores_padding(padding):
    values = torch.tensor([[[1.0], [3.0], [padding]]], requires_grad=True)
    mean = masked_mean(values, frame_mask(torch.tensor([2]), 3))
    mean.sum().backward()
    assert mean.item() == 2.0
    assert values.grad.flatten().tolist() == [0.5, 0.5, 0.0]


def test_mean_keeps_float64():
    values = torch.tensor([[[1.0], [1.0 + 2e-12]]], dtype=torch.float64)
    assert masked_mean(values, torch.ones(1, 2, dtype=torch.bool)).item() == 1.0 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_mean_is_computed_in_float32(dtype):
    # float16 cannot represent 70,000, and bfloat16 cannot represent 1,001
    values = torch.full((1, 1001, 1), 70.0, dtype=dtype)
    mean = masked_mean(values, torch.ones(1, 1001, dtype=torch.bool))
    assert mean.dtype == torch.float32 and mean.item() == 70.0


def test_mean_without_frames_is_zero():
    assert masked_mean(torch.ones(1, 2, 1), frame_mask(torch.tensor([0]), 2)).item() == 0.0
