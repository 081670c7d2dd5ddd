"""Comparison of a model description with the header of its weights."""

import re

import pytest
import torch

from emosphere_sb.release.shapes import WIDTHS, TensorType, check_width

TENSORS = {
    "a": TensorType((24, 3), torch.float32),
    "b": TensorType((2, 40), torch.float32),
    "c": TensorType((), torch.int64),
}


@pytest.mark.parametrize("key", WIDTHS)
@pytest.mark.parametrize("value", [41, 10**9, 10**30, 40.5, float("inf")])
def test_width_above_the_largest_dimension_is_rejected(tmp_path, key, value):
    path = tmp_path / "backbone.json"
    said = re.escape(f"{path}: {key} must be at most 40, the largest dimension of the weights")
    with pytest.raises(ValueError, match=f"{said}; found {re.escape(str(value)[:40])}\\. Do not"):
        check_width({key: value}, TENSORS, path)


@pytest.mark.parametrize("key", WIDTHS)
@pytest.mark.parametrize("value", [40, 1, 0, -1, None, "40"])
def test_other_widths_are_left_to_the_next_check(tmp_path, key, value):
    check_width({key: value}, TENSORS, tmp_path)
    check_width({}, {}, tmp_path)
