"""Build the import graph of Python packages from their source, without importing them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True, order=True)
class Import:
    """A dependency of one module on another module.

    Arguments
    ---------
    importer : str
        Dotted name of the module that contains the import.
    line : int
        Line of the import, from 1.
    imported : str
        Dotted name of the imported module, or of the module that defines or re-exports the name.
    name : str
        The imported name; empty for the module itself.
    """

    importer: str
    line: int
    imported: str
    name: str = ""


class SourceTree:
    """The modules of some packages and their imports of each other.

    Imports inside functions are included. Names are followed to the module that defines them: if
    ``b`` contains ``from c import Name``, then ``from b import Name`` in ``a`` is an import of both
    ``b`` and ``c``, and so is ``b.Name`` in ``a``. A string that is the dotted name of a module
    counts as an import, because it may be passed to ``importlib.import_module``.

    Imports under ``if TYPE_CHECKING:`` are not included, because they are never executed.

    Arguments
    ---------
    root : Path
        Folder that contains the packages.
    packages : collection of str
        Names of the top-level packages.

    Raises
    ------
    FileNotFoundError
        If a package contains no Python file.
    """

    def __init__(self, root: Path, packages: Collection[str]):
        self.root = root
        self.files: dict[str, Path] = {}
        for package in packages:
            found = sorted((root / package).rglob("*.py"))
            if not found:
                raise FileNotFoundError(f"{root / package} contains no Python file.")
            self.files |= {module_name(path.relative_to(root)): path for path in found}

    @cached_property
    def syntax(self) -> dict[str, ast.Module]:
        """Parsed source of each module."""
        return {
            name: ast.parse(path.read_text(encoding="utf-8"), str(path))
            for name, path in self.files.items()
        }

    @cached_property
    def nodes(self) -> dict[str, list[ast.AST]]:
        """Executed nodes of each module's syntax tree."""
        return {name: list(executed_nodes(tree)) for name, tree in self.syntax.items()}

    def path(self, module: str) -> str:
        """Return the file of a module relative to the root, with forward slashes."""
        return self.files[module].relative_to(self.root).as_posix()

    @cached_property
    def imports(self) -> list[Import]:
        """All imports among these modules, sorted."""
        found = (found for module in self.files for found in self._imports_of(module))
        return sorted({i for i in found if i.imported in self.files and i.imported != i.importer})

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """Modules that each module imports."""
        graph: dict[str, set[str]] = {module: set() for module in self.files}
        for found in self.imports:
            graph[found.importer].add(found.imported)
        return graph

    def _imports_of(self, module: str) -> Iterator[Import]:
        for node in self.nodes[module]:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                source = self._source(module, node)
                for alias in node.names:
                    for name in self._names(source, alias.name):
                        yield from self._import_name(module, node.lineno, source, name)
            elif isinstance(node, ast.Attribute):
                source = self._module(module, node.value)
                if source:
                    yield from self._import_name(module, node.lineno, source, node.attr)
            elif isinstance(node, ast.Constant) and "." in str(node.value):
                yield Import(module, node.lineno, str(node.value))

    def _import_name(self, module: str, line: int, source: str, name: str) -> Iterator[Import]:
        for target in self._definers(source, name):
            is_module = target == f"{source}.{name}"
            yield Import(module, line, target, "" if is_module else name)

    def _source(self, module: str, node: ast.ImportFrom) -> str:
        """Return the absolute name after ``from``, even for relative imports."""
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        is_package = self.files[module].name == "__init__.py"
        parts = parts[: len(parts) - node.level + is_package]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _names(self, source: str, name: str) -> Collection[str]:
        """Return the names imported by ``from source import name``; a star means all names."""
        return [name, *self._bindings.get(source, ())] if name == "*" else [name]

    def _module(self, module: str, node: ast.expr) -> str:
        """Return the module that an expression like ``alias`` or ``package.module`` refers to."""
        first, _, rest = dotted_name(node).partition(".")
        aliases = (f"{source}.{name}".strip(".") for source, name in self._aliases[module][first])
        full = (f"{alias}.{rest}".strip(".") for alias in [*aliases, first])
        return next((name for name in full if name in self.files), "")

    def _definers(
        self, source: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> set[str]:
        """Return the modules that re-export or define the name of ``from source import name``."""
        if f"{source}.{name}" in self.files:
            return {f"{source}.{name}"}
        if source not in self.files or (source, name) in seen:
            return set()
        found = {source}
        for target, original in self._bindings[source].get(name, ()):
            found |= self._definers(target, original, seen | {(source, name)})
        return found

    @cached_property
    def _aliases(self) -> dict[str, defaultdict[str, list[tuple[str, str]]]]:
        """Names that each module imports in any scope, with their source and original name."""
        return {module: self._imported_names(module, nodes) for module, nodes in self.nodes.items()}

    @cached_property
    def _bindings(self) -> dict[str, defaultdict[str, list[tuple[str, str]]]]:
        """Names that each module imports and that other modules can import from it."""
        found = {}
        for module, tree in self.syntax.items():
            nodes = list(executed_nodes(tree, into_functions=False))
            found[module] = self._imported_names(module, nodes)
            for node in nodes:  # NAME = module.OTHER, and NAME = OTHER
                if isinstance(node, ast.Assign) and (value := dotted_name(node.value)):
                    owner, _, original = value.rpartition(".")
                    if source := self._module(module, node.value.value) if owner else module:
                        for target in node.targets:
                            found[module][dotted_name(target)].append((source, original))
        return found

    def _imported_names(
        self, module: str, nodes: list[ast.AST]
    ) -> defaultdict[str, list[tuple[str, str]]]:
        found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                source = self._source(module, node)
                for alias in node.names:
                    found[alias.asname or alias.name].append((source, alias.name))
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        found[alias.asname].append(("", alias.name))
        return found


def module_name(path: Path) -> str:
    """Return the dotted name of a file: ``a/b.py`` is ``a.b``, and ``a/__init__.py`` is ``a``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def dotted_name(node: ast.expr) -> str:
    """Return the text of an expression like ``a.b.c``, or an empty string for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def executed_nodes(tree: ast.AST, *, into_functions: bool = True) -> Iterator[ast.AST]:
    """Yield all nodes except those in the body of ``if TYPE_CHECKING:``.

    Without ``into_functions``, the bodies of functions are skipped as well, except for the
    ``__getattr__`` of a module, which provides names to importers.
    """
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and dotted_name(child.test).endswith("TYPE_CHECKING"):
            children: list[ast.AST] = list(child.orelse)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            is_getattr = getattr(child, "name", "") == "__getattr__"
            children = [child] if into_functions or is_getattr else []
        else:
            children = [child]
        for node in children:
            yield from executed_nodes(node, into_functions=into_functions)


def find_cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Find one of the shortest cycles in each group of modules that import each other.

    The first and last module of a cycle are the same.

    Example
    -------
    >>> find_cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "b"}, "d": {"a"}})
    [['b', 'c', 'b']]
    """
    reached = {module: reachable(graph, module) for module in graph}
    groups = []
    for module in sorted(graph):
        group = {other for other in reached[module] if module in reached[other]}
        if group and group not in groups:
            groups.append(group)
    return [min((_shortest_cycle(graph, m) for m in sorted(group)), key=len) for group in groups]


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return all direct and indirect imports of a module, including itself if it is in a cycle."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph[module]
    return found


def _shortest_cycle(graph: Mapping[str, set[str]], start: str) -> list[str]:
    """Find the shortest path from a module in a cycle to itself, breadth first."""
    paths, seen = [[start]], set()
    for path in paths:  # grows during the iteration
        for module in sorted(graph[path[-1]]):
            if module == start:
                return [*path, start]
            if module not in seen:
                seen.add(module)
                paths.append([*path, module])
    raise ValueError(f"{start} is not part of a cycle.")
