"""Read length, sampling rate and channels from audio file headers, without reading the samples."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import UNKNOWN_FRAMES, encode_path
from emosphere_sb.audio.stream import count_samples
from emosphere_sb.audio.verify import verify_samples
from emosphere_sb.audio.wav import UNKNOWN_WAV_LENGTH, parse_wav_header

VALID_SAMPLE_RATES = (1_000, 768_000)
"""Lowest and highest accepted sampling rate in Hz. Other rates indicate a damaged header."""

MISSING_FILE = "missing audio file"

_INTEGER_SUBTYPES = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32")
_SHORTENED = re.compile(r"(?:SSND|Data Size)\s*: \d+ \(should be|lacks an end-of-stream bit")
_CUT_OFF = re.compile(r"^\s*data : (\d+) \(should be (\d+)\)", flags=re.MULTILINE)


class Header(NamedTuple):
    """The header of an audio file.

    Arguments
    ---------
    frames : int
        Number of samples per channel.
    sample_rate : int
        Sampling rate in Hz.
    channels : int
        Number of channels.
    warning : str
        Description of a defect that does not prevent the file from being used; empty if there are
        no defects.

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
        """Duration in seconds."""
        return self.frames / self.sample_rate


def read_header(path: str | os.PathLike, *, verify: bool = False) -> Header:
    """Read the header of an audio file.

    If a header does not contain the length (FLAC written to a pipe), the samples are counted, which
    decodes the entire file.

    Arguments
    ---------
    path : path
        Path of a WAV file or of any other file that libsndfile supports.
    verify : bool
        Whether the file must be complete, as when a corpus is prepared. For WAV files with integer
        samples, the header is compared with the file size. All other files are decoded once,
        because compressed files can be damaged in the middle and float samples can be NaN. With
        ``False``, a truncated WAV file only gets a warning.

    Raises
    ------
    AudioError
        If the file is missing, unreadable or empty, or is not an audio file. The message contains
        the path and the remedy; with ``verify`` it is only the reason, as ``kind: details``.

    Example
    -------
    >>> file = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(file, [[0.0, 0.1]] * 800, 16000)
    >>> read_header(file)
    Header(frames=800, sample_rate=16000, channels=2, warning='')
    >>> _ = file.write_bytes(file.read_bytes()[:1000])
    >>> read_header(file).warning
    'truncated file: only 30% of the audio declared in the header is present'
    >>> read_header(file, verify=True)
    Traceback (most recent call last):
    emosphere_sb.audio.errors.AudioError: truncated audio: the header declares 3200 bytes; found \
956
    """
    return _read_verified(path) if verify else _read(os.fsdecode(path))


def _read(name: str) -> Header:
    if os.path.isdir(name):
        raise AudioError(f"{name} is a folder, not an audio file.")
    if not os.path.exists(name):
        raise AudioError(f"File not found: {name}.")
    if not os.path.isfile(name):
        raise AudioError(f"{name} must be a regular file: pipes and devices are not seekable.")
    try:
        info = soundfile.info(encode_path(name))
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise AudioError(
            f"{name}: unsupported or damaged audio (libsndfile "
            f"{soundfile.__libsndfile_version__}: {_reason(error, name)}). Supported formats are "
            f"wav, flac, ogg, opus, mp3 and aiff. Convert other formats first: "
            f"ffmpeg -i IN -ar 16000 -ac 1 OUT.wav."
        ) from error
    frames = count_samples(name) if info.frames > UNKNOWN_FRAMES else info.frames
    if not frames > 0:
        raise AudioError(f"{name} contains no samples.")
    if not VALID_SAMPLE_RATES[0] <= info.samplerate <= VALID_SAMPLE_RATES[1]:
        raise AudioError(
            f"{name} must have a sampling rate between {VALID_SAMPLE_RATES[0]:,} and "
            f"{VALID_SAMPLE_RATES[1]:,} Hz; found {info.samplerate:,} Hz."
        )
    return Header(frames, info.samplerate, info.channels, _truncation_warning(info.extra_info))


def _truncation_warning(log: str) -> str:
    """Return a warning if a WAV file is shorter than its header, which libsndfile only logs.

    Example
    -------
    >>> _truncation_warning("data : 56820 (should be 28388)")
    'truncated file: only 50% of the audio declared in the header is present'
    """
    found = _CUT_OFF.search(log)
    if found is None:
        return ""
    declared, present = int(found[1]), int(found[2])
    if declared >= UNKNOWN_WAV_LENGTH or present >= declared:
        return ""
    share = f"{100 * present / declared:.0f}%"
    return f"truncated file: only {share} of the audio declared in the header is present"


def _read_verified(path: str | os.PathLike) -> Header:
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            plain = parse_wav_header(file, size) if size else (0, 1, 1)
    except AudioError:  # a subclass of OSError
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
    """Read the header with libsndfile; decode the file unless it is integer PCM in WAV."""
    try:
        info = soundfile.info(encode_path(path))
    except (OSError, TypeError, ValueError, RuntimeError, soundfile.SoundFileError) as error:
        raise AudioError(f"not a recognised audio file: {_reason(error, path)}") from None
    if _SHORTENED.search(info.extra_info):
        raise AudioError("truncated audio: the header declares more than the file contains")
    if info.format not in ("WAV", "WAVEX") or info.subtype not in _INTEGER_SUBTYPES:
        verify_samples(path, info.frames)
    return Header(info.frames, info.samplerate, info.channels)


def _reason(error: Exception, path: str | os.PathLike) -> str:
    """Return the reason given in a soundfile error, without the path."""
    return str(error).removeprefix(f"Error opening {encode_path(path)!r}: ").strip()
