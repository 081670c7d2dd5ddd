"""What a file's header says of its sound, and where it says more than there is."""

from __future__ import annotations

import os
import re

import soundfile

from emosphere_sb.audio.reading import UNKNOWN, AudioError, native
from emosphere_sb.audio.stream import count_samples

UNSAID = 2**31 - 2**16
"""Bytes from which on the length in a wav's header says that it was not known."""
RATES = (1_000, 768_000)
"""Sampling rates that are taken, in Hz: what lies outside is a damaged header, or no speech."""


def header(path: str | os.PathLike) -> tuple[float, int]:
    """Duration in seconds and sampling rate of a file, from its header.

    Where a header has no length (FLAC that was written to a pipe), samples are counted: that reads
    all of the file.

    Raises
    ------
    AudioError
        If it is no audio file that libsndfile reads, is empty, or has an impossible rate.
    """
    duration, rate, _ = read_header(path)
    return duration, rate


def read_header(path: str | os.PathLike) -> tuple[float, int, str]:
    """What :func:`header` gives, and a warning of a wav that lacks its end; empty otherwise."""
    name = os.fsdecode(path)
    if os.path.isdir(name):
        raise AudioError(f"{name} is a folder, not an audio file.")
    if not os.path.exists(name):
        raise AudioError(f"There is no file {name}.")
    if not os.path.isfile(name):
        raise AudioError(f"{name} must be a regular file: a pipe or a device cannot be sought in.")
    try:
        about = soundfile.info(native(name), verbose=True)  # its log tells what a wav lacks
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        reason = str(error).removeprefix(f"Error opening {native(name)!r}: ")
        raise AudioError(
            f"{name} is no audio file that libsndfile {soundfile.__libsndfile_version__} reads "
            f"({reason}). It reads wav, flac, ogg, opus, mp3 and aiff; convert others first: "
            f"ffmpeg -i IN -ar 16000 -ac 1 OUT.wav."
        ) from error
    frames = count_samples(name) if about.frames > UNKNOWN else about.frames
    if not frames > 0:
        raise AudioError(f"{name} holds no samples.")
    if not RATES[0] <= about.samplerate <= RATES[1]:
        raise AudioError(
            f"{name} must have a sampling rate between {RATES[0]:,} and {RATES[1]:,} Hz; found "
            f"{about.samplerate:,}."
        )
    return frames / about.samplerate, about.samplerate, _lacking(about.extra_info)


def _lacking(log: str) -> str:
    """A warning where libsndfile found less sound than a header promises, which it takes silently.

    Example
    -------
    >>> _lacking("data : 56820 (should be 28388)")
    'the file is cut off: 50% of the sound that its header names is there'
    """
    found = re.search(r"^\s*data : (\d+) \(should be (\d+)\)", log, flags=re.MULTILINE)
    if found is None:
        return ""
    promised, there = int(found[1]), int(found[2])
    if promised >= UNSAID or there >= promised:  # written to a pipe: no length was known
        return ""
    share = f"{100 * there / promised:.0f}%"
    return f"the file is cut off: {share} of the sound that its header names is there"
