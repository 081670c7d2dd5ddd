"""Nested facts (a protocol, versions, a run's cost) as a list for reading."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from emosphere_sb.html import render
from emosphere_sb.results.number_format import UNDEFINED, count_text, figure_text, seconds_text

VERBATIM = ("command", "commands")
"""Facts to be copied."""


def facts_list(facts: Mapping) -> Markup:
    """A mapping as a description list, mappings in it as lists in the list.

    Arguments
    ---------
    facts : mapping
        Of plain values, lists, and mappings, as JSON holds them.

    Returns
    -------
    Markup
        Names with blanks for underlines; counts with commas, ``*_seconds`` as a time, ``*_mib`` in
        GiB from 1,024 on; a command in type that can be copied.

    Example
    -------
    >>> print(facts_list({"best_epoch": 3}))
    <dl><dt>best epoch</dt><dd>3</dd></dl>
    """
    return render("report/facts.html.jinja", entries=_entries(facts))


def fact_text(name: str, value: object) -> str:
    """A plain value as a line; ``name`` says what it is.

    Example
    -------
    >>> fact_text("training_seconds", 7200.0), fact_text("peak_memory_mib", 2048)
    ('2 h 00 min', '2.0 GiB')
    >>> fact_text("synthetic", True), fact_text("train", 84030), fact_text("seed", 1234567)
    ('yes', '84,030', '1234567')
    """
    if value is None or value == "":
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and name.endswith("seconds"):
        return seconds_text(value)
    if isinstance(value, (int, float)) and name.endswith("_mib"):
        return f"{value / 1024:.1f} GiB" if value >= 1024 else f"{value:g} MiB"
    if isinstance(value, int):
        return str(value) if name.endswith("seed") else count_text(value)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """A setting as it was given, a figure with three decimals."""
    return f"{value:g}" if len(f"{value:g}") < 6 else figure_text(value)


def _entries(facts: Mapping) -> list[tuple]:
    return [(str(name).replace("_", " "), *_view(str(name), facts[name])) for name in facts]


def _view(name: str, value: object) -> tuple[str, object]:
    """A value as the template takes it: its kind, and what that kind shows."""
    if name in VERBATIM and value:
        return "commands", [value] if isinstance(value, str) else list(filter(None, value))
    if isinstance(value, Mapping):
        return "facts", _entries(value)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (Mapping, list, tuple)) for item in value):
            return "list", [_view(name, item) for item in value]
        return "text", ", ".join(fact_text(name, item) for item in value) or "none"
    if value and (name == "commit" or _is_digest(value)):
        return "code", value
    return "text", fact_text(name, value)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
