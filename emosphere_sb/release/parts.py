"""Convert model parts to JSON data and back, restricted to classes of this package."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from torch import nn

from emosphere_sb import lobes

POOLINGS = ("StylePooling", "AttentiveStatsPooling", "MeanPooling")
HEADS = ("VADHead", "EmotionHead")
PREFIX = "!new:emosphere_sb.lobes."


def describe_part(
    tree: CommentedMap, key: str, built: Mapping[str, Any], allowed
) -> dict[str, Any]:
    """Describe a part of a model by its class name and named arguments.

    Arguments
    ---------
    tree : CommentedMap
        Merged hyperparameters of a run. The arguments of the part are a mapping, or a list in the
        order of the constructor's parameters (YAML files of version 0.1).
    key : str
        Key of the part.
    built : mapping
        Objects created from the tree, for resolving references.
    allowed : sequence of str
        Names of allowed classes.

    Returns
    -------
    dict
        Keys ``class`` and ``arguments`` (see :func:`describe_call`).

    Raises
    ------
    ValueError
        If the class is not allowed, or its arguments are invalid or not plain values.
    """
    node = tree[key]
    name = str(getattr(getattr(node, "tag", None), "value", "") or "").removeprefix(PREFIX)
    if name not in allowed:
        raise ValueError(
            f"{key} of a released model must be one of {', '.join(allowed)}; found "
            f"{name or node!r}. Models with custom components cannot be released; share them as a "
            f"package with its own loader."
        )
    if isinstance(node, CommentedMap):
        named = {str(parameter): _value(item, built, key) for parameter, item in node.items()}
        return describe_call(name, **named)
    if isinstance(node, CommentedSeq):
        return describe_call(name, *(_value(item, built, key) for item in node))
    raise ValueError(f"{key} must have a mapping of arguments; found {node!r}.")


def describe_call(class_name: str, /, *values: Any, **named: Any) -> dict[str, Any]:
    """Describe a constructor call with the values of all parameters.

    Default values are included, so that later changes to the defaults do not affect published
    models.

    Arguments
    ---------
    class_name : str
        Name of the class in :mod:`emosphere_sb.lobes`.
    *values, **named
        Arguments of the constructor, which must be plain values.

    Raises
    ------
    ValueError
        If the arguments do not match the signature.

    Example
    -------
    >>> describe_call("MeanPooling", input_size=16)
    {'class': 'MeanPooling', 'arguments': {'input_size': 16}}
    """
    try:
        bound = inspect.signature(getattr(lobes, class_name)).bind(*values, **named)
    except TypeError as error:
        given = ", ".join([*map(repr, values), *(f"{k}={v!r}" for k, v in named.items())])
        raise ValueError(f"Invalid arguments for {class_name}({given}): {error}.") from error
    bound.apply_defaults()
    return {
        "class": class_name,
        "arguments": {name: plain_value(value) for name, value in bound.arguments.items()},
    }


def build(description: Mapping[str, Any], allowed: Sequence[str]) -> nn.Module:
    """Create a part from the result of :func:`describe_part`.

    Raises
    ------
    ValueError
        If the class is not allowed or the arguments are invalid.
    """
    fields = description if isinstance(description, Mapping) else {}
    name, arguments = fields.get("class"), fields.get("arguments")
    if name not in allowed or not isinstance(arguments, Mapping):
        raise ValueError(
            f"Each part of a released model must be one of {', '.join(allowed)} with a mapping of "
            f"arguments; found {description!r}. Download the model again."
        )
    try:
        return getattr(lobes, name)(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: invalid sizes
        raise ValueError(
            f"Invalid arguments for {name}: {arguments} ({error}). Update emosphere-sb, or "
            f"download the model again."
        ) from error


def _value(item: Any, built: Mapping[str, Any], key: str) -> Any:
    """Convert an argument to a plain value; references such as ``!ref <lr>`` are resolved."""
    if isinstance(item, TaggedScalar):
        found = re.fullmatch(r"<([\w.]+)>", str(item.value))
        if item.tag.value != "!ref" or not found:
            raise ValueError(f"{key}: an argument must be a value or a reference; found {item!r}.")
        name, *attributes = found[1].split(".")
        item = built[name]
        for attribute in attributes:
            item = getattr(item, attribute)
    if isinstance(item, (list, tuple)):
        return [_value(value, built, key) for value in item]
    if isinstance(item, bool) or item is None:
        return item
    for kind in (int, float, str):
        if isinstance(item, kind):
            return kind(item)  # removes ruamel.yaml's wrapper class
    raise ValueError(f"{key}: an argument must be a plain value; found {item!r}.")


def plain_value(value: Any) -> Any:
    """Convert a value of a YAML tree to a plain Python value."""
    return _value(value, {}, "value")
