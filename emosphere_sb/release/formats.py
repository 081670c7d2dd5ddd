"""Formats of ``emosphere.json``: the current one, and how older ones are read. Requires no torch.

======  ==========  ============================================================================
format  written by  a part of the model
======  ==========  ============================================================================
1       0.1         class name, and constructor arguments by position
2       0.2         class name, and every constructor argument by name
======  ==========  ============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 2
"""Rises when an older reader would misread what is written."""
READABLE = (1, 2)
REQUIRES = "emosphere-sb>=0.2.0"
"""The versions that read :data:`FORMAT`; raise both together."""

FORMAT_1_PARAMETERS = {
    "StylePooling": (
        "input_size", "width", "heads", "kernel_size", "dropout", "attention_scale",
    ),
    "AttentiveStatsPooling": ("input_size",),
    "MeanPooling": ("input_size",),
    "VADHead": ("input_size", "hidden_size", "dropout"),
    "EmotionHead": ("input_size", "output_size", "hidden_size", "dropout"),
}  # fmt: skip
"""Constructor parameters of each class, in the order that format 1 stores arguments in.

Frozen: the signatures at commit 2dd617f, whatever they are today.
"""
FORMAT_1_DEFAULTS = {
    "StylePooling": {
        "width": 1024, "heads": 2, "kernel_size": 5, "dropout": 0.1, "attention_scale": "d_model",
    },
    "VADHead": {"hidden_size": 1024, "dropout": 0.5},
    "EmotionHead": {"hidden_size": 1024, "dropout": 0.5},
}  # fmt: skip
"""Values of arguments that a description in format 1 leaves out. Frozen as well."""
BUILT_BY_CLASS = ("pooling", "vad_head", "class_head")
"""Parts that are stored as a class and its arguments."""


def format_header() -> dict[str, Any]:
    """Return the fields that each description begins with: its format, and what reads it."""
    return {"format": FORMAT, "requires": REQUIRES}


def check_format(configuration: Mapping[str, Any], path: Path) -> int:
    """Return the format of a description.

    Arguments
    ---------
    configuration : mapping
        The content of ``emosphere.json``.
    path : Path
        Path of the file, for the message.

    Raises
    ------
    ValueError
        If this version does not read the format, with the version that does.

    Example
    -------
    >>> check_format({"format": 1}, Path("emosphere.json"))
    1
    """
    found = configuration.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found in READABLE:
        return found
    # The file may be anybody's: its text goes into a command only if it is a plain version.
    requires = str(configuration.get("requires"))
    known = re.fullmatch(r"emosphere-sb>=\d+(\.\d+)*", requires)
    needed = f"{requires}: pip install '{requires}'" if known else "a newer version"
    raise ValueError(
        f"{path} has format {found}; this version of emosphere-sb reads formats "
        f"{' and '.join(map(str, READABLE))}. Update to {needed}."
    )


def upgrade(configuration: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a description in the current format.

    Arguments
    ---------
    configuration : mapping
        The content of ``emosphere.json``, in any readable format.
    path : Path
        Path of the file, for messages.

    Raises
    ------
    ValueError
        If this version does not read the format, or a part is not described as in its format.
    """
    if check_format(configuration, path) == FORMAT:
        return dict(configuration)
    parts = configuration.get("parts")
    if not isinstance(parts, Mapping):
        raise ValueError(f"{path} must describe the parts of a model; found {parts!r}.")
    named = {
        key: name_arguments(part) if key in BUILT_BY_CLASS and part is not None else part
        for key, part in parts.items()
    }
    return {**configuration, **format_header(), "parts": named}


def name_arguments(description: Any) -> dict[str, Any]:
    """Return a part of format 1 with its arguments by name, those that it leaves out included.

    Raises
    ------
    ValueError
        If it is not a known class with a list of arguments that the class took.

    Example
    -------
    >>> name_arguments({"class": "VADHead", "arguments": [16, 8]})
    {'class': 'VADHead', 'arguments': {'input_size': 16, 'hidden_size': 8, 'dropout': 0.5}}
    """
    fields = description if isinstance(description, Mapping) else {}
    name, arguments = fields.get("class"), fields.get("arguments")
    known = isinstance(name, str) and name in FORMAT_1_PARAMETERS
    if not known or not isinstance(arguments, list):
        raise ValueError(
            f"A part of a released model in format 1 must be one of "
            f"{', '.join(FORMAT_1_PARAMETERS)} with a list of arguments; found {description!r}. "
            f"Get the model again."
        )
    parameters = FORMAT_1_PARAMETERS[name]
    if len(arguments) > len(parameters):
        raise ValueError(
            f"{name} does not take {arguments}: in format 1 it has the arguments "
            f"{', '.join(parameters)}. Get the model again."
        )
    values = {
        **FORMAT_1_DEFAULTS.get(name, {}),
        **dict(zip(parameters, arguments, strict=False)),
    }
    return {"class": name, "arguments": {key: values[key] for key in parameters if key in values}}
