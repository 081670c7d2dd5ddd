"""Rules on the structure of a package. Each returns its violations as lines of text."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from tests.helpers.imports import SourceTree, dotted_name, find_cycles, reachable


def import_cycles(tree: SourceTree) -> list[str]:
    """Modules that import each other, each cycle as ``a → b → a``."""
    return [" → ".join(cycle) for cycle in find_cycles(tree.graph)]


def crowded_folders(tree: SourceTree, *, limit: int) -> list[str]:
    """Folders with more Python files than the limit; ``__init__.py`` is not counted."""
    return [
        f"{folder}: {count} Python files, at most {limit} are allowed"
        for folder, count in files_by_folder(tree).items()
        if count > limit
    ]


def files_by_folder(tree: SourceTree) -> dict[str, int]:
    """Number of Python files of every folder, ``__init__.py`` not counted."""
    counts: dict[str, int] = {}
    for module, path in tree.files.items():
        folder = tree.path(module).rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + (path.name != "__init__.py")
    return counts


def upward_imports(tree: SourceTree, package: str, layers: Sequence[Collection[str]]) -> list[str]:
    """Imports that do not go to a lower layer.

    Arguments
    ---------
    tree : SourceTree
        Contains the package.
    package : str
        Name of the package. Its ``__init__.py`` may import every layer, as the entry for users; the
        layers may import nothing but ``__version__`` from it.
    layers : sequence of collection of str
        The package's modules and subpackages, from the top layer to the bottom one. Those in one
        layer are independent: they do not import each other either.

    Returns
    -------
    list of str
        The imports, and the modules and subpackages that are in no layer.
    """
    rank = {part: number for number, layer in enumerate(layers) for part in layer}
    parts = {m.split(".")[1] for m in tree.files if m.startswith(f"{package}.")}
    found = [f"{package}.{part} is in no layer" for part in sorted(parts - set(rank))]
    found += [f"{package}.{part} is in a layer but not there" for part in sorted(set(rank) - parts)]
    for use in tree.imports:
        top, _, importer = use.importer.partition(".")
        importer = importer.partition(".")[0]
        if top != package or importer not in rank:
            continue
        if use.imported == package:
            allowed = use.name == "__version__"
        elif use.imported.startswith(f"{package}."):
            imported = use.imported.split(".")[1]
            allowed = imported == importer or rank.get(imported, -1) > rank[importer]
        else:
            allowed = True
        if not allowed:
            found.append(f"{_place(tree, use.importer, use.line)} imports {use.imported}")
    return list(dict.fromkeys(found))


def imports_outside(
    tree: SourceTree, *, of: str, by: str, allowed_files: Collection[str] = (), allowed: str = "$^"
) -> list[str]:
    """Imports of one package by another one, except in some files or of some modules.

    Arguments
    ---------
    tree : SourceTree
        Contains both packages.
    of : str
        The imported package.
    by : str
        The importing package.
    allowed_files : collection of str
        Relative paths of the files that may import it; a path that ends with ``/`` is a folder.
    allowed : str
        Regular expression of the modules that every file may import.
    """
    found = (
        f"{_place(tree, use.importer, use.line)} imports {use.imported}"
        for use in tree.imports
        if within(use.imported, of) and within(use.importer, by)
        if not re.fullmatch(allowed, use.imported)
        if not _is_among(tree.path(use.importer), allowed_files)
    )
    return list(dict.fromkeys(found))


def indirect_imports(tree: SourceTree, *, of: str, by: Collection[str]) -> list[str]:
    """Modules of the packages ``by`` that import the package ``of``, directly or through others."""
    return [
        f"{tree.path(module)} imports {target}, directly or not"
        for module in tree.files
        if any(within(module, package) for package in by)
        for target in sorted(reachable(tree.graph, module))
        if within(target, of)
    ]


def string_literals(
    tree: SourceTree,
    words: Collection[str],
    *,
    package: str,
    allowed_files: Collection[str] = (),
    help_files: Collection[str] = (),
) -> list[str]:
    """String literals of a package that contain one of some words; docstrings do not count.

    Arguments
    ---------
    tree : SourceTree
        Contains the package.
    words : collection of str
        Case matters.
    package : str
        Name of the package.
    allowed_files : collection of str
        Relative paths of files, or of folders if they end with ``/``, that may contain them.
    help_files : collection of str
        The same of files whose literals may mention a word in a text, as examples in help texts
        do, but may not consist of it.
    """
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?![\w-])")
    docstrings = {node.value for _, node in _nodes(tree, package) if isinstance(node, ast.Expr)}
    return [
        f"{_place(tree, module, node.lineno)} contains {found[0]!r}"
        for module, node in _nodes(tree, package, allowed_files)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node not in docstrings and (found := pattern.search(node.value))
        if node.value in words or not _is_among(tree.path(module), help_files)
    ]


def argument_parsing(tree: SourceTree, *, allowed_files: Collection[str]) -> list[str]:
    """Imports of a parser of command lines, and uses of ``sys.argv``.

    ``if __name__ == "__main__":`` may pass ``sys.argv[1:]`` on: that parses nothing.
    """
    parsers = {"argparse", "getopt", "optparse"}
    found = []
    for module, node in _nodes(tree, allowed_files=allowed_files, into_main=False):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [dotted_name(node)]
        for name in names:
            if name in parsers or name == "sys.argv":
                found.append(f"{_place(tree, module, node.lineno)} uses {name}")
    return found


def prints(tree: SourceTree, *, allowed_files: Collection[str]) -> list[str]:
    """Calls of ``print``, and writes to the standard streams."""
    streams = ("sys.stdout.write", "sys.stderr.write")
    return [
        f"{_place(tree, module, node.lineno)} calls {dotted_name(node.func)}"
        for module, node in _nodes(tree, allowed_files=allowed_files)
        if isinstance(node, ast.Call) and dotted_name(node.func) in ("print", *streams)
    ]


def within(module: str, package: str) -> bool:
    """Whether a module is a package or lies in it.

    Example
    -------
    >>> within("a.report.text", "a.report"), within("a.reporting", "a.report")
    (True, False)
    """
    return module == package or module.startswith(f"{package}.")


def missing_files(tree: SourceTree, names: Collection[str]) -> list[str]:
    """Entries of a list of allowed files that allow nothing, because no such file exists."""
    paths = [tree.path(module) for module in tree.files]
    return [name for name in names if not any(_is_among(path, [name]) for path in paths)]


def _nodes(
    tree: SourceTree,
    package: str = "",
    allowed_files: Collection[str] = (),
    *,
    into_main: bool = True,
) -> Iterator[tuple[str, ast.AST]]:
    for module, syntax in tree.syntax.items():
        outside = package and not within(module, package)
        if outside or _is_among(tree.path(module), allowed_files):
            continue
        skipped = set() if into_main else _main_block(syntax)
        yield from ((module, node) for node in tree.nodes[module] if node not in skipped)


def _main_block(syntax: ast.Module) -> set[ast.AST]:
    """Everything under ``if __name__ == "__main__":``."""
    blocks = (node for node in syntax.body if isinstance(node, ast.If))
    mains = (block for block in blocks if ast.unparse(block.test) == "__name__ == '__main__'")
    return {node for block in mains for node in ast.walk(block)}


def _is_among(path: str, files: Collection[str]) -> bool:
    return any(path == name or (name.endswith("/") and path.startswith(name)) for name in files)


def _place(tree: SourceTree, module: str, line: int) -> str:
    return f"{tree.path(module)}:{line}"
