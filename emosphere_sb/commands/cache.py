"""``emosphere cache``: list, verify and remove cached features of frozen backbones."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

DAMAGED = 1
"""Exit status if cached features are damaged."""

DESCRIPTION = """\
List, verify or remove the features that runs with --feature_cache have stored.

  emosphere cache list
  emosphere cache verify results/feature_cache --repair
  emosphere cache remove results/feature_cache 3f6c2a9b1d8e4075

Each entry belongs to a backbone with its settings. Runs compute removed features again when they
need them.
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere cache``.

    Returns
    -------
    int
        Exit status: 0, or 1 if ``verify`` found damaged features and did not repair them.

    Raises
    ------
    ValueError, OSError
        If an option is invalid or an entry does not exist.
    """
    options = build_cache_parser().parse_args(argv)
    allowed = {"verify": ("repair",), "remove": ("all",)}.get(options.action, ())
    for name in ("repair", "all"):
        if getattr(options, name) and name not in allowed:
            raise ValueError(f"--{name} cannot be used with emosphere cache {options.action}.")
    actions: dict[str, Callable] = {
        "list": list_entries,
        "verify": verify_entries,
        "remove": remove_entries,
    }
    return actions[options.action](options)


def build_cache_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("cache", DESCRIPTION)
    add = parser.add_argument
    add(
        "action",
        choices=("list", "verify", "remove"),
        help="list: show backbone, utterances and size of each entry; verify: compare all stored "
        "features with their checksums; remove: delete entries",
    )
    add("folder", nargs="?", metavar="FOLDER", default="results/feature_cache",
        help="the feature cache (default: %(default)s)")  # fmt: skip
    add("names", nargs="*", metavar="NAME",
        help="names of entries, as shown by list (default for list and verify: all)")  # fmt: skip
    add("--repair", action="store_true",
        help="verify: remove damaged features; the next run computes them again")  # fmt: skip
    add("--all", action="store_true", help="remove: delete all entries")
    return parser


def list_entries(options: argparse.Namespace) -> int:
    """Print a table of the entries."""
    from emosphere_sb.data.feature_store import open_store

    entries = _entries(options)
    rows = [("name", "features", "backbone", "states", "utterances", "size")]
    for folder, description in entries.items():
        layout = description["layout"]
        kind = f"{layout['kind']} {layout['precision']}"
        rows.append(
            (
                folder.name,
                f"{kind} layer_norm" if layout["normalised"] else kind,
                description["backbone"],
                ",".join(map(str, description["numbers"])),
                f"{len(open_store(folder, description)):,}",
                _size(folder),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if entries else ():
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(_count(entries, options.folder))
    return 0


def verify_entries(options: argparse.Namespace) -> int:
    """Compare the stored features with their checksums; repair the entries on request."""
    from emosphere_sb.data.feature_store import open_store

    status, entries = 0, _entries(options)
    for folder, description in entries.items():
        store = open_store(folder, description)
        listed = {key for records in store.read_index().values() for key, _ in records}
        damaged = {*store.damaged(), *(listed - store.records.keys())}  # or cut off
        print(f"{folder.name}: {len(listed):,} utterances, {len(damaged):,} damaged.")
        if damaged and options.repair:
            with store.locked():
                store.forget(damaged)
            print(f"{folder.name}: removed {len(damaged):,} damaged utterances.")
        elif damaged:
            status = DAMAGED
    print(_count(entries, options.folder))
    if status:
        print("To remove the damaged features, use --repair. The next run computes them again.")
    return status


def remove_entries(options: argparse.Namespace) -> int:
    """Delete entries."""
    if bool(options.names) == options.all:
        raise ValueError(
            "emosphere cache remove requires either names of entries or --all. To see the names, "
            f"use emosphere cache list {options.folder}."
        )
    for folder in _entries(options):
        size = _size(folder)
        shutil.rmtree(folder)
        print(f"Removed {folder} ({size}).")
    return 0


def _entries(options: argparse.Namespace) -> dict[Path, dict]:
    """Return the selected entries with their descriptions."""
    from emosphere_sb.data.feature_store import find_stores

    root = Path(options.folder)
    stores = find_stores(root)
    if unknown := sorted(set(options.names) - {folder.name for folder in stores}):
        raise ValueError(
            f"{root} has no entry {unknown[0]!r}. To see the names, use emosphere cache list "
            f"{root}."
        )
    names = options.names or [folder.name for folder in stores]
    return {folder: found for folder, found in stores.items() if folder.name in names}


def _count(entries: dict, folder: str) -> str:
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'} in {folder}"


def _size(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
