"""Where a figure comes from: the commit of the code, and the command that made it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
FOLDERS = ("emosphere_sb", "data_prep", "hparams", "recipes")
"""What a result depends on; other files may change without a mark."""


def commit() -> str | None:
    """The commit of the code that runs, with ``-dirty`` where files that count have changed.

    Returns
    -------
    str or None
        Forty hexadecimal digits; ``None`` where the package does not lie in a repository of its
        own (it is installed from a wheel) or there is no git: its version stands beside it.
    """
    try:
        top = _git("rev-parse", "--show-toplevel")
        if Path(top).resolve() != SOURCE:  # a repository around an environment is not this one
            return None
        changed = _git("status", "--porcelain", "--", *FOLDERS)
        return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def recipe_command(corpus: str, words: Sequence[str], *, program: str | None = None) -> str:
    """Return a training command as it can be typed in the repository's root.

    Arguments
    ---------
    corpus : str
        Whose recipe.
    words : sequence of str
        Its arguments.
    program : str, optional
        The command before them; the recipe's script by default.

    Example
    -------
    >>> recipe_command("IEMOCAP", ["hparams/emosphere.yaml", "--data_folder=/my data"])
    "python recipes/IEMOCAP/train.py hparams/emosphere.yaml '--data_folder=/my data'"
    """
    start = program or f"python recipes/{corpus}/train.py"
    return f"{start} {shlex.join(words)}".rstrip()


def _git(*words: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(SOURCE), *words], capture_output=True, text=True, check=True
    )
    return run.stdout.strip()
