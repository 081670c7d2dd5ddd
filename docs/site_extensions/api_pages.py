"""Write the API reference: one page per package, with all its modules in order."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

PACKAGES = ("emosphere_sb", "data_prep")
"""Packages of the reference."""
FOLDER = "docs/api/generated"
"""Folder of the pages, relative to the source folder; git ignores it."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "version": "1"}


def write_pages(app: Sphinx) -> None:
    """Write the pages of all packages, and remove those of packages that no longer exist."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for package in packages():
        path = folder / f"{package.__name__}.rst"
        text = page(package)
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # keeps its time stamp
            path.write_text(text, encoding="utf-8")
        written.add(path)
    for path in set(folder.glob("*.rst")) - written:
        path.unlink()


def packages() -> list[ModuleType]:
    """Import and return the packages and all their subpackages, sorted by name."""
    found = [import_module(name) for name in PACKAGES]
    for package in list(found):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.ispkg:
                found.append(import_module(info.name))
    return sorted(found, key=lambda package: package.__name__)


def page(package: ModuleType) -> str:
    """Return the reStructuredText of a page.

    Example
    -------
    >>> import emosphere_sb.sphere
    >>> page(emosphere_sb.sphere).splitlines()[3]
    '.. automodule:: emosphere_sb.sphere'
    """
    blocks = [_block(package.__name__, "=")]
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not info.ispkg:
            blocks.append(_block(info.name, "-"))
    return "\n".join(blocks)


def _block(name: str, underline: str) -> str:
    return f"{name}\n{underline * len(name)}\n\n.. automodule:: {name}\n"
