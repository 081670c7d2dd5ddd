"""Parse the chunks of WAV files without libsndfile.

For mono files with integer samples this is several times faster than opening them with libsndfile.
It also finds samples that libsndfile would not read.
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

from emosphere_sb.audio.scan import Scan, lost_text

UNKNOWN_WAV_LENGTH = 2**31 - 2**16
"""Data sizes of at least this value in a WAV header mean that the length is unknown."""
MAX_CHUNKS = 64
"""Number of chunks that are examined. Files with more are left to libsndfile."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_HARMLESS = (b"fmt ", b"fact", b"LIST", b"JUNK", b"junk", b"PAD ", b"data")


class WavLayout(NamedTuple):
    """Format and chunks of a WAV file.

    Arguments
    ---------
    code : int
        Format tag; for extensible headers that of the samples.
    channels, rate, byte_rate, frame, bits : int
        Channels, sampling rate in Hz, bytes per second, bytes per frame, bits per sample.
    start : int
        Offset of the samples.
    promised, present : int
        Size of the data chunk in bytes, according to its header and to the end of the file.
    riff_size : int
        Size of the file according to its first chunk, in bytes.
    size : int
        Actual size of the file in bytes.
    chunks : tuple of bytes
        Names of the chunks in order.
    trailing : int
        Bytes after the data chunk that do not belong to any chunk.
    """

    code: int
    channels: int
    rate: int
    byte_rate: int
    frame: int
    bits: int
    start: int
    promised: int
    present: int
    riff_size: int
    size: int
    chunks: tuple[bytes, ...]
    trailing: int

    @property
    def is_simple(self) -> bool:
        """Whether libsndfile reads these integer samples exactly as described here."""
        return (
            self.code == _PCM
            and self.bits in (8, 16, 24, 32)
            and self.channels == 1
            and self.rate > 0
            and self.frame == self.bits // 8
            and 0 < self.promised < UNKNOWN_WAV_LENGTH
            and self.chunks.count(b"fmt ") == self.chunks.count(b"data") == 1
            and all(name in _HARMLESS for name in self.chunks)
            and len(self.chunks) < MAX_CHUNKS
            and not self.trailing
        )

    @property
    def missing(self) -> int:
        """Bytes of samples that the header declares and the file does not have.

        Some recorders count headers as samples. Their files are complete: the data size is too
        large by the size of the headers before it, or the size of the whole file is right.
        """
        excess = self.promised - self.present
        if not 0 < self.promised < UNKNOWN_WAV_LENGTH or excess <= 0:
            return 0
        counts_headers = excess in (8, self.start - 8, self.start)
        return 0 if counts_headers or self.riff_size == self.size else excess


def parse_wav(file: io.RawIOBase, size: int) -> WavLayout | None:
    r"""Parse the chunks of a WAV file.

    Arguments
    ---------
    file : io.RawIOBase
        File object, positioned at the start of the file.
    size : int
        File size in bytes.

    Returns
    -------
    WavLayout or None
        ``None`` for other formats, and for files without format or samples.

    Example
    -------
    >>> content = b"RIFF\x2a\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
    >>> content += b"data\x06\0\0\0" + bytes(6)
    >>> layout = parse_wav(io.BytesIO(content), len(content))
    >>> layout.rate, layout.present // layout.frame, layout.is_simple
    (16000, 3, True)
    """
    head = file.read(256)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    riff_size = 8 + struct.unpack_from("<I", head, 4)[0]
    offset, form, data, names = 12, None, None, []
    while offset + 8 <= size and len(names) < MAX_CHUNKS:
        chunk = head[offset : offset + 34]
        if len(chunk) < min(34, size - offset):
            file.seek(offset)
            chunk = file.read(34)
        if len(chunk) < 8:
            break
        name, length = struct.unpack_from("<4sI", chunk)
        if data is not None and not (name.isascii() and name.decode("ascii").isprintable()):
            break
        names.append(name)
        if name == b"fmt " and form is None:
            if len(chunk) < 24:
                return None
            code, channels, rate, byte_rate, frame, bits = struct.unpack_from("<HHIIHH", chunk, 8)
            if code == _EXTENSIBLE and length >= 40 and len(chunk) == 34:
                code = struct.unpack_from("<H", chunk, 32)[0]
            form = (code, channels, rate, byte_rate, frame, bits)
        elif name == b"data" and data is None:
            data = (offset + 8, length, min(length, size - offset - 8))
            if form is None:
                return None
        offset += 8 + length + length % 2
    if form is None or data is None:
        return None
    trailing = max(0, size - offset) if len(names) < MAX_CHUNKS else 0
    return WavLayout(*form, *data, riff_size, size, tuple(names), trailing)


def scan_wav(layout: WavLayout) -> Scan:
    """Return the samples that a WAV file lacks, or that libsndfile would not read.

    Example
    -------
    >>> layout = WavLayout(1, 1, 16000, 32000, 2, 16, 44, 64000, 32000, 64036, 32044, (b"data",), 0)
    >>> scan_wav(layout).problem
    'truncated audio: the header declares 64000 bytes; found 32000 (1.00 s of 2.00 s lost)'
    """
    rate = layout.byte_rate
    if layout.code in (_PCM, _FLOAT):
        rate = layout.rate * layout.frame
    if layout.missing:
        return Scan(
            f"truncated audio: the header declares {layout.promised} bytes; found {layout.present} "
            f"({lost_text(layout.missing, layout.promised, rate)})"
        )
    for name, count in ((b"fmt ", 1), (b"data", 1)):
        if layout.chunks.count(name) > count:
            text = name.decode().strip()
            return Scan(f"damaged audio: {layout.chunks.count(name)} '{text}' chunks")
    if b"RIFF" in layout.chunks:
        return Scan("damaged audio: several WAV files in one")
    if layout.promised == 0 and layout.size > layout.start + 8:
        return Scan(
            f"empty audio file: the header declares no samples, but "
            f"{layout.size - layout.start} bytes follow (an interrupted recording?)"
        )
    if layout.present < layout.promised < UNKNOWN_WAV_LENGTH:
        excess = layout.promised - layout.present
        return Scan(warning=f"the data size in the header is {excess} bytes too large")
    if layout.trailing >= max(64, rate // 10):
        lost = layout.trailing / max(rate, 1)
        return Scan(
            warning=f"{layout.trailing} bytes after the samples are not used (up to {lost:.2f} s)"
        )
    return Scan()
