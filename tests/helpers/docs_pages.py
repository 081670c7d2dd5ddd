"""Find the commands and Python blocks in README.md and the other pages for users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = ("README.md", "docs/tutorial.md", "docs/distributed.md", "recipes/*/README.md")
"""Pages with commands, relative to the root, in the order in which they are run."""

SHELL, PYTHON = "", "python"
"""Languages of blocks that are run; a block without a language holds shell commands."""

TEXT = ("text", "csv", "bibtex")
"""Languages of blocks that are not run."""

PROGRAMS = ("emosphere", "make", "pip", "python", "torchrun")
"""Programs that a command may start with."""


@dataclass(frozen=True)
class Snippet:
    """A command, or a block of Python.

    Arguments
    ---------
    page : str
        The file, from the root.
    line : int
        First line, from 1.
    language : str
        :data:`SHELL` or :data:`PYTHON`.
    text : str
        The text; a command is joined over its continuation lines and has no comment.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """``PAGE:LINE``, as editors accept it."""
        return f"{self.page}:{self.line}"

    @property
    def program(self) -> str:
        """The first word of a command."""
        return self.text.split()[0]


def pages(root: Path) -> list[str]:
    """All pages; each pattern must match at least one."""
    found = []
    for pattern in PAGES:
        there = sorted(str(path.relative_to(root)) for path in root.glob(pattern))
        if not there:
            raise FileNotFoundError(f"{root} has no {pattern}: correct PAGES.")
        found += there
    return found


def snippets(text: str, page: str) -> list[Snippet]:
    """Everything in a page that is run, in order.

    Raises
    ------
    ValueError
        If a block has an unknown language, is not closed, or holds a line that is no command.
    """
    found: list[Snippet] = []
    language, begun, block = None, 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.fullmatch(r"```(\w*)\s*", line)
        if language is None and fence:
            language, begun, block = fence[1], number + 1, []
            if language not in (SHELL, PYTHON, *TEXT):
                raise ValueError(
                    f"{page}:{number}: a block is {PYTHON}, one of {', '.join(TEXT)}, or without a "
                    f"language, which means commands; found {language}."
                )
        elif language is not None and fence:
            found += _of_block(language, block, page, begun)
            language = None
        elif language is not None:
            block.append(line)
    if language is not None:
        raise ValueError(f"{page}:{begun - 1}: this block is not closed.")
    return found


def _of_block(language: str, lines: list[str], page: str, begun: int) -> list[Snippet]:
    if language == PYTHON:
        return [Snippet(page, begun, PYTHON, "\n".join(lines) + "\n")]
    return _commands(lines, page, begun) if language == SHELL else []


def _commands(lines: list[str], page: str, begun: int) -> list[Snippet]:
    found, text, first = [], "", begun
    for number, line in enumerate(lines, start=begun):
        first = first if text else number
        text += line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        command = re.sub(r"\s+#.*", "", text).strip()
        text = ""
        if not command:
            continue
        if command.split()[0] not in PROGRAMS:
            raise ValueError(
                f"{page}:{first}: a command begins with one of {', '.join(PROGRAMS)}; found "
                f"{command!r}. A block that is not run is called {' or '.join(TEXT)}."
            )
        found.append(Snippet(page, first, SHELL, re.sub(r"\s+", " ", command)))
    if text:
        raise ValueError(f"{page}:{first}: the last line of this block goes on nowhere.")
    return found


def all_snippets(root: Path) -> list[Snippet]:
    """The snippets of all pages."""
    return [s for page in pages(root) for s in snippets((root / page).read_text("utf-8"), page)]
