"""Public VAD checkpoints that people use today, in the layouts of their authors."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from emosphere_sb.inference.released import About


def public_layout(folder: Path, source: str) -> str | None:
    """Which known layout a folder has; ``None`` where it has none of them."""
    return None


def load_public(layout: str, folder: Path, source: str) -> tuple[nn.Module, About]:
    """Load a public checkpoint."""
    raise ValueError(f"{source} has the layout {layout!r}, which is not known.")
