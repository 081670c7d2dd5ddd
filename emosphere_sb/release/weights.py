"""Read safetensors files, and create modules without weight initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


@contextmanager
def skip_initialisation() -> Iterator[None]:
    """Skip weight initialisation of modules whose weights are loaded afterwards.

    Initialisation would take most of the loading time. The random state is preserved.
    """
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # not a public API; without it, loading is slower
        no_init_weights = nullcontext
    with torch.random.fork_rng(devices=[]), no_init_weights():
        yield


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    ValueError
        If the file is not a valid safetensors file. Pickle files are never loaded.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is not a valid safetensors file ({error}). Pickle files (.pt, .bin, .ckpt) "
            f"are not supported, because they can contain code."
        ) from error
