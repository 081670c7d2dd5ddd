"""Formats of ``emosphere.json``, and conversion of older formats; torch is not imported.

======  ==========  ============================================================================
format  written by  description of a part of the model
======  ==========  ============================================================================
1       0.1         class name, and constructor arguments by position
2       0.2         class name, and all constructor arguments by name
======  ==========  ============================================================================

In format 2, ``layer_normalisation`` of the encoder (default: ``none``) and ``standardise_labels``
of the VAD head (default: False) may be missing. So may ``training_range`` of the metadata
(:class:`emosphere_sb.release.training_range.TrainingRange`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 2
"""Current format. Increase it if older versions would misread a new file."""
READABLE = (1, 2)
REQUIRES = "emosphere-sb>=0.2.0"
"""Versions that can read :data:`FORMAT`; update both together."""

FORMAT_1_PARAMETERS = {
    "StylePooling": (
        "input_size", "width", "heads", "kernel_size", "dropout", "attention_scale",
    ),
    "AttentiveStatsPooling": ("input_size",),
    "MeanPooling": ("input_size",),
    "VADHead": ("input_size", "hidden_size", "dropout"),
    "EmotionHead": ("input_size", "output_size", "hidden_size", "dropout"),
}  # fmt: skip
"""Constructor parameters of each class, in the order in which format 1 stores arguments.

These are the signatures at commit 2dd617f. Do not update them when the signatures change.
"""
FORMAT_1_DEFAULTS = {
    "StylePooling": {
        "width": 1024, "heads": 2, "kernel_size": 5, "dropout": 0.1, "attention_scale": "d_model",
    },
    "VADHead": {"hidden_size": 1024, "dropout": 0.5},
    "EmotionHead": {"hidden_size": 1024, "dropout": 0.5},
}  # fmt: skip
"""Values of arguments that are omitted in format 1. Do not update them either."""
BUILT_BY_CLASS = ("pooling", "vad_head", "class_head")
"""Parts that are stored as a class name and arguments."""


def format_header() -> dict[str, Any]:
    """Return the first fields of a description: its format and the versions that can read it."""
    return {"format": FORMAT, "requires": REQUIRES}


def check_format(configuration: Mapping[str, Any], path: Path) -> int:
    """Return the format of a description.

    Arguments
    ---------
    configuration : mapping
        Content of ``emosphere.json``.
    path : Path
        Path of the file, for error messages.

    Raises
    ------
    ValueError
        If this version cannot read the format. The message names the version that can.

    Example
    -------
    >>> check_format({"format": 1}, Path("emosphere.json"))
    1
    """
    found = configuration.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found in READABLE:
        return found
    # The file is untrusted: only a plain version number is inserted into a command.
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
        Content of ``emosphere.json``, in any readable format.
    path : Path
        Path of the file, for error messages.

    Raises
    ------
    ValueError
        If this version cannot read the format, or the description of a part is invalid.
    """
    if check_format(configuration, path) == FORMAT:
        return dict(configuration)
    parts = configuration.get("parts")
    if not isinstance(parts, Mapping):
        raise ValueError(
            f"{path} must contain a mapping 'parts'; found {parts!r}. Download the model again."
        )
    named = {
        key: name_arguments(part) if key in BUILT_BY_CLASS and part is not None else part
        for key, part in parts.items()
    }
    return {**configuration, **format_header(), "parts": named}


def name_arguments(description: Any) -> dict[str, Any]:
    """Convert the description of a part from format 1 to the current format.

    Arguments are named, and omitted ones are set to their defaults.

    Raises
    ------
    ValueError
        If the class is unknown or the arguments do not match its signature.

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
            f"Each part of a released model in format 1 must be one of "
            f"{', '.join(FORMAT_1_PARAMETERS)} with a list of arguments; found {description!r}. "
            f"Download the model again."
        )
    parameters = FORMAT_1_PARAMETERS[name]
    if len(arguments) > len(parameters):
        raise ValueError(
            f"Too many arguments for {name} in format 1: expected at most {', '.join(parameters)}; "
            f"found {arguments}. Download the model again."
        )
    values = {
        **FORMAT_1_DEFAULTS.get(name, {}),
        **dict(zip(parameters, arguments, strict=False)),
    }
    return {"class": name, "arguments": {key: values[key] for key in parameters if key in values}}
