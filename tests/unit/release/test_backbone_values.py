"""Values of a backbone's configuration that would only fail when audio is processed."""

import math
import re

import pytest

from emosphere_sb.release.backbone_values import check_values


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_bucket_distance": 0}, "max_bucket_distance must be greater than 0; found 0"),
        ({"max_bucket_distance": -5}, "max_bucket_distance must be greater than 0; found -5"),
        # 16 buckets, 8 per direction, 4 of which for single distances: log(4 / 4) = 0
        ({"max_bucket_distance": 4, "num_buckets": 16}, "must be greater than 4; found 4"),
        ({"max_bucket_distance": 80, "num_buckets": 320}, "must be greater than 80; found 80"),
        ({"conv_stride": [5, 0]}, "conv_stride[1] must be greater than 0; found 0"),
        ({"conv_stride": (-2, 5)}, "conv_stride[0] must be greater than 0; found -2"),
        ({"conv_kernel": [5, 0]}, "conv_kernel[1] must be greater than 0; found 0"),
        ({"layer_norm_eps": -1e-5}, "layer_norm_eps must be greater than 0; found -1e-05"),
        ({"layer_norm_eps": math.nan}, "layer_norm_eps must be greater than 0; found nan"),
        ({"adapter_stride": 0}, "adapter_stride must be greater than 0; found 0"),
        ({"squeeze_factor": 0}, "squeeze_factor must be greater than 0; found 0"),
    ],
)
def test_value_out_of_range_is_rejected_with_file_and_key(tmp_path, settings, said):
    path = tmp_path / "backbone.json"
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as error:
        check_values(settings, path)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"max_bucket_distance": 5, "num_buckets": 16}, {"max_bucket_distance": 800},
        {"conv_stride": [5, 2], "conv_kernel": [10, 3], "layer_norm_eps": 1e-5},
        {"layer_norm_eps": "text", "conv_stride": 3, "num_buckets": "many"},  # by transformers
    ],
)  # fmt: skip
def test_other_values_are_accepted(tmp_path, settings):
    check_values(settings, tmp_path)
