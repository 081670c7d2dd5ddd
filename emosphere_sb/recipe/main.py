"""Entry point of every recipe: help without torch, exit statuses and short error messages."""

from __future__ import annotations

import logging
import os
import sys

from emosphere_sb.fileio.atomic import DISK_FULL_ERRNOS, MAKE_ROOM
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.corpora import corpus_name
from emosphere_sb.recipe.help import usage
from emosphere_sb.training.preemption import STOPPED, StoppedError

HELP = ("-h", "--help")


def main(arguments: list[str], *, corpus: str, program: str | None = None) -> int:
    """Run a recipe from a command line.

    Arguments
    ---------
    arguments : list of str
        As in ``sys.argv[1:]``.
    corpus : str
        Name of the corpus, see ``emosphere_sb.recipe.corpora.CORPORA``.
    program : str, optional
        The command, for the help.

    Returns
    -------
    int
        Exit status: 0; 2 where the command line, the hyperparameters or the data are at fault, with
        one line on the standard error stream that says what to do; 75 where SIGTERM came and the
        run saved and left.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        corpus = corpus_name(corpus)
        topics = [w.partition("=")[2] for w in arguments if w.partition("=")[0] in HELP]
        if topics or not arguments:
            print(usage(corpus, program=program, topic="".join(topics)))
            return 0
        request = read_command(arguments, corpus=corpus, program=program)
        from emosphere_sb.console import run_summary
        from emosphere_sb.distributed import finish, is_main_process
        from emosphere_sb.recipe.run import run_request

        metrics = run_request(request)
        if is_main_process():
            print(f"\n{run_summary(metrics)}")
        finish()
    except BrokenPipeError:  # … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StoppedError:
        print(
            f"Told to stop (SIGTERM). What was trained is saved: the same command goes on from "
            f"there. Exit status {STOPPED}.",
            file=sys.stderr,
        )
        return STOPPED
    except (ValueError, OSError, MemoryError, ImportError) as error:
        if os.environ.get("EMOSPHERE_TRACEBACK"):
            raise
        text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
        if getattr(error, "errno", None) in DISK_FULL_ERRNOS:
            text += f". {MAKE_ROOM}"
        print(f"error: {text} (EMOSPHERE_TRACEBACK=1 shows where)", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from emosphere_sb.distributed import another_ended

        if not another_ended(error):
            raise
        print("error: another process of this run ended; its message says why.", file=sys.stderr)
        return 2
    return 0
