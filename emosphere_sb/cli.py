"""The console command ``emosphere``. ``--help`` imports no large package such as torch."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from emosphere_sb.recipe.console_logging import configure_console_logging
from emosphere_sb.recipe.errors import error_text

COMMANDS = {
    "train": ("emosphere_sb.commands.train", "prepare a corpus, then train and test a model"),
    "table": (
        "emosphere_sb.commands.table",
        "run all experiments for a results table and write it as Markdown, LaTeX, CSV and HTML",
    ),
    "report": (
        "emosphere_sb.commands.report",
        "report the metrics of a run or of a CSV file, with confidence intervals and plots",
    ),
    "submission": ("emosphere_sb.commands.submission", "write or check a challenge submission"),
    "release": ("emosphere_sb.commands.release", "package a trained model for distribution"),
    "predict": ("emosphere_sb.commands.predict", "predict emotion from audio files"),
    "export": ("emosphere_sb.commands.export", "export a model to ONNX (runs without PyTorch)"),
    "timeline": (
        "emosphere_sb.commands.timeline",
        "predict valence, arousal and dominance over time for a long recording",
    ),
    "prepare": (
        "emosphere_sb.commands.prepare",
        "write only the manifests of a corpus (no training)",
    ),
    "cache": (
        "emosphere_sb.commands.cache",
        "list, verify or remove the cached features of frozen backbones",
    ),
    "demo": ("emosphere_sb.commands.demo", "serve a local web page for trying out a model"),
    "evaluate": (
        "emosphere_sb.commands.evaluate",
        "evaluate a released or public model on a corpus",
    ),
}
"""Module (with a function ``run(argv)``) and one-line description of each command."""

USER_ERROR = 2
"""Exit status for an invalid command line or invalid data."""
INTERRUPTED = 130
"""Exit status after Ctrl-C (128 + SIGINT)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Arguments
    ---------
    argv : sequence of str, optional
        Command-line arguments; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        Exit status: 0 on success; 1 if a table is incomplete or a checked file is invalid; 2 if the
        command line or the data are invalid (a one-line message is written to standard error); 130
        after Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(argv)
        sys.stdout.flush()  # raises BrokenPipeError here rather than at interpreter exit
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
        print(f"error: {error_text(error)}", file=sys.stderr)
        return USER_ERROR


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(commands_help())
        return 0
    if argv[0] == "--version":
        from emosphere_sb import __version__

        print(f"emosphere {__version__}")
        return 0
    configure_console_logging()
    try:
        return _command_function(argv[0])(argv[1:])
    except SystemExit as end:  # raised by argparse after --help
        return end.code or 0


def commands_help() -> str:
    """Return the help text with a description of each command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: emosphere COMMAND …",
            "",
            *lines,
            "",
            "For details, run emosphere COMMAND --help",
        ]
    )


def _command_function(name: str):
    """Return the ``run`` function of a command.

    Raises
    ------
    ValueError
        If the command does not exist.
    """
    if name not in COMMANDS:
        from emosphere_sb.recipe.renamed_keys import unknown_name

        raise ValueError(unknown_name("command", name, COMMANDS))
    return importlib.import_module(COMMANDS[name][0]).run


if __name__ == "__main__":
    sys.exit(main())
