"""Compare a model description with the header of its weights before the model is built.

A description is untrusted: one with a million layers would build for minutes. The weights file
lists the name, shape and type of each tensor in its header, so the description is built without
memory first (on PyTorch's ``meta`` device), and only as far as the header allows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules import module as hooks

from emosphere_sb.release.weights import skip_initialisation

MODULES_PER_TENSOR = 8
"""Modules without weights (activations, dropout, lists) per tensor; real models have about 2."""
PARAMETERS_PER_TENSOR = 2
"""Parametrised weights are registered twice."""
SLACK = 200
WIDTHS = ("hidden_size", "d_model", "output_hidden_size")
"""Keys of a backbone's configuration with the length of its frames."""

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""Types of tensors in the header of a safetensors file."""


class TensorType(NamedTuple):
    """Shape and type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype | str


def read_tensor_types(path: Path) -> dict[str, TensorType]:
    """Return the shape and type of each tensor of a safetensors file, from its header.

    Raises
    ------
    ValueError
        If the file is not a valid safetensors file, or is empty. Pickle files are never loaded.
    """
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {
                name: TensorType(tuple(part.get_shape()), DTYPES.get(part.get_dtype(), "unknown"))
                for name, part in slices.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is not a valid safetensors file ({error}). Pickle files (.pt, .bin, .ckpt) "
            f"are not supported, because they can contain code."
        ) from error
    if not found:
        raise ValueError(f"{path} must contain tensors; found none. Download the model again.")
    return found


def build_without_memory(
    build: Callable[[], nn.Module], tensors: Mapping[str, TensorType], source: str
) -> nn.Module:
    """Build a model on the ``meta`` device, and stop if it has many more parts than the weights.

    Arguments
    ---------
    build : callable
        Function that builds the model.
    tensors : mapping
        Tensors of the weights file.
    source : str
        Names of the files that describe the model, for error messages.

    Raises
    ------
    ValueError
        If the model is too large for its weights, or cannot be built.
    """
    try:
        with skip_initialisation(), _limited(len(tensors), source), torch.device("meta"):
            return build()
    except _TooLargeError as error:
        raise ValueError(str(error)) from None
    except (ArithmeticError, RuntimeError, IndexError, AssertionError, MemoryError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{source}: the model cannot be built ({type(error).__name__}: "
            f"{reason}). Download the model again."
        ) from error


def check_width(settings: Mapping[str, Any], tensors: Mapping[str, TensorType], path: Path) -> None:
    """Check that the backbone is not wider than the largest dimension of its weights.

    Some transformers models allocate a vector of this length even on the ``meta`` device.

    Arguments
    ---------
    settings : mapping
        Content of ``backbone.json``.
    tensors : mapping
        Tensors of the weights file.
    path : Path
        Path of ``backbone.json``, for error messages.

    Raises
    ------
    ValueError
        If it is wider.
    """
    largest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    for key in WIDTHS:
        value = settings.get(key, 0)
        if isinstance(value, (int, float)) and value > largest:
            raise ValueError(
                f"{path}: {key} must be at most {largest:,}, the largest dimension of the weights; "
                f"found {str(value)[:40]}. Do not use this model, or download it again."
            )


class _TooLargeError(Exception):
    """Raised inside constructors; no library catches it."""


@contextmanager
def _limited(tensors: int, source: str) -> Iterator[None]:
    """Count the modules and parameters that this thread registers, and raise at a limit."""
    limits = {
        "modules": MODULES_PER_TENSOR * tensors + SLACK,
        "parameters": PARAMETERS_PER_TENSOR * tensors + SLACK,
    }
    counts = dict.fromkeys(limits, 0)
    thread = threading.get_ident()

    def count(kind: str) -> None:
        if threading.get_ident() != thread:
            return
        counts[kind] += 1
        if counts[kind] > limits[kind]:
            raise _TooLargeError(
                f"{source}: the model has too many {kind} for its weights, which have "
                f"{tensors:,} tensors. Do not use this model, or download it again."
            )

    handles = [
        hooks.register_module_module_registration_hook(lambda *_: count("modules")),
        hooks.register_module_parameter_registration_hook(lambda *_: count("parameters")),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def differing_tensors(model: nn.Module, tensors: Mapping[str, TensorType]) -> list[str]:
    """Return the sorted names of tensors that differ in presence, shape or type."""
    expected = {
        name: TensorType(tuple(value.shape), value.dtype)
        for name, value in model.state_dict().items()
    }
    return sorted(
        name for name in expected.keys() | tensors.keys() if expected.get(name) != tensors.get(name)
    )
