"""Link names of this project to the API reference.

In a Markdown page, inline code such as ```` `emosphere_sb.metrics.ccc` ```` becomes a link to the
documentation of that object; in the repository, it remains plain code. A name that does not exist
is an error. In docstrings, names are looked up in the module, and re-exported objects are found in
the module that defines them.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

PROJECT = ("emosphere_sb", "data_prep")
NAME = re.compile(r"(?<!`)`((?:emosphere_sb|data_prep)(?:\.\w+)+)(\(\))?`(?!`)")
CHANGELOG = "CHANGELOG"
"""This page names objects of earlier versions and is left unchanged."""
FENCE = re.compile(r"^(```.*?^```|~~~.*?^~~~)", re.M | re.S)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", link_names)
    app.connect("doctree-read", resolve_names)
    return {"parallel_read_safe": True, "version": "1"}


def link_names(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace inline code outside code blocks with cross-references."""
    if page == CHANGELOG or app.env.doc2path(page).suffix != ".md":
        return
    parts = FENCE.split(source[0])
    parts[::2] = [NAME.sub(_reference, text) for text in parts[::2]]
    source[0] = "".join(parts)


def _reference(match: re.Match) -> str:
    name, call = match[1], match[2] or ""
    target = defining_name(name)
    return f"{{py:obj}}`{name}{call} <{target}>`"


def resolve_names(app: Sphinx, document: nodes.document) -> None:
    """Complete the targets of references in docstrings and signatures."""
    for node in list(document.findall(pending_xref)):
        if node.get("refdomain") == "py" and node.get("reftype") != "mod":
            _complete(node)


def _complete(node: pending_xref) -> None:
    target, module = node["reftarget"], node.get("py:module")
    found = getattr(sys.modules.get(module), target, None) if module else None
    if found is not None and getattr(found, "__module__", "").startswith(PROJECT):
        node["reftarget"] = f"{found.__module__}.{found.__qualname__}"
    elif target.startswith(PROJECT) and "." in target:
        with contextlib.suppress(ValueError):  # a method or an attribute that instances set
            node["reftarget"] = defining_name(target)
    elif target.islower() and "refspecific" in node and "." not in target:
        # A word in the type of an argument, such as "set", is not the attribute of that name.
        node.replace_self(node.children)


def defining_name(name: str) -> str:
    """Return the full name of an object in the module that defines it.

    Arguments
    ---------
    name : str
        Full name of a module, or of an object as it is imported.

    Raises
    ------
    ValueError
        If there is no such object.
    """
    found, rest = _import_module(name)
    for part in rest:
        if not hasattr(found, part):
            raise ValueError(f"{name} does not exist; correct the name in the documentation.")
        found = getattr(found, part)
    if inspect.ismodule(found):
        return found.__name__
    if inspect.isclass(found) or inspect.isfunction(found):
        return f"{found.__module__}.{found.__qualname__}"
    return name


def _import_module(name: str) -> tuple[Any, list[str]]:
    """Import the longest prefix that is a module; return it and the remaining names."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:count])), parts[count:]
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or " "):
                raise
    raise ValueError(f"{name} does not exist; correct the name in the documentation.")
