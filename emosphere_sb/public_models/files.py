"""Read the files of a public checkpoint: configuration, weights (tensors only) and licence."""

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
"""File names of weights, in order of preference; if none exists, a single ``*.pt`` file is used."""


def read_configuration(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` as a mapping, without executing anything it refers to."""
    return read_json(folder / CONFIGURATION)


def weights_file(folder: Path) -> Path:
    """Return the path of the weights file.

    Raises
    ------
    ValueError
        If no weights file or more than one ``*.pt`` file exists.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.pt"))
    if len(others) != 1:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ValueError(
            f"{folder} must contain the weights as {', '.join(WEIGHTS)} or a single *.pt "
            f"file; found {found}."
        )
    return others[0]


def weight_names(path: Path) -> set[str]:
    """Return the names of the weights without reading their values.

    Raises
    ------
    ValueError
        If the file is invalid (see :func:`read_state`).
    """
    if path.suffix != ".safetensors":
        return set(_load_pickle(path, "meta"))
    try:
        with safe_open(path, framework="pt") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise _safetensors_error(path, error) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Read all weights as float32, by name.

    Arguments
    ---------
    path : Path
        Path of a safetensors file, or of a ``torch.save`` file that contains only tensors.

    Raises
    ------
    ValueError
        If the file is damaged, is a pickle file named ``.safetensors``, or contains anything but
        tensors.
    """
    if path.suffix != ".safetensors":
        state = _load_pickle(path, "cpu")
    else:
        from safetensors.torch import load_file

        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise _safetensors_error(path, error) from error
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def select_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Select the weights with a prefix, and remove the prefix from their names.

    Example
    -------
    >>> select_prefix({"head.bias": torch.zeros(1), "body.bias": torch.ones(1)}, "head.")
    {'bias': tensor([0.])}
    """
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def read_licence(folder: Path, default: str) -> str:
    """Return the licence from the metadata of the model card, or ``default`` if none is named."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    named = re.search(r"^license:[ \t]*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return f"{named[1]} (see its model card for details)" if named else default


def _load_pickle(path: Path, device: str) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} is damaged or contains something other than tensors: {reason} Download it "
            f"again, or use a safetensors file."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f"{path} must contain a mapping of names to tensors; found a {type(state).__name__} "
            f"whose contents are not named tensors. Use a safetensors file."
        )
    return dict(state)


def _safetensors_error(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is not a valid safetensors file ({error}). Pickle files are not supported."
    )
