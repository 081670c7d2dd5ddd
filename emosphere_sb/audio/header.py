"""Headers of audio files: their length, sample rate and channels, without reading the samples."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import UNKNOWN, native
from emosphere_sb.audio.stream import count_samples
from emosphere_sb.audio.verify import verify_samples
from emosphere_sb.audio.wav import UNKNOWN_WAV_LENGTH, parse_wav_header

RATES = (1_000, 768_000)
"""Sample rates that are accepted, in Hz. Others come from a damaged header, or are no speech."""

MISSING_FILE = "missing audio file"

_INTEGER_SUBTYPES = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32")
_SHORTENED = re.compile(r"(?:SSND|Data Size)\s*: \d+ \(should be|lacks an end-of-stream bit")
_CUT_OFF = re.compile(r"^\s*data : (\d+) \(should be (\d+)\)", flags=re.MULTILINE)


class Header(NamedTuple):
    """What an audio file says of itself.

    Arguments
    ---------
    frames : int
        Samples per channel.
    sample_rate : int
        In Hz.
    channels : int
        1 for mono.
    warning : str
        What is wrong with a file that can be used nevertheless; empty if nothing is.

    Example
    -------
    >>> Header(frames=8000, sample_rate=16000, channels=1).duration
    0.5
    """

    frames: int
    sample_rate: int
    channels: int
    warning: str = ""

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.frames / self.sample_rate


def read_header(path: str | os.PathLike, *, verify: bool = False) -> Header:
    """Read the header of an audio file.

    Where a header has no length (FLAC that was written to a pipe), the samples are counted, which
    reads the whole file.

    Arguments
    ---------
    path : path
        WAV, or any other file that libsndfile reads.
    verify : bool
        Whether the file must be complete, as in the preparation of a corpus. Of WAV files with
        integer samples the header is compared with the size of the file. All others are decoded
        once: compressed files can be damaged in the middle, and float samples can be NaN. With
        ``False``, a WAV file that is cut off gets a warning.

    Raises
    ------
    AudioError
        If the file is missing, unreadable or empty, or is not an audio file. The message names the
        file and the remedy; with ``verify`` it is the reason alone, as ``kind: details``.

    Example
    -------
    >>> file = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(file, [[0.0, 0.1]] * 800, 16000)
    >>> read_header(file)
    Header(frames=800, sample_rate=16000, channels=2, warning='')
    >>> _ = file.write_bytes(file.read_bytes()[:1000])
    >>> read_header(file).warning
    'the file is cut off: 30% of the sound that its header names is there'
    >>> read_header(file, verify=True)
    Traceback (most recent call last):
    emosphere_sb.audio.errors.AudioError: truncated audio: the header promises 3200 bytes, 956 are \
there
    """
    return _read_verified(path) if verify else _read(os.fsdecode(path))


def _read(name: str) -> Header:
    if os.path.isdir(name):
        raise AudioError(f"{name} is a folder, not an audio file.")
    if not os.path.exists(name):
        raise AudioError(f"There is no file {name}.")
    if not os.path.isfile(name):
        raise AudioError(f"{name} must be a regular file: a pipe or a device cannot be sought in.")
    try:
        info = soundfile.info(native(name))
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise AudioError(
            f"{name} is no audio file that libsndfile {soundfile.__libsndfile_version__} reads "
            f"({_reason(error, name)}). It reads wav, flac, ogg, opus, mp3 and aiff; convert "
            f"others first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav."
        ) from error
    frames = count_samples(name) if info.frames > UNKNOWN else info.frames
    if not frames > 0:
        raise AudioError(f"{name} holds no samples.")
    if not RATES[0] <= info.samplerate <= RATES[1]:
        raise AudioError(
            f"{name} must have a sampling rate between {RATES[0]:,} and {RATES[1]:,} Hz; found "
            f"{info.samplerate:,}."
        )
    return Header(frames, info.samplerate, info.channels, _cut_off_warning(info.extra_info))


def _cut_off_warning(log: str) -> str:
    """A warning where libsndfile silently found less sound than the header of a WAV file promises.

    Example
    -------
    >>> _cut_off_warning("data : 56820 (should be 28388)")
    'the file is cut off: 50% of the sound that its header names is there'
    """
    found = _CUT_OFF.search(log)
    if found is None:
        return ""
    promised, there = int(found[1]), int(found[2])
    if promised >= UNKNOWN_WAV_LENGTH or there >= promised:
        return ""
    share = f"{100 * there / promised:.0f}%"
    return f"the file is cut off: {share} of the sound that its header names is there"


def _read_verified(path: str | os.PathLike) -> Header:
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            plain = parse_wav_header(file, size) if size else (0, 1, 1)
    except AudioError:  # an OSError too
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(MISSING_FILE) from None
    except OSError as error:
        raise AudioError(f"unreadable audio file: {error.strerror}") from None
    header = Header(*plain) if plain else _read_decoded(path)
    if header.frames == 0:
        raise AudioError("empty audio file")
    return header


def _read_decoded(path: str | os.PathLike) -> Header:
    """Header by libsndfile; whatever is not integer PCM in a WAV file is decoded as well."""
    try:
        info = soundfile.info(native(path))
    except (OSError, TypeError, ValueError, RuntimeError, soundfile.SoundFileError) as error:
        raise AudioError(f"not audio: {_reason(error, path)}") from None
    if _SHORTENED.search(info.extra_info):
        raise AudioError("truncated audio: the header promises more than the file holds")
    if info.format not in ("WAV", "WAVEX") or info.subtype not in _INTEGER_SUBTYPES:
        verify_samples(path, info.frames)
    return Header(info.frames, info.samplerate, info.channels)


def _reason(error: Exception, path: str | os.PathLike) -> str:
    """The reason in an error of soundfile's, without the path."""
    return str(error).removeprefix(f"Error opening {native(path)!r}: ").strip()
