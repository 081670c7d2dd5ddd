"""The door of every recipe: help without torch, and errors for the person who meets them."""

from __future__ import annotations

import logging
import os
import sys

from emosphere_sb.fileio.atomic import FULL, MAKE_ROOM
from emosphere_sb.recipe.arguments import HPARAMS, RUN_OPTIONS, USAGE, parse_arguments
from emosphere_sb.recipe.corpora import corpus_name, refuse_foreign
from emosphere_sb.recipe.hparams import merge, read_presets, read_tree
from emosphere_sb.results.provenance import recipe_command
from emosphere_sb.training.preemption import STOPPED, StoppedError


def main(arguments: list[str], *, corpus: str) -> int:
    """Run a recipe from a command line.

    Arguments
    ---------
    arguments : list of str
        As in ``sys.argv[1:]``.
    corpus : str
        Name of the corpus, see ``emosphere_sb.recipe.corpora.CORPORA``.

    Returns
    -------
    int
        Exit status: 0; 2 where the command line, the hyperparameters or the data are at fault, with
        one line on the standard error stream that says what to do; 75 where SIGTERM came and the
        run saved and left.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(usage(corpus))
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        tree = read_command(arguments, corpus=corpus)
        from emosphere_sb.distributed import finish, is_main_process
        from emosphere_sb.recipe.run import run_tree
        from emosphere_sb.results.summary_text import closing_text

        metrics = run_tree(*tree, corpus=corpus, command=recipe_command(corpus, arguments))
        if is_main_process():
            print(f"\n{closing_text(metrics)}")
        finish()
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
        if getattr(error, "errno", None) in FULL:
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


def read_command(arguments: list[str], *, corpus: str) -> tuple:
    """Merged tree and run options of a command line for a corpus."""
    own = set(read_tree(HPARAMS / "emosphere.yaml"))
    # Twice: which words are keys of the file is known once it is known which word is the file.
    file = parse_arguments(arguments, own).file
    known = set(read_tree(file))
    if own - known:
        raise ValueError(
            f"{file} must have every key of {HPARAMS / 'emosphere.yaml'}; it lacks "
            f"{', '.join(sorted(own - known))}. Copy them from there."
        )
    parsed = parse_arguments(arguments, known)
    tree = merge(parsed)
    refuse_foreign(parsed.overrides, corpus)
    if (tree["test_corpus"] is None) != (tree["test_data_folder"] is None):
        raise ValueError(
            f"--test_corpus and --test_data_folder belong together; found "
            f"{tree['test_corpus']} and {tree['test_data_folder']}."
        )
    if tree["test_corpus"] is not None:
        tree["test_corpus"] = corpus_name(tree["test_corpus"])
    return tree, parsed.run_options


def usage(corpus: str) -> str:
    """The help text, with the presets and keys that there are."""
    path = HPARAMS / "emosphere.yaml"
    keys = list(read_tree(path))
    return USAGE.format(
        program=f"recipes/{corpus}/train.py",
        presets=", ".join(read_presets(path)),
        keys=", ".join(key for key in keys if not key.startswith("__")),
        options=", ".join(name for name in RUN_OPTIONS if name not in keys),
    )
