"""YAML files as trees that keep comments and the tags of HyperPyYAML (``!new:``, ``!ref``, …)."""

from __future__ import annotations

import io
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError


def read_tree(path: Path) -> CommentedMap:
    """Read a YAML file with its tags and comments.

    Raises
    ------
    ValueError
        If the file is not a valid YAML mapping. The message contains the position of the error.
    """
    try:
        tree = pickle.loads(_parse(Path(path).read_text(encoding="utf-8")))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise ValueError(
            f"{path} must contain a mapping of keys to values; found {type(tree).__name__}."
        )
    return tree


@lru_cache(maxsize=16)
def _parse(text: str) -> bytes:
    """Parse YAML text, and cache the tree in pickled form.

    Parsing is slow, and a table reads the same file for every run. Unpickling gives every caller
    its own tree.
    """
    return pickle.dumps(YAML().load(text))


def dump(tree: CommentedMap) -> str:
    """Return the tree as HyperPyYAML text."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = 4096  # wrapping a line could split a reference
    writer.dump(tree, stream)
    return stream.getvalue()


def copy_tree(tree: CommentedMap) -> CommentedMap:
    """Copy a tree with all tags (``copy.deepcopy`` loses the tags of empty lists)."""
    return YAML().load(dump(tree))


def tag_of(value: Any) -> str | None:
    """Return the tag of a YAML value, such as ``!ref``; ``None`` for plain values."""
    return getattr(getattr(value, "tag", None), "value", None)


def tagged_value(value: Any) -> Any:
    """Return a value as plain Python objects paired with its tag, for comparison."""
    tag = tag_of(value)
    if isinstance(value, TaggedScalar):
        return (tag, value.value)
    if isinstance(value, dict):
        return (tag, {key: tagged_value(item) for key, item in value.items()})
    if isinstance(value, list):
        return (tag, [tagged_value(item) for item in value])
    return value


def scalars(tree: CommentedMap) -> dict[str, Any]:
    """Return the top-level values that are neither objects nor mappings."""
    return {
        key: list(value) if isinstance(value, list) else value
        for key, value in tree.items()
        if not tag_of(value) and not isinstance(value, dict)
    }
