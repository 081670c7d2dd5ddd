"""Rules for the structure of a package. Each function returns violations as lines of text."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from tests.helpers.imports import SourceTree, dotted_name, find_cycles, reachable


def import_cycles(tree: SourceTree) -> list[str]:
    """Return the import cycles, each as ``a → b → a``."""
    return [" → ".join(cycle) for cycle in find_cycles(tree.graph)]


def crowded_folders(tree: SourceTree, *, limit: int) -> list[str]:
    """Return folders with more Python files than the limit; ``__init__.py`` is not counted."""
    return [
        f"{folder}: {count} Python files, at most {limit} are allowed"
        for folder, count in files_by_folder(tree).items()
        if count > limit
    ]


def files_by_folder(tree: SourceTree) -> dict[str, int]:
    """Count the Python files of each folder, without ``__init__.py``."""
    counts: dict[str, int] = {}
    for module, path in tree.files.items():
        folder = tree.path(module).rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + (path.name != "__init__.py")
    return counts


def upward_imports(tree: SourceTree, package: str, layers: Sequence[Collection[str]]) -> list[str]:
    """Return imports that do not go to a lower layer.

    Arguments
    ---------
    tree : SourceTree
        Source tree that contains the package.
    package : str
        Name of the package. Its ``__init__.py`` may import any layer, because it is the entry point
        for users; the layers may only import ``__version__`` from it.
    layers : sequence of collection of str
        The modules and subpackages of the package, from the top layer to the bottom layer. Modules
        in the same layer must not import each other.

    Returns
    -------
    list of str
        The invalid imports, and the modules and subpackages that are missing from the layers.
    """
    rank = {part: number for number, layer in enumerate(layers) for part in layer}
    parts = {m.split(".")[1] for m in tree.files if m.startswith(f"{package}.")}
    found = [f"{package}.{part} is not assigned to a layer" for part in sorted(parts - set(rank))]
    found += [f"{package}.{part} does not exist" for part in sorted(set(rank) - parts)]
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
    """Return imports of one package in another that are not explicitly allowed.

    Arguments
    ---------
    tree : SourceTree
        Source tree that contains both packages.
    of : str
        The imported package.
    by : str
        The importing package.
    allowed_files : collection of str
        Relative paths of files that may import it; a path that ends with ``/`` is a folder.
    allowed : str
        Regular expression for modules that any file may import.
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
    """Return modules of the packages ``by`` that directly or indirectly import package ``of``."""
    return [
        f"{tree.path(module)} directly or indirectly imports {target}"
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
    """Return string literals of a package that contain certain words, except in docstrings.

    Arguments
    ---------
    tree : SourceTree
        Source tree that contains the package.
    words : collection of str
        Case-sensitive words.
    package : str
        Name of the package.
    allowed_files : collection of str
        Relative paths of files, or of folders if they end with ``/``, that may contain them.
    help_files : collection of str
        Relative paths of files whose literals may contain a word as part of a longer text, such as
        an example in a help text.
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
    """Return imports of command-line parsers and uses of ``sys.argv``.

    Passing ``sys.argv[1:]`` to a function under ``if __name__ == "__main__":`` is allowed.
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
    """Return calls of ``print`` and writes to the standard streams."""
    streams = ("sys.stdout.write", "sys.stderr.write")
    return [
        f"{_place(tree, module, node.lineno)} calls {dotted_name(node.func)}"
        for module, node in _nodes(tree, allowed_files=allowed_files)
        if isinstance(node, ast.Call) and dotted_name(node.func) in ("print", *streams)
    ]


def within(module: str, package: str) -> bool:
    """Return whether a module is the package or part of it.

    Example
    -------
    >>> within("a.report.text", "a.report"), within("a.reporting", "a.report")
    (True, False)
    """
    return module == package or module.startswith(f"{package}.")


def missing_files(tree: SourceTree, names: Collection[str]) -> list[str]:
    """Return the entries of a list of allowed files that do not exist."""
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
    """Return all nodes under ``if __name__ == "__main__":``."""
    blocks = (node for node in syntax.body if isinstance(node, ast.If))
    mains = (block for block in blocks if ast.unparse(block.test) == "__name__ == '__main__'")
    return {node for block in mains for node in ast.walk(block)}


def _is_among(path: str, files: Collection[str]) -> bool:
    return any(path == name or (name.endswith("/") and path.startswith(name)) for name in files)


def _place(tree: SourceTree, module: str, line: int) -> str:
    return f"{tree.path(module)}:{line}"
