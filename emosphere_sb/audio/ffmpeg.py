"""Decode containers that libsndfile does not support (m4a, mp4, webm, wma, ...) with ffmpeg.

ffmpeg is optional. It runs as a separate process that writes 32-bit float samples to a pipe, so
memory use does not depend on the length of a file.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import struct
import subprocess
import tempfile

import numpy as np

from emosphere_sb.audio.errors import AudioError

TIMEOUT = 60.0
"""Seconds without output after which ffmpeg is stopped."""
FORMATS = "mov,mp4,m4a,3gp,matroska,webm,asf,aac,amr,avi,ac3,eac3,dts,ape,wv,rm,adts,flv,mpegts"
"""Containers that ffmpeg may open. Playlists, which may name other files, are not among them."""

_ADDRESS = re.compile(r"^(\[[^\]]*\]\s*)+")
"""Name and memory address of the reporting component, in front of messages of ffmpeg."""
_SIGNATURES = (
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (0, b"\x1a\x45\xdf\xa3"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b"#!AMR"), (8, b"AVI LIST"), (0, b"MAC "),
    (0, b"wvpk"), (0, b"\x0b\x77"), (0, b"\x7f\xfe\x80\x01"), (0, b".RMF"), (0, b"FLV\x01"),
    (0, b"\xff\xf1"), (0, b"\xff\xf9"), (0, b"ADIF"),
)  # fmt: skip
"""Offset and content of the bytes by which these containers are recognised."""


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg; ``None`` if it is not installed."""
    return shutil.which("ffmpeg")


def is_ffmpeg_container(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a container that only ffmpeg reads.

    Example
    -------
    >>> is_ffmpeg_container(bytes(4) + b"ftypM4A "), is_ffmpeg_container(b"RIFF" + bytes(12))
    (True, False)
    """
    return any(head[start : start + len(text)] == text for start, text in _SIGNATURES)


class FfmpegDecoder:
    """Decoder of the first audio stream of a file, forwards only.

    Arguments
    ---------
    path : path
        Path of the file.

    Raises
    ------
    AudioError
        If ffmpeg is not installed, or finds no audio.
    """

    frames = None  # containers do not give the exact number of samples

    def __init__(self, path: str | os.PathLike):
        program = find_ffmpeg()
        if program is None:
            raise AudioError(
                "unsupported format: libsndfile cannot read it, and ffmpeg is not installed. "
                "Install ffmpeg, or convert the file: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
            )
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115
        # The name follows `file:`, so that it is never an option or another protocol
        name = b"file:" + os.fsencode(os.path.abspath(path))
        self._process = subprocess.Popen(
            [program, "-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file",
             "-format_whitelist", FORMATS, "-threads", "1", "-i", name, "-map", "0:a:0", "-vn",
             "-c:a", "pcm_f32le", "-bitexact", "-f", "wav", "pipe:1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._messages, bufsize=0,
        )  # fmt: skip
        try:
            self.rate, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    def read(self, count: int) -> np.ndarray:
        """Read up to ``count`` samples, shape (samples, channels); none at the end.

        Raises
        ------
        AudioError
            If ffmpeg reports an error or does not respond.
        """
        size = 4 * self.channels
        content = self._read_bytes(count * size)
        if len(content) < count * size:
            self._check_status()
        samples = np.frombuffer(content[: len(content) // size * size], dtype="<f4")
        return samples.reshape(-1, self.channels)

    def skip(self, count: int) -> None:
        """Skip samples, by decoding them."""
        while count > 0 and len(block := self.read(min(count, 2**15))):
            count -= len(block)

    def close(self) -> None:
        """Stop ffmpeg."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.stdout.close()
        self._process.wait()
        self._messages.close()

    def _read_header(self) -> tuple[int, int]:
        """Read the WAV header that precedes the samples."""
        head = self._read_bytes(12)
        rate = channels = 0
        while len(chunk := self._read_bytes(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data" and rate:
                return rate, channels
            content = self._read_bytes(length + length % 2)
            if name == b"fmt ":
                channels, rate = struct.unpack_from("<HI", content, 2)
        del head
        self._check_status()
        raise AudioError("not a recognised audio file: ffmpeg finds no audio stream")

    def _read_bytes(self, count: int) -> bytes:
        """Read exactly ``count`` bytes, or fewer at the end."""
        parts, pipe = [], self._process.stdout.fileno()
        while count:
            if not select.select([pipe], [], [], TIMEOUT)[0]:
                raise AudioError(f"damaged audio: ffmpeg did not respond for {TIMEOUT:g} s")
            part = os.read(pipe, min(count, 1 << 20))
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _check_status(self) -> None:
        """Check that ffmpeg ended without an error."""
        try:
            status = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise AudioError(f"damaged audio: ffmpeg did not exit within {TIMEOUT:g} s") from None
        self._messages.seek(0)
        lines = self._messages.read(4096).decode("utf-8", "replace").strip().splitlines()
        if status or lines:
            text = _ADDRESS.sub("", lines[0]) if lines else f"exit status {status}"
            kind = "damaged audio" if getattr(self, "rate", 0) else "not a recognised audio file"
            raise AudioError(f"{kind}: ffmpeg: {text}")
