"""The door of every recipe: help without torch, and errors written for the person who meets them."""

from __future__ import annotations

import logging
import os
import sys

from emosphere_sb.arguments import HPARAMS, RUN_OPTIONS, USAGE, parse_arguments
from emosphere_sb.hparams import merge, read_rows, read_tree


def main(arguments: list[str], *, corpus: str) -> int:
    """Run a recipe from a command line.

    Arguments
    ---------
    arguments : list of str
        As in ``sys.argv[1:]``.
    corpus : str
        Name of the corpus, see ``emosphere_sb.recipe.CORPORA``.

    Returns
    -------
    int
        Exit status: 0, or 2 where the command line, the hyperparameters or the data are at fault,
        with one line on the standard error stream that says what to do.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(usage())
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        tree = read_command(arguments)
        from emosphere_sb.recipe import run_tree

        run_tree(*tree, corpus=corpus)
    except (ValueError, OSError, MemoryError) as error:
        if os.environ.get("EMOSPHERE_TRACEBACK"):
            raise
        print(f"error: {error}\n(EMOSPHERE_TRACEBACK=1 shows where)", file=sys.stderr)
        return 2
    return 0


def read_command(arguments: list[str]) -> tuple:
    """Merged tree and run options of a command line."""
    # Twice: which words are keys of the file is known once it is known which word is the file.
    file = parse_arguments(arguments, set(read_tree(HPARAMS / "emosphere.yaml"))).file
    parsed = parse_arguments(arguments, set(read_tree(file)))
    return merge(parsed), parsed.run_options


def usage() -> str:
    """The help text, with the rows and keys that there are."""
    path = HPARAMS / "emosphere.yaml"
    keys = (key for key in read_tree(path) if not key.startswith("__"))
    options = (name for name in RUN_OPTIONS if name not in read_tree(path))
    return USAGE.format(
        program="recipes/MSP-Podcast/train.py",
        rows=", ".join(read_rows(path)),
        keys=", ".join(keys),
        options=", ".join(options),
    )
