"""Count the modules, files per folder and lines of the packages.

python -m tests.helpers.package_size [ROOT]
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from pathlib import Path

from tests.helpers.imports import SourceTree, find_cycles
from tests.helpers.layer_rules import files_by_folder

PACKAGES = ("emosphere_sb", "data_prep")


def describe(root: Path) -> str:
    """Return the counts for a folder, one per line. Folders without modules are omitted."""
    tree = SourceTree(root, PACKAGES)
    paths = (p for package in PACKAGES for p in (root / package).rglob("*") if p.is_file())
    lines: Counter[str] = Counter()
    for path in paths:
        if "__pycache__" not in path.parts:
            lines[path.suffix or path.name] += len(path.read_text("utf-8").splitlines())
    sizes = [len(path.read_text("utf-8").splitlines()) for path in tree.files.values()]
    folders = sorted(files_by_folder(tree).items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in lines.most_common())
    longer = [size for size in sizes if size > 1]  # exclude an __init__.py with only a docstring
    return "\n".join([
        f"modules: {len(tree.files)} ({sum(count for _, count in folders)} without __init__.py)",
        f"lines: {sum(lines.values()):,} ({kinds})",
        f"lines of a file: median {statistics.median(longer):.0f}, largest {max(sizes)}",
        f"import cycles: {len(find_cycles(tree.graph))}",
        "files per folder, without __init__.py:",
        *(f"  {count:3} {folder}" for folder, count in folders if count),
    ])  # fmt: skip


if __name__ == "__main__":
    print(describe(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
