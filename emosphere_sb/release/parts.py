"""The parts of a model as plain data, and back: classes of this package alone, by their names."""

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


def describe(tree: CommentedMap, key: str, built: Mapping[str, Any], allowed) -> dict[str, Any]:
    """Describe a part of a run's YAML as class name and arguments by name.

    Arguments
    ---------
    tree : CommentedMap
        The run's merged hyperparameters. The part has its arguments as a mapping; a list, as
        YAML files of version 0.1 have it, is read by the order of the constructor's parameters.
    key : str
        Key of the part.
    built : mapping
        What the tree builds: references are looked up there.
    allowed : sequence of str
        Classes that may stand there.

    Returns
    -------
    dict
        ``class`` and ``arguments``, as :func:`describe_call` returns it.

    Raises
    ------
    ValueError
        If the part is of another class, its arguments are no plain values, or the class does not
        take them.
    """
    node = tree[key]
    name = str(getattr(getattr(node, "tag", None), "value", "") or "").removeprefix(PREFIX)
    if name not in allowed:
        raise ValueError(
            f"A released model is plain data, so that its {key} must be one of "
            f"{', '.join(allowed)}; found {name or node!r}. A part of your own can be shared as a "
            f"package with its own loader."
        )
    if isinstance(node, CommentedMap):
        named = {str(parameter): _value(item, built, key) for parameter, item in node.items()}
        return describe_call(name, **named)
    if isinstance(node, CommentedSeq):
        return describe_call(name, *(_value(item, built, key) for item in node))
    raise ValueError(f"{key} must be written with a mapping of arguments; found {node!r}.")


def describe_call(class_name: str, /, *values: Any, **named: Any) -> dict[str, Any]:
    """Describe the construction of a part, with the value of every parameter.

    Defaults are written out: a default that changes later does not change a published model.

    Arguments
    ---------
    class_name : str
        Name of the class in :mod:`emosphere_sb.lobes`.
    *values, **named
        Plain values, as its constructor takes them.

    Raises
    ------
    ValueError
        If the constructor does not take them.

    Example
    -------
    >>> describe_call("VADHead", 16, dropout=0.1)
    {'class': 'VADHead', 'arguments': {'input_size': 16, 'hidden_size': 1024, 'dropout': 0.1}}
    """
    try:
        bound = inspect.signature(getattr(lobes, class_name)).bind(*values, **named)
    except TypeError as error:
        given = ", ".join([*map(repr, values), *(f"{k}={v!r}" for k, v in named.items())])
        raise ValueError(f"{class_name} does not take ({given}): {error}.") from error
    bound.apply_defaults()
    return {
        "class": class_name,
        "arguments": {name: plain(value) for name, value in bound.arguments.items()},
    }


def build(description: Mapping[str, Any], allowed: Sequence[str]) -> nn.Module:
    """Build the part that :func:`describe` wrote down.

    Raises
    ------
    ValueError
        If the class is not one of those that are allowed, or does not take the arguments.
    """
    fields = description if isinstance(description, Mapping) else {}
    name, arguments = fields.get("class"), fields.get("arguments")
    if name not in allowed or not isinstance(arguments, Mapping):
        raise ValueError(
            f"A part of a released model must be one of {', '.join(allowed)} with a mapping of "
            f"arguments; found {description!r}."
        )
    try:
        return getattr(lobes, name)(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:  # torch: sizes that cannot be had
        raise ValueError(
            f"{name} does not take {arguments}: {error}. Update emosphere-sb, or get the model "
            f"again."
        ) from error


def _value(item: Any, built: Mapping[str, Any], key: str) -> Any:
    """An argument as a plain value; ``!ref <encoder.output_size>`` is looked up."""
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
            return kind(item)  # without YAML's wrappers
    raise ValueError(f"{key}: an argument must be a plain value; found {item!r}.")


def plain(value: Any) -> Any:
    """A value without YAML's wrappers."""
    return _value(value, {}, "value")
