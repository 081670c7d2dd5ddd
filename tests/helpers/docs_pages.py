"""Find the commands and Python blocks in README.md and the other documentation pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = (
    "docs/installation.md", "docs/data.md", "docs/training.md", "docs/presets.md",
    "docs/backbones.md", "docs/inference.md", "docs/*.md", "docs/api/*.md", "recipes/*/README.md",
    "README.md",
)  # fmt: skip
"""Pages with commands, relative to the root, in the order of execution. Later pages use the runs
and models of earlier ones; the README uses both."""

SHELL, PYTHON = "", "python"
"""Languages of blocks that are run; a block without a language contains shell commands."""

TEXT = ("text", "csv", "bibtex")
"""Languages of blocks that are not run; neither are directives of the site, such as {toctree}."""

PROGRAMS = ("emosphere", "make", "pip", "python", "torchrun")
"""Programs that a command may start with."""


@dataclass(frozen=True)
class Snippet:
    """A command or a Python block.

    Arguments
    ---------
    page : str
        Path relative to the root.
    line : int
        Number of the first line, counted from 1.
    language : str
        :data:`SHELL` or :data:`PYTHON`.
    text : str
        Text of the snippet; continuation lines of a command are joined and comments removed.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def location(self) -> str:
        """Position of the snippet, as ``PAGE:LINE``."""
        return f"{self.page}:{self.line}"

    @property
    def program(self) -> str:
        """First word of the command."""
        return self.text.split()[0]


def pages(root: Path) -> list[str]:
    """Return all pages; each pattern must match at least one page."""
    found = []
    for pattern in PAGES:
        there = sorted(str(path.relative_to(root)) for path in root.glob(pattern))
        if not there:
            raise FileNotFoundError(f"No page in {root} matches {pattern}. Correct PAGES.")
        found += [page for page in there if page not in found]
    return found


def snippets(text: str, page: str) -> list[Snippet]:
    """Find all snippets in a page, in order.

    Raises
    ------
    ValueError
        If a block has an unknown language, is not closed, or contains a line that is not a
        command.
    """
    found: list[Snippet] = []
    language, begun, block = None, 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.fullmatch(r"```(\{\w+\}|\w*)\s*", line)
        if language is None and fence:
            language, begun, block = fence[1], number + 1, []
            if language not in (SHELL, PYTHON, *TEXT) and not language.startswith("{"):
                raise ValueError(
                    f"{page}:{number}: the language of a block must be {PYTHON}, one of "
                    f"{', '.join(TEXT)}, or empty (commands); found {language}."
                )
        elif language is not None and fence:
            found += _of_block(language, block, page, begun)
            language = None
        elif language is not None:
            block.append(line)
    if language is not None:
        raise ValueError(f"{page}:{begun - 1}: the block is not closed.")
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
                f"{page}:{first}: a command must start with one of {', '.join(PROGRAMS)}; found "
                f"{command!r}. Use the language {' or '.join(TEXT)} for blocks that are not run."
            )
        found.append(Snippet(page, first, SHELL, re.sub(r"\s+", " ", command)))
    if text:
        raise ValueError(f"{page}:{first}: the last line ends with a backslash.")
    return found


def all_snippets(root: Path) -> list[Snippet]:
    """Return the snippets of all pages."""
    return [s for page in pages(root) for s in snippets((root / page).read_text("utf-8"), page)]
