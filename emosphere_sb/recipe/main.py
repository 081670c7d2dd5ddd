"""Entry point of the recipes, with exit statuses and one-line error messages."""

from __future__ import annotations

import os
import sys

from emosphere_sb.fileio.atomic import DISK_FULL_ERRNOS, MAKE_ROOM
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.console_logging import configure_console_logging
from emosphere_sb.recipe.corpora import corpus_name
from emosphere_sb.recipe.errors import error_text
from emosphere_sb.recipe.help import recipe_help
from emosphere_sb.training.preemption import EXIT_INTERRUPTED, RESUME, StoppedError

HELP = ("-h", "--help")


def main(arguments: list[str], *, corpus: str, program: str | None = None) -> int:
    """Run a recipe from a command line.

    Arguments
    ---------
    arguments : list of str
        Command-line arguments, as in ``sys.argv[1:]``.
    corpus : str
        Name of the corpus, a key of ``emosphere_sb.recipe.corpora.CORPORA``.
    program : str, optional
        Name of the command, for the help text.

    Returns
    -------
    int
        Exit status: 0 on success; 2 if the command line, the hyperparameters or the data are
        invalid (a one-line message is written to standard error); 75 if the run was interrupted by
        SIGTERM and saved a checkpoint; 130 after Ctrl-C, which also saves a checkpoint.
    """
    configure_console_logging()
    # Remove finished progress bars, so that one line per epoch remains. Read when tqdm is imported.
    os.environ.setdefault("TQDM_LEAVE", "")
    try:
        corpus = corpus_name(corpus)
        topics = [w.partition("=")[2] for w in arguments if w.partition("=")[0] in HELP]
        if topics or not arguments:
            print(recipe_help(corpus, program=program, topic="".join(topics)))
            return 0
        request = read_command(arguments, corpus=corpus, program=program)
        from emosphere_sb.console import run_summary
        from emosphere_sb.distributed import destroy_distributed, is_main_process
        from emosphere_sb.recipe.run import run_request

        metrics = run_request(request)
        if is_main_process():
            print(f"\n{run_summary(metrics)}")
        destroy_distributed()
    except BrokenPipeError:  # … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StoppedError as stopped:
        print(stopped.text, file=sys.stderr)
        destroy_distributed()
        return stopped.status
    except KeyboardInterrupt:  # nothing to save, or the second Ctrl-C
        print(f"Interrupted. {RESUME}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ValueError, OSError, MemoryError, ImportError) as error:
        if os.environ.get("EMOSPHERE_TRACEBACK"):
            raise
        text = error_text(error)
        if getattr(error, "errno", None) in DISK_FULL_ERRNOS:
            text += f". {MAKE_ROOM}"
        print(f"error: {text}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from emosphere_sb.distributed import is_peer_failure

        if not is_peer_failure(error):
            raise
        print("error: Another process of this run failed; see its error message.", file=sys.stderr)
        return 2
    return 0
