"""The exception raised for unusable audio files."""

from __future__ import annotations


class AudioError(OSError, RuntimeError):
    """Error for an audio file that cannot be read or has invalid content."""
