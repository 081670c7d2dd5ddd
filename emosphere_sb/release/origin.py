"""Where a released model comes from, as it can be told to everybody: terms, protocol, command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

from emosphere_sb.recipe.corpora import corpus_module

ASK = "Ask the owners of the training data before sharing weights trained on it."
SYNTHETIC_TERMS = "Trained on synthetic speech alone: no corpus's terms apply."
LEFT_OUT = "…"
"""Stands where a path of somebody's machine was."""


def corpus_of(protocol: Mapping[str, Any]) -> ModuleType:
    """The module of the corpus that a run was trained on."""
    return corpus_module(protocol["corpus"])


def licence_of(protocol: Mapping[str, Any]) -> str:
    """What binds the weights: terms of the corpus, and the licence of the SSL model in them."""
    own = SYNTHETIC_TERMS
    if not protocol["synthetic"]:
        own = getattr(corpus_of(protocol), "TERMS", ASK)
    if str(protocol["backbone"]).endswith(".json"):  # random weights: nobody's
        return own
    name = public_name(protocol["backbone"])
    return f"{own} The weights are made from those of {name}, whose licence applies as well."


def public_protocol(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A run's protocol without the paths of the machine that it ran on."""
    return {**_public(protocol), "backbone": public_name(protocol["backbone"])}


def public_name(backbone: str) -> str:
    """A backbone as anybody can read it: a name on the hub, or the last part of a path.

    Example
    -------
    >>> public_name("microsoft/wavlm-large"), public_name("/data/models/wavlm-tuned")
    ('microsoft/wavlm-large', 'wavlm-tuned')
    """
    text = str(backbone)
    return text if hub_name(text) else PureWindowsPath(text).name or text


def hub_name(backbone: str) -> bool:
    """Whether a backbone is named as on the hub, and is no folder here."""
    text = str(backbone)
    one = text.count("/") == 1 and not text.startswith((".", "/", "~"))
    return one and "\\" not in text and not Path(text).exists() and not text.endswith(".json")


def public_command(command: str) -> str:
    """A command line without the paths of the machine that it ran on.

    Example
    -------
    >>> public_command("python recipes/IEMOCAP/train.py a.yaml '--data_folder=/my data' --fold=3")
    'python recipes/IEMOCAP/train.py a.yaml --data_folder=… --fold=3'
    """
    words = []
    for word in shlex.split(command):
        option, sign, value = word.partition("=")
        if sign and option.startswith("--"):
            words.append(f"{option}={LEFT_OUT}" if _is_path(value) else shlex.quote(word))
        else:
            words.append(LEFT_OUT if _is_path(word) else shlex.quote(word))
    return " ".join(words)


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(item) for item in value]
    return PureWindowsPath(value).name if isinstance(value, str) and _is_path(value) else value


def _is_path(text: str) -> bool:
    """Whether it says where something lies outside of the repository."""
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return absolute or text.startswith(("~", "../", "..\\"))
