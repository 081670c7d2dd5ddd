"""Provenance of results: the commit of the code and the command of the run."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("emosphere_sb", "data_prep", "hparams", "recipes")
"""Folders in which uncommitted changes mark the commit as ``-dirty``."""


def git_commit() -> str | None:
    """Return the commit of the running code, with ``-dirty`` if source files have changed.

    Returns
    -------
    str or None
        Forty hexadecimal digits, or ``None`` if the package was installed from a wheel or git is
        not available. The package version is recorded in either case.
    """
    try:
        top = _git("rev-parse", "--show-toplevel")
        if Path(top).resolve() != REPOSITORY_ROOT:  # e.g. a repository with a virtual environment
            return None
        changed = _git("status", "--porcelain", "--", *CODE_FOLDERS)
        return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def recipe_command(corpus: str, arguments: Sequence[str], *, program: str | None = None) -> str:
    """Return a training command that can be run from the root folder of the repository.

    Arguments
    ---------
    corpus : str
        Name of the recipe.
    arguments : sequence of str
        Arguments of the command.
    program : str, optional
        Program to run. (default: the training script of the recipe)

    Example
    -------
    >>> recipe_command("IEMOCAP", ["hparams/emosphere.yaml", "--data_folder=/my data"])
    "python recipes/IEMOCAP/train.py hparams/emosphere.yaml '--data_folder=/my data'"
    """
    start = program or f"python recipes/{corpus}/train.py"
    return f"{start} {shlex.join(arguments)}".rstrip()


def _git(*arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(REPOSITORY_ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return run.stdout.strip()
