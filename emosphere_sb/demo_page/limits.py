"""What the page takes: how long a recording, how large a file; and its messages."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import read_header
from emosphere_sb.results.number_format import clock_text

MEGABYTE = 1024**2
"""Bytes, as Gradio counts them, whose own message on large files stands on the page too."""


@dataclass(frozen=True)
class Limits:
    """The largest upload.

    Arguments
    ---------
    max_seconds : float
        Of a recording.
    max_megabytes : float
        Of a file, in units of 1,048,576 bytes.

    Raises
    ------
    ValueError
        If one is not a finite number above 0.

    Example
    -------
    >>> Limits(90, 5).text
    'Up to 1:30 min and 5 MB.'
    """

    max_seconds: float = 600.0
    max_megabytes: float = 50.0

    def __post_init__(self) -> None:
        """Refuses what limits nothing."""
        for name in ("max_seconds", "max_megabytes"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"--{name} must be a finite number above 0; found {value}.")

    @property
    def max_bytes(self) -> int:
        """Of a file."""
        return max(1, round(self.max_megabytes * MEGABYTE))

    @property
    def text(self) -> str:
        """For the page."""
        return f"Up to {clock_text(self.max_seconds)} min and {self.max_megabytes:g} MB."

    def check(self, path: str | os.PathLike) -> float:
        """See that a file is within the limits.

        Arguments
        ---------
        path : path
            Of the upload.

        Returns
        -------
        float
            Its duration in seconds, from the header.

        Raises
        ------
        AudioError
            If it is too large, too long, or no audio.
        """
        if os.path.isfile(path) and (size := os.path.getsize(path)) > self.max_bytes:
            raise AudioError(
                f"A file may have {self.max_megabytes:g} MB at the most; this one has "
                f"{size / MEGABYTE:.1f} MB. Cut it, or start the page with a larger "
                f"--max_megabytes."
            )
        duration = read_header(path).duration
        if duration > self.max_seconds:
            raise AudioError(
                f"A recording may last {clock_text(self.max_seconds)} min at the most; this one "
                f"lasts {clock_text(duration)} min. Cut it, start the page with a larger "
                f"--max_seconds, or use `emosphere timeline` for long recordings."
            )
        return duration
