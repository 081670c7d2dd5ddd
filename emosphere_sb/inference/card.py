"""The model card of a released model, generated from its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emosphere_sb.inference.released import About


def model_card(about: About, metrics: Mapping, run: Path) -> str:
    """The card as Markdown."""
    return f"# {about.name}\n\n{about.licence}\n"
