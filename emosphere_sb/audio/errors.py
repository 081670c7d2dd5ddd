"""The exception raised for unusable audio files."""

from __future__ import annotations

import os


class AudioError(OSError, RuntimeError):
    """Raised if an audio file cannot be used.

    Arguments
    ---------
    reason : str
        Reason, as a short category, followed by ``": "`` and the details.
    path : path, optional
        Path of the file; the message then starts with it.

    Example
    -------
    >>> error = AudioError("empty audio file", "a.wav")
    >>> str(error), error.reason
    ('a.wav: empty audio file', 'empty audio file')
    """

    def __init__(self, reason: str, path: str | os.PathLike | None = None):
        super().__init__(reason if path is None else f"{os.fsdecode(path)}: {reason}")
        self.reason = reason
