"""Limits for the duration and file size of uploads."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.results.number_format import format_clock

MEGABYTE = 1024**2
"""Bytes per megabyte, as in Gradio, whose messages about large files also appear on the page."""

FORM_BYTES = 1 << 16
"""Maximum size of the multipart form around an uploaded file."""


@dataclass(frozen=True)
class Limits:
    """Limits for uploads.

    Arguments
    ---------
    max_seconds : float
        Maximum duration in seconds.
    max_megabytes : float
        Maximum file size in units of 1,048,576 bytes.

    Raises
    ------
    ValueError
        If a limit is not a finite number above 0.

    Example
    -------
    >>> Limits(90, 5).text
    'Up to 1:30 min and 5 MB.'
    """

    max_seconds: float = 600.0
    max_megabytes: float = 50.0

    def __post_init__(self) -> None:
        """Validate the limits."""
        for name in ("max_seconds", "max_megabytes"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"--{name} must be a finite number above 0; found {value}.")

    @property
    def max_bytes(self) -> int:
        """Maximum file size in bytes."""
        return max(1, round(self.max_megabytes * MEGABYTE))

    @property
    def max_total_bytes(self) -> int:
        """Maximum size of all uploads together in bytes: four files, each with one copy."""
        return 8 * (self.max_bytes + FORM_BYTES)

    @property
    def text(self) -> str:
        """Description of the limits for the page."""
        return f"Up to {format_clock(self.max_seconds)} min and {self.max_megabytes:g} MB."

    def check(self, path: str | os.PathLike) -> float:
        """Check that a file is within the limits.

        Arguments
        ---------
        path : path
            Path of the upload.

        Returns
        -------
        float
            Duration in seconds according to the header.

        Raises
        ------
        AudioError
            If the file is too large or too long, or is not audio.
        """
        if os.path.isfile(path) and (size := os.path.getsize(path)) > self.max_bytes:
            raise AudioError(
                f"The file is too large: the limit is {self.max_megabytes:g} MB; found "
                f"{size / MEGABYTE:.1f} MB. Shorten it, or start the page with a larger "
                f"--max_megabytes."
            )
        duration = check_audio(path, max_seconds=self.max_seconds).duration
        if duration > self.max_seconds:
            raise AudioError(
                f"The recording is too long: the limit is {format_clock(self.max_seconds)} min; "
                f"found {format_clock(duration)} min. Shorten it, start the page with a larger "
                f"--max_seconds, or use `emosphere timeline` for long recordings."
            )
        return duration
