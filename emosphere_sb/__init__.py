"""EmoSphere-SER for SpeechBrain: valence, arousal and dominance from speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosphere_sb.inference.interface import EmoSphere as EmoSphere
    from emosphere_sb.onnx_export.engines import load_predictor as load_predictor

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Import ``EmoSphere`` and ``load_predictor`` on first use, so that the package loads fast."""
    if name == "EmoSphere":
        from emosphere_sb.inference.interface import EmoSphere

        return EmoSphere
    if name == "load_predictor":
        from emosphere_sb.onnx_export.engines import load_predictor

        return load_predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
