"""The exception raised for unusable audio files."""

from __future__ import annotations


class AudioError(OSError, RuntimeError):
    """Raised if an audio file cannot be read or its content is invalid."""
