"""Public information about the origin of a released model: terms, protocol and command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

from emosphere_sb.recipe.corpora import corpus_module

CONTACT_OWNERS = "Contact the owners of the training data before you share weights trained on it."
SYNTHETIC_TERMS = "Trained on synthetic speech only; no corpus terms apply."
OMITTED = "…"
"""Replacement for local paths."""


def corpus_of(protocol: Mapping[str, Any]) -> ModuleType:
    """Return the module of the training corpus of a run."""
    return corpus_module(protocol["corpus"])


def licence_of(protocol: Mapping[str, Any]) -> str:
    """Return the terms of use of the weights: corpus terms and licence of the SSL model."""
    own = SYNTHETIC_TERMS
    if not protocol["synthetic"]:
        own = getattr(corpus_of(protocol), "TERMS", CONTACT_OWNERS)
    if str(protocol["backbone"]).endswith(".json"):  # random weights without a licence
        return own
    name = public_name(protocol["backbone"])
    return f"{own} The weights are derived from {name}, whose licence also applies."


def public_protocol(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's protocol without local paths."""
    return {**_public(protocol), "backbone": public_name(protocol["backbone"])}


def public_name(backbone: str) -> str:
    """Return the Hub name of a backbone, or the last part of its local path.

    Example
    -------
    >>> public_name("microsoft/wavlm-large"), public_name("/data/models/wavlm-tuned")
    ('microsoft/wavlm-large', 'wavlm-tuned')
    """
    text = str(backbone)
    return text if is_hub_name(text) else PureWindowsPath(text).name or text


def is_hub_name(backbone: str) -> bool:
    """Return whether a backbone is a name on the Hub rather than a local path."""
    text = str(backbone)
    one = text.count("/") == 1 and not text.startswith((".", "/", "~"))
    return one and "\\" not in text and not Path(text).exists() and not text.endswith(".json")


def public_command(command: str) -> str:
    """Replace local paths in a command line.

    Example
    -------
    >>> public_command("python recipes/IEMOCAP/train.py a.yaml '--data_folder=/my data' --fold=3")
    'python recipes/IEMOCAP/train.py a.yaml --data_folder=… --fold=3'
    """
    words = []
    for word in shlex.split(command):
        option, sign, value = word.partition("=")
        if sign and option.startswith("--"):
            words.append(f"{option}={OMITTED}" if _is_path(value) else shlex.quote(word))
        else:
            words.append(OMITTED if _is_path(word) else shlex.quote(word))
    return " ".join(words)


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(item) for item in value]
    return PureWindowsPath(value).name if isinstance(value, str) and _is_path(value) else value


def _is_path(text: str) -> bool:
    """Return whether text is a path outside the repository."""
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return absolute or text.startswith(("~", "../", "..\\"))
