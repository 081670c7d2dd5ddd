"""Read weights as tensors alone, into modules that were built without drawing any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


@contextmanager
def unfilled() -> Iterator[None]:
    """Skip weight initialisation in modules built inside; all weights are loaded afterwards.

    Initialisation takes longer than all the rest of loading. The caller's random state is kept.
    """
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # no public name: without it, weights are initialised, which is slower
        no_init_weights = nullcontext
    with torch.random.fork_rng(devices=[]), no_init_weights():
        yield


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    ValueError
        If it is not one: a pickle under that name is refused, not read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is no safetensors file ({error}). Weights are read as tensors alone; a pickle "
            f"(.pt, .bin, .ckpt) under another name is refused."
        ) from error
