"""One run of a table, in a process of its own: ``python -m emosphere_sb.tables.run CORPUS …``."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Sequence

from emosphere_sb.recipe.main import main


def end_with_the_parent() -> None:
    """Stop as after SIGTERM (save, then leave) when the process that started this one is gone.

    It holds the other end of standard input, which closes with it however it dies. Where standard
    input is no pipe (started by hand, or by Slurm) nothing is watched.
    """
    try:
        pipe = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:  # closed
        return
    if pipe:
        threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1024):  # returns nothing once the other end is closed
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def run(words: Sequence[str]) -> int:
    """Run a recipe.

    Arguments
    ---------
    words : sequence of str
        The corpus, then the recipe's arguments.

    Returns
    -------
    int
        The recipe's exit status.
    """
    end_with_the_parent()
    corpus, *arguments = words
    return main(arguments, corpus=corpus)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
