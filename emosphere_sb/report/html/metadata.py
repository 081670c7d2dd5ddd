"""Render nested metadata (protocol, versions and cost of a run) as HTML lists."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from emosphere_sb.html import render
from emosphere_sb.results.number_format import (
    UNDEFINED,
    format_count,
    format_duration,
    format_score,
)

VERBATIM = ("command", "commands")
"""Keys whose values are commands; these are shown in copyable blocks."""


def metadata_list(metadata: Mapping) -> Markup:
    """Render a mapping as a description list, with nested lists for nested mappings.

    Arguments
    ---------
    metadata : mapping
        JSON-compatible values, lists and mappings.

    Returns
    -------
    Markup
        Description list. Underscores in names become spaces, ``*_seconds`` are shown as durations,
        and ``*_mib`` in MiB or GiB.

    Example
    -------
    >>> print(metadata_list({"best_epoch": 3}))
    <dl><dt>best epoch</dt><dd>3</dd></dl>
    """
    return render("report/metadata.html.jinja", entries=_entries(metadata))


def format_metadata(name: str, value: object) -> str:
    """Format a single value; its name determines the unit.

    Example
    -------
    >>> format_metadata("training_seconds", 7200.0), format_metadata("peak_memory_mib", 2048)
    ('2 h 00 min', '2.0 GiB')
    >>> format_metadata("train", 84030), format_metadata("seed", 1234567)
    ('84,030', '1234567')
    >>> format_metadata("synthetic", True)
    'yes'
    """
    if value is None or value == "":
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and name.endswith("seconds"):
        return format_duration(value)
    if isinstance(value, (int, float)) and name.endswith("_mib"):
        return f"{value / 1024:.1f} GiB" if value >= 1024 else f"{value:g} MiB"
    if isinstance(value, int):
        return str(value) if name.endswith("seed") else format_count(value)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """Format short numbers (settings) unchanged and long ones (scores) with three decimals."""
    return f"{value:g}" if len(f"{value:g}") < 6 else format_score(value)


def _entries(metadata: Mapping) -> list[tuple]:
    return [(str(name).replace("_", " "), *_view(str(name), metadata[name])) for name in metadata]


def _view(name: str, value: object) -> tuple[str, object]:
    """Return the kind and the content of a value for the template."""
    if name in VERBATIM and value:
        return "commands", [value] if isinstance(value, str) else list(filter(None, value))
    if isinstance(value, Mapping):
        return "metadata", _entries(value)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (Mapping, list, tuple)) for item in value):
            return "list", [_view(name, item) for item in value]
        return "text", ", ".join(format_metadata(name, item) for item in value) or "none"
    if value and (name == "commit" or _is_digest(value)):
        return "code", value
    return "text", format_metadata(name, value)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
