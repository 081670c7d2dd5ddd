"""Process of a single run: ``python -m emosphere_sb.tables.run CORPUS …``."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Sequence

from emosphere_sb.recipe.main import main


def stop_with_parent() -> None:
    """Save and exit, as after SIGTERM, when the parent process ends.

    The parent process holds the other end of standard input, which is closed when the parent ends
    for any reason. If standard input is not a pipe (as in a terminal or a Slurm job), the parent is
    not monitored.
    """
    try:
        pipe = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:  # closed
        return
    if pipe:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(0, 1024):  # returns nothing once the other end is closed
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def run_table_job(argv: Sequence[str]) -> int:
    """Run a recipe.

    Arguments
    ---------
    argv : sequence of str
        Name of the corpus, followed by the arguments of the recipe.

    Returns
    -------
    int
        Exit status of the recipe.
    """
    stop_with_parent()
    corpus, *arguments = argv
    return main(arguments, corpus=corpus)


if __name__ == "__main__":
    sys.exit(run_table_job(sys.argv[1:]))
