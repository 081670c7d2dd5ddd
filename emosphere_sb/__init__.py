"""EmoSphere-SER for SpeechBrain: valence, arousal and dominance from speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosphere_sb.inference.interface import EmoSphere as EmoSphere

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Import ``emosphere_sb.EmoSphere`` on first use, so that importing the package is fast."""
    if name == "EmoSphere":
        from emosphere_sb.inference.interface import EmoSphere

        return EmoSphere
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
