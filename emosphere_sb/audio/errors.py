"""The error of audio files that cannot be used."""

from __future__ import annotations


class AudioError(OSError, RuntimeError):
    """A file cannot be read, or does not hold what it should hold."""
