"""Facts and tables as Markdown, in which nothing that is quoted can be markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emosphere_sb.report.html.facts import fact_text

SPECIAL = "\\`*_{}[]<>|"


def quoted(text: object) -> str:
    """A text as it is, on one line, whatever it looks like.

    Example
    -------
    >>> quoted("a|b <i> my_model")
    'a\\\\|b \\\\<i\\\\> my\\\\_model'
    """
    one_line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in one_line)


def code(text: object) -> str:
    """A text to be copied; a backtick in it ends nothing.

    Example
    -------
    >>> code("a --b=c"), code("a`b")
    ('`a --b=c`', '`` a`b ``')
    """
    one_line = " ".join(str(text).split())
    return f"`` {one_line} ``" if "`" in one_line else f"`{one_line}`"


def fact_lines(facts: Mapping[str, object]) -> str:
    """A mapping as a list; mappings in it as a line of pairs.

    Example
    -------
    >>> print(fact_lines({"seed": 7, "utterances": {"train": 84030, "test1": 12}, "fold": None}))
    - seed: 7
    - utterances: train 84,030; test1 12
    - fold: –
    """
    return "\n".join(f"- {name}: {_shown(name, value)}" for name, value in facts.items())


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with left-aligned first column; cells are quoted.

    Example
    -------
    >>> print(table(["set", "CCC"], [["test1", ".688"]]))
    | set | CCC |
    |:---|---:|
    | test1 | .688 |
    """
    lines = [_row(heads), "|:---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(quoted, cells))} |"


def _shown(name: str, value: object) -> str:
    if name in ("command", "commit"):
        return code(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{quoted(key)} {_shown(key, item)}" for key, item in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(name, item) for item in value) or "none"
    return quoted(fact_text(name, value))
