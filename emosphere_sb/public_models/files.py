"""The files of a public checkpoint: configuration, weights as tensors alone, and its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from emosphere_sb.release.checksums import read_json

CONFIGURATION = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Names of the weights, the one that is preferred first; then any one ``*.pt``."""


def configuration_of(folder: Path) -> dict[str, Any]:
    """``config.json`` as a mapping; nothing that it names is run."""
    return read_json(folder / CONFIGURATION)


def weights_file(folder: Path) -> Path:
    """The file of weights.

    Raises
    ------
    ValueError
        If there is none, or several of which none has a usual name.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.pt"))
    if len(others) != 1:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ValueError(
            f"{folder} must hold the weights as {', '.join(WEIGHTS)} or one *.pt; found {found}."
        )
    return others[0]


def weight_names(path: Path) -> set[str]:
    """Names of the weights, without reading them.

    Raises
    ------
    ValueError
        As :func:`read_state`.
    """
    if path.suffix != ".safetensors":
        return set(_unpickled(path, "meta"))
    try:
        with safe_open(path, framework="pt") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise _no_safetensors(path, error) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """All weights in float32, by name.

    Arguments
    ---------
    path : Path
        safetensors; or a file of ``torch.save``, of which tensors alone are read.

    Raises
    ------
    ValueError
        If it is damaged, a pickle under the name of safetensors, or holds anything but tensors.
    """
    if path.suffix != ".safetensors":
        state = _unpickled(path, "cpu")
    else:
        from safetensors.torch import load_file

        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise _no_safetensors(path, error) from error
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def take(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights under a prefix, without it.

    Example
    -------
    >>> take({"head.bias": torch.zeros(1), "body.bias": torch.ones(1)}, "head.")
    {'bias': tensor([0.])}
    """
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def licence_of(folder: Path, otherwise: str) -> str:
    """The licence that the card in the folder names; ``otherwise`` where there is no card.

    It is read from the card's own head, where HuggingFace's cards have it.
    """
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    named = re.search(r"^license:[ \t]*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return f"{named[1]} (its model card, which may say more)" if named else otherwise


def _unpickled(path: Path, device: str) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} must hold tensors alone and be whole; it is not read: {reason} Get it again, "
            f"or as safetensors."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f"{path} must hold a mapping of names to tensors; found {type(state).__name__} with "
            f"something else in it."
        )
    return dict(state)


def _no_safetensors(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is no safetensors file ({error}). A pickle under that name is refused."
    )
