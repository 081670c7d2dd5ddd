"""Check values of a backbone's configuration that would only fail when audio is processed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

POSITIVE = ("layer_norm_eps", "adapter_stride", "squeeze_factor")
"""Keys whose value must be positive."""
POSITIVE_LISTS = ("conv_stride", "conv_kernel")
"""Keys whose values must all be positive."""
DISTANCE = "max_bucket_distance"
"""Distance, in frames, from which WavLM's relative position bias is constant."""


def check_values(settings: Mapping[str, Any], path: Path) -> None:
    """Check values that transformers accepts but cannot compute with.

    The check covers values that no weight depends on. Shapes are compared with the weights, and
    types are checked by transformers.

    Arguments
    ---------
    settings : mapping
        Content of the configuration.
    path : Path
        Path of the configuration, for error messages.

    Raises
    ------
    ValueError
        If a value is out of range.

    Example
    -------
    >>> check_values({"num_buckets": 320, "max_bucket_distance": 800}, Path("backbone.json"))
    >>> check_values({"num_buckets": 320, "max_bucket_distance": 0}, Path("backbone.json"))
    Traceback (most recent call last):
    ValueError: backbone.json: max_bucket_distance must be greater than 80; found 0. Do not use \
this model, or download it again.
    """
    for key in POSITIVE:
        _check_above(0, settings.get(key), key, path)
    for key in POSITIVE_LISTS:
        values = settings.get(key)
        for number, value in enumerate(values if isinstance(values, (list, tuple)) else []):
            _check_above(0, value, f"{key}[{number}]", path)
    buckets = settings.get("num_buckets")
    # Half of the buckets are for each direction, and half of these for single distances. The
    # logarithm of the distance, relative to the number of the latter, must be positive.
    single = buckets // 4 if isinstance(buckets, int) else 0
    _check_above(max(0, single), settings.get(DISTANCE), DISTANCE, path)


def _check_above(limit: float, value: object, key: str, path: Path) -> None:
    if isinstance(value, (int, float)) and not value > limit:
        raise ValueError(
            f"{path}: {key} must be greater than {limit}; found {str(value)[:40]}. Do not use this "
            f"model, or download it again."
        )
