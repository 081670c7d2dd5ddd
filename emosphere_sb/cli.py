"""``emosphere COMMAND …``: the package's one console command. Its help imports nothing heavy."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "train": ("emosphere_sb.commands.train", "prepare a corpus, train a model on it and test it"),
    "table": (
        "emosphere_sb.commands.table",
        "rows × seeds as a table: Markdown, LaTeX, CSV, HTML",
    ),
    "report": ("emosphere_sb.commands.report", "figures, intervals and plots of a run or a CSV"),
    "submission": ("emosphere_sb.commands.submission", "write or check a challenge file"),
    "release": ("emosphere_sb.commands.release", "a trained model as a folder for all"),
    "predict": ("emosphere_sb.commands.predict", "audio files to a table of predictions"),
    "export": ("emosphere_sb.commands.export", "a model as ONNX, which needs no torch"),
    "timeline": ("emosphere_sb.commands.timeline", "a long recording over its time"),
    "prepare": ("emosphere_sb.commands.prepare", "a corpus's manifests, without training"),
    "demo": (
        "emosphere_sb.commands.demo",
        "a page on this machine to record or drop speech on",
    ),
    "evaluate": (
        "emosphere_sb.commands.evaluate",
        "a released or public model on a corpus, as a run that reports take",
    ),
}
"""Name: the module whose ``run(words)`` it is, and what it does in a line."""

FAULT = 2
"""Exit status where the command line or the data are at fault."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell says it."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command.

    Arguments
    ---------
    words : sequence of str, optional
        As in ``sys.argv[1:]``, which is the default.

    Returns
    -------
    int
        Exit status: 0; 1 where a table has marked cells or a file does not pass its check; 2 where
        the command line or the data are at fault, with one line on the standard error stream; 130
        after Ctrl-C.
    """
    words = list(sys.argv[1:] if words is None else words)
    try:
        status = _run(words)
        sys.stdout.flush()  # a reader that has gone is noticed here, not behind this function
        return status
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # emosphere … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, MemoryError, ImportError) as error:
        if os.environ.get("EMOSPHERE_TRACEBACK"):
            raise
        text = " ".join(line.strip() for line in _said(error).splitlines() if line.strip())
        print(f"error: {text} (EMOSPHERE_TRACEBACK=1 shows where)", file=sys.stderr)
        return FAULT


def _said(error: Exception) -> str:
    """What an error says; some say nothing."""
    return str(error) or type(error).__name__


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] == "--version":
        from emosphere_sb import __version__

        print(f"emosphere {__version__}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("fontTools", "speechbrain.utils.quirks"):  # each table of each font; each setting
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return _command(words[0])(words[1:])
    except SystemExit as end:  # argparse, behind --help
        return end.code or 0


def usage() -> str:
    """The help text: every command with what it does."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: emosphere COMMAND …",
            "",
            *lines,
            "",
            "For details: emosphere COMMAND --help",
        ]
    )


def _command(name: str):
    """The function that a command is.

    Raises
    ------
    ValueError
        If there is no such command.
    """
    if name not in COMMANDS:
        from emosphere_sb.recipe.renamed_keys import unknown_name

        raise ValueError(unknown_name("command", name, COMMANDS))
    return importlib.import_module(COMMANDS[name][0]).run


if __name__ == "__main__":
    sys.exit(main())
