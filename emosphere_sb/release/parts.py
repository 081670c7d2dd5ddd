"""The parts of a model as plain data, and back: classes of this package alone, by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from torch import nn

from emosphere_sb import lobes

POOLINGS = ("StylePooling", "AttentiveStatsPooling", "MeanPooling")
HEADS = ("VADHead", "EmotionHead")
PREFIX = "!new:emosphere_sb.lobes."


def describe(tree: CommentedMap, key: str, built: Mapping[str, Any], allowed) -> dict[str, Any]:
    """A part of a run's YAML as class name and arguments.

    Arguments
    ---------
    tree : CommentedMap
        The run's merged hyperparameters.
    key : str
        Of the part.
    built : mapping
        What the tree builds: references are looked up there.
    allowed : sequence of str
        Classes that may stand there.

    Raises
    ------
    ValueError
        If the part is of another class, or its arguments are no plain values.
    """
    node = tree[key]
    name = str(getattr(getattr(node, "tag", None), "value", "") or "").removeprefix(PREFIX)
    if name not in allowed:
        raise ValueError(
            f"A released model is plain data, so that its {key} must be one of "
            f"{', '.join(allowed)}; found {name or node!r}. A part of your own can be shared as a "
            f"package with its own loader."
        )
    if not isinstance(node, CommentedSeq):
        raise ValueError(f"{key} must be written with a list of arguments; found {node!r}.")
    return {"class": name, "arguments": [_value(item, built, key) for item in node]}


def build(description: Mapping[str, Any], allowed) -> nn.Module:
    """The part that :func:`describe` wrote down.

    Raises
    ------
    ValueError
        If the class is not one of those that are allowed, or does not take the arguments.
    """
    fields = description if isinstance(description, Mapping) else {}
    name, arguments = fields.get("class"), fields.get("arguments")
    if name not in allowed or not isinstance(arguments, list):
        raise ValueError(
            f"A part of a released model must be one of {', '.join(allowed)} with a list of "
            f"arguments; found {description!r}."
        )
    try:
        return getattr(lobes, name)(*arguments)
    except (TypeError, ValueError, RuntimeError) as error:  # torch: sizes that cannot be had
        raise ValueError(f"{name} does not take {arguments}: {error}") from error


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
    if isinstance(item, list):
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
