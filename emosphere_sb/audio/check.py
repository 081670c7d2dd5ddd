"""Decide whether an audio file can be used, how many samples it has, and what is wrong with it.

A file is used if all of its samples can be decoded. A wrong header alone only gives a warning. If
samples are damaged or missing, the file is rejected, and the reason gives the seconds that are
lost. Preparation, training and prediction apply this rule through :func:`check_audio`.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.decoder import Decoder, SoundFileDecoder, block_size, open_decoder
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.flac import scan_flac
from emosphere_sb.audio.mpeg import is_mpeg, scan_mpeg
from emosphere_sb.audio.ogg import scan_ogg
from emosphere_sb.audio.scan import Scan, lost_text
from emosphere_sb.audio.wav import UNKNOWN_WAV_LENGTH, WavLayout, parse_wav, scan_wav

FRONT_END_VERSION = 2
"""Version of the audio front end. It changes if model input changes by more than rounding.

2: resampling in numpy at all rates; crops of lossy formats are exact.
"""
VALID_SAMPLE_RATES = (4_000, 768_000)
"""Lowest and highest accepted sampling rate in Hz. Others point to a damaged header."""
MISSING_FILE = "missing audio file"
MAX_PEAK = 10.0
"""Largest accepted sample, where full scale is 1. Above it, floats are at an integer scale."""
MAX_MIX_LOSS = 5.0
"""Difference in dB between the loudest channel and the mix above which a warning is given. Equal
channels lose nothing, two unrelated ones 3 dB, and a channel mixed with a silent one 6 dB."""
MAX_DECODED = 2**31
"""Number of samples, over all channels, after which decoding stops (37 hours of 16 kHz mono).

The rest of a longer file is not examined. A longer file whose header has no length is rejected.
"""

_SHORTENED = re.compile(
    r"^\s*(?:SSND|Data Size|riff|Riff size|BODY|data)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_TRUNCATED = "Seems to be a truncated file."  # logged by libsndfile for VOC
_SHORTENED_RF64 = re.compile(r"Calculated frame count (\d+) does not match .* of (\d+)\.")


class AudioInfo(NamedTuple):
    """Properties of a usable audio file.

    Arguments
    ---------
    frames : int
        Number of samples per channel.
    sample_rate : int
        Sampling rate in Hz.
    channels : int
        Number of channels.
    warnings : tuple of str
        Defects that do not prevent the file from being used.
    loudest : int
        Number of the channel with the highest level.

    Example
    -------
    >>> AudioInfo(frames=8000, sample_rate=16000, channels=1).duration
    0.5
    """

    frames: int
    sample_rate: int
    channels: int
    warnings: tuple[str, ...] = ()
    loudest: int = 0

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.frames / self.sample_rate


def check_audio(
    path: str | os.PathLike, *, channel: str = "mix", max_seconds: float | None = None
) -> AudioInfo:
    """Check that an audio file can be used.

    WAV files with one channel of integer samples are complete if the file is as long as its header
    declares. All other files are decoded once. The result is cached until the file changes.

    Arguments
    ---------
    path : path
        Path of the file.
    channel : str
        Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``. A warning
        is added if mixing cancels the signal.
    max_seconds : float, optional
        Longest file that the caller accepts. Longer ones are not decoded completely; their
        ``duration`` is at least the limit, and their samples are unchecked.

    Raises
    ------
    AudioError
        If the file cannot be used. The message contains the path, and ``reason`` does not.

    Example
    -------
    >>> import soundfile
    >>> file = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(file, [[0.1, 0.1]] * 800, 16000)
    >>> check_audio(file)
    AudioInfo(frames=800, sample_rate=16000, channels=2, warnings=(), loudest=0)
    >>> _ = file.write_bytes(file.read_bytes()[:1644])
    >>> try:
    ...     check_audio(file)
    ... except AudioError as error:
    ...     error.reason
    'truncated audio: the header declares 3200 bytes; found 1600 (0.03 s of 0.05 s lost)'
    """
    check_channel(channel)
    name = os.fspath(path)
    try:
        status = regular_file_status(name)
        key = (name, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
        info, mix_warning = _inspect(*key, max_seconds)
    except AudioError as error:
        raise AudioError(error.reason, name) from None
    except OSError as error:
        reason = f"unreadable audio file: {error.strerror or error}"
        raise AudioError(reason, name) from None
    if channel == "mix" and mix_warning:
        return info._replace(warnings=(*info.warnings, mix_warning))
    return info


def regular_file_status(name: str | bytes) -> os.stat_result:
    """Return the status of a file; raise an error for pipes, folders and links to nothing."""
    try:
        status = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(name):
            raise AudioError("broken link: its target does not exist") from None
        raise AudioError(MISSING_FILE) from None
    except ValueError:  # null byte
        raise AudioError(MISSING_FILE) from None
    if stat.S_ISDIR(status.st_mode):
        raise AudioError("unreadable audio file: it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("unreadable audio file: pipes and devices are not supported")
    if status.st_size == 0:
        raise AudioError("empty audio file")
    return status


@lru_cache(maxsize=2**14)
def _inspect(
    name: str, size: int, _mtime: int, _inode: int, _device: int, max_seconds: float | None
) -> tuple[AudioInfo, str]:
    """Return the properties of a regular file, and a warning about its mix."""
    with open(name, "rb", buffering=0) as file:
        layout = parse_wav(file, size)
    if layout is None:
        return _decode(name, Scan(), max_seconds)
    found = scan_wav(layout)
    if layout.is_simple and not found.problem:
        check_sample_rate(layout.rate)
        frames = layout.present // layout.frame
        if not frames:
            raise AudioError("empty audio file")
        return AudioInfo(frames, layout.rate, 1, (found.warning,) * bool(found.warning)), ""
    return _decode(name, found, max_seconds, layout)


def check_sample_rate(rate: int) -> None:
    """Check a sampling rate.

    Raises
    ------
    AudioError
        If it is outside :data:`VALID_SAMPLE_RATES`.
    """
    low, high = VALID_SAMPLE_RATES
    if not low <= rate <= high:
        raise AudioError(
            f"unsupported sampling rate: must be from {low:,} to {high:,} Hz; found {rate:,} Hz"
        )


def _decode(
    name: str, found: Scan, max_seconds: float | None, layout: WavLayout | None = None
) -> tuple[AudioInfo, str]:
    """Examine and decode a file."""
    found = found if layout else _scan_container(name)
    if found.problem:
        raise AudioError(found.problem)
    with open_decoder(name) as decoder:
        check_sample_rate(decoder.rate)
        limit = math.inf if max_seconds is None else max_seconds * decoder.rate
        expected = found.frames or decoder.frames or 0
        if expected > limit:
            return AudioInfo(expected, decoder.rate, decoder.channels), ""
        problem = "" if layout else _find_missing_samples(name, decoder, os.path.getsize(name))
        if problem or decoder.frames == 0:
            raise AudioError(problem or "empty audio file")
        if getattr(decoder, "format", "") == "MP3":
            expected = 0  # an estimate; all frames of the file are decodable
        levels = _Levels(decoder.channels)
        if not _decode_to_end(decoder, levels, expected, limit):
            return AudioInfo(expected or levels.frames, decoder.rate, decoder.channels), ""
    if levels.frames < expected:
        lost = lost_text(expected - levels.frames, expected, decoder.rate)
        raise AudioError(
            f"truncated audio: only {levels.frames} of {expected} samples can be read ({lost})"
        )
    if not levels.frames:
        raise AudioError("empty audio file")
    warnings = (found.warning,) * bool(found.warning)
    loudest = int(np.argmax(levels.power))
    info = AudioInfo(levels.frames, decoder.rate, decoder.channels, warnings, loudest)
    return info, levels.mix_warning()


def _decode_to_end(decoder: Decoder, levels: _Levels, expected: int, limit: float) -> bool:
    """Decode a file; return False if the rest is not examined, because the file is too long."""
    budget, size = MAX_DECODED // decoder.channels, block_size(decoder.channels)
    while levels.frames <= min(limit, budget):
        try:
            block = decoder.read(size)
        except AudioError as error:
            done = levels.frames / decoder.rate
            lost = f"after {done:.2f} s"
            if expected:
                lost = "up to " + lost_text(expected - levels.frames, expected, decoder.rate)
            raise AudioError(f"{error.reason} ({lost})") from None
        if not len(block):
            return True
        levels.add(block)
    if not expected and levels.frames <= limit:
        raise AudioError(
            f"no length: the header does not give it, and the file has more than "
            f"{budget / decoder.rate / 3600:.0f} hours"
        )
    return False


def _scan_container(name: str | bytes) -> Scan:
    """Examine the container of a file before it is decoded."""
    with open(name, "rb") as file:
        head = file.read(64)
    if head.startswith(b"OggS"):
        return scan_ogg(name)
    if head.startswith(b"fLaC"):
        return scan_flac(name)
    return scan_mpeg(name) if is_mpeg(head) else Scan()


def _find_missing_samples(name: str | bytes, decoder: Decoder, size: int) -> str:
    """Return the reason to reject a file that promises more samples than libsndfile reads."""
    if not isinstance(decoder, SoundFileDecoder):
        return ""
    if decoder.format == "MP3":
        return scan_mpeg(name, decoder.frames).problem
    if _TRUNCATED in decoder.log:
        return "truncated audio: the header declares more than the file contains"
    if decoder.format == "NIST":
        return _find_missing_nist_samples(name, decoder)
    pairs = [(int(a), int(b)) for a, b in _SHORTENED.findall(decoder.log)]
    pairs += [(int(b), int(a)) for a, b in _SHORTENED_RF64.findall(decoder.log)]
    for promised, present in pairs:
        whole = promised in (size, size - 8)  # headers were counted as samples
        if present < promised < UNKNOWN_WAV_LENGTH and not whole:
            total = (decoder.frames or 0) / max(present, 1) * promised
            lost = lost_text(total - (decoder.frames or 0), total, decoder.rate)
            return f"truncated audio: the header declares more than the file contains ({lost})"
    return ""


def _find_missing_nist_samples(name: str | bytes, decoder: Decoder) -> str:
    """Compare the length of a NIST SPHERE file with its header, which libsndfile ignores."""
    with open(name, "rb") as file:
        found = re.search(rb"sample_count -i (\d+)", file.read(1024))
    promised = int(found[1]) if found else 0
    if promised <= decoder.frames:
        return ""
    lost = lost_text(promised - decoder.frames, promised, decoder.rate)
    return f"truncated audio: only {decoder.frames} of {promised} samples can be read ({lost})"


class _Levels:
    """Number of samples, level of each channel and of their mix."""

    def __init__(self, channels: int):
        self.frames, self.power, self.mix = 0, np.zeros(channels), 0.0

    def add(self, block: np.ndarray) -> None:
        """Add samples (samples, channels); raise an error if they are not audio at full scale 1."""
        low, high = float(block.min()), float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise AudioError("non-finite samples: NaN or infinity")
        if (peak := max(-low, high)) > MAX_PEAK:
            raise AudioError(
                f"wrong scale: samples must be scaled to [-1, 1]; found {peak:.5g}. Divide them "
                f"by the full scale of their integers, such as 32768"
            )
        self.frames += len(block)
        if len(self.power) > 1:
            self.add_power(block, block.mean(axis=1, dtype=np.float32))

    def add_power(self, block: np.ndarray, mix: np.ndarray) -> None:
        """Add the power of each channel (samples, channels) and of the mix (samples,)."""
        self.power += np.einsum("tc,tc->c", block, block, dtype=np.float64)
        self.mix += float(np.einsum("t,t->", mix, mix, dtype=np.float64))

    def mix_warning(self) -> str:
        """Return a warning if mixing cancels the signal."""
        loudest = float(self.power.max())
        if not loudest or self.mix >= loudest * 10 ** (-MAX_MIX_LOSS / 10):
            return ""
        loss = 10 * math.log10(loudest / self.mix) if self.mix > loudest * 1e-10 else math.inf
        effect = f"lowers the level by {loss:.0f} dB" if loss < 100 else "cancels the signal"
        return (
            f"mixing {len(self.power)} channels {effect} compared with channel "
            f"{int(np.argmax(self.power)) + 1}; select one channel (left, right or loudest)"
        )


def to_mono(block: np.ndarray, channel: str, loudest: int = 0) -> np.ndarray:
    """Convert samples (samples, channels) to mono.

    Example
    -------
    >>> to_mono(np.array([[0.5, -0.25]], dtype=np.float32), "mix").tolist()
    [0.125]
    >>> to_mono(np.array([[0.5, -0.25]], dtype=np.float32), "right").tolist()
    [-0.25]
    """
    if channel == "mix":
        return block.mean(axis=1, dtype=np.float32)
    number = {"left": 0, "right": 1, "loudest": loudest}[channel]
    return np.ascontiguousarray(block[:, min(number, block.shape[1] - 1)])


def array_to_mono(array: np.ndarray, channel: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert an array (samples, channels) to mono; also return a warning if mixing cancels it."""
    check_channel(channel)
    levels = _Levels(array.shape[1])
    levels.add_power(array, array.mean(axis=1))
    if channel == "mix":
        return array.mean(axis=1), tuple(filter(None, [levels.mix_warning()]))
    return to_mono(array, channel, int(np.argmax(levels.power))), ()


def warning_summary(warnings: Sequence[tuple[str, str]], shown: int = 3) -> list[str]:
    """Summarise the warnings of many files, given as pairs (file, warning)."""
    if not warnings:
        return []
    listed = "; ".join(f"{name}: {text}" for name, text in warnings[:shown])
    more = f"; and {len(warnings) - shown:,} more" if len(warnings) > shown else ""
    return [f"{len(warnings):,} audio files have a defect, but are complete: {listed}{more}."]
