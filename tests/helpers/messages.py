"""Collect all help texts and messages of the package in one file for proofreading.

``make messages`` runs ``python -m tests.helpers.messages messages.txt``. The file contains the help
text of each command and recipe, and then, by file and line, the text of each error, warning, log
message and console output. Expressions in f-strings are shown in braces.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("emosphere_sb", "data_prep", "recipes")
LOG_METHODS = ("debug", "info", "warning", "error", "critical", "exception", "warn", "warn_once")
CONSOLE_FUNCTIONS = ("print", "say", "write")


def main(arguments: Sequence[str]) -> int:
    """Write the file named on the command line.

    Returns
    -------
    int
        Exit status: 0, or 2 if there is not exactly one argument.
    """
    if len(arguments) != 1:
        print("usage: python -m tests.helpers.messages OUT.txt", file=sys.stderr)
        return 2
    sections = [f"===== {command} =====\n\n{text}" for command, text in help_texts()]
    messages = [f"{place}  [{kind}]\n    {text}" for place, kind, text in package_messages()]
    Path(arguments[0]).write_text("\n".join([*sections, *messages]) + "\n", encoding="utf-8")
    print(f"{len(sections)} help texts and {len(messages)} messages: {arguments[0]}")
    return 0


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield each command line with ``--help`` and its output."""
    from emosphere_sb.cli import COMMANDS
    from emosphere_sb.cli import main as emosphere
    from emosphere_sb.recipe.corpora import CORPORA

    command_lines = [["--help"], *([name, "--help"] for name in COMMANDS)]
    command_lines += [["prepare", corpus, "--help"] for corpus in CORPORA]
    command_lines += [["train", corpus, "--help"] for corpus in CORPORA]
    command_lines += [["train", next(iter(CORPORA)), "--help=presets"]]
    for words in command_lines:
        output = StringIO()
        with redirect_stdout(output):
            emosphere(words)
        yield f"emosphere {' '.join(words)}", output.getvalue()


def package_messages() -> Iterator[tuple[str, str, str]]:
    """Yield position, kind and text of each message of the package."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for line, kind, text in messages_in(path.read_text(encoding="utf-8")):
                yield f"{name}:{line}", kind, text


def messages_in(source: str) -> list[tuple[int, str, str]]:
    """Return line, kind and text of each message in Python source code.

    Example
    -------
    >>> messages_in('raise ValueError(f"--lr must be positive; found {lr}.")')
    [(1, 'ValueError', '--lr must be positive; found {lr}.')]
    >>> messages_in('logger.info("Saved %s", path)\\nprint(metrics)')
    [(1, 'info', 'Saved %s')]
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (kind := _message_kind(node)):
            # The keyword "help" is the text of command-line options, which --help shows.
            texts = [text for argument in node.args for text in _texts(argument)]
            found += [(node.lineno, kind, text) for text in texts if " " in text.strip()]
    return sorted(found)


def _message_kind(call: ast.Call) -> str:
    """Return the name of a function that takes a message; empty for other functions."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name.endswith(("Error", "Exception", "Warning")) or name == "SystemExit":
        return name
    is_log = isinstance(function, ast.Attribute) and name in LOG_METHODS
    return name if is_log or name in CONSOLE_FUNCTIONS else ""


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the string literals of an expression, with f-strings as one text each."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield " ".join(node.value.split())
    elif isinstance(node, ast.JoinedStr):
        parts = (
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
        )
        yield " ".join("".join(parts).split())
    elif isinstance(node, (ast.BinOp, ast.IfExp, ast.BoolOp)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _texts(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
