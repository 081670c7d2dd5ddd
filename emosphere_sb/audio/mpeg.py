"""Examine the frames of MP3 files: damaged parts, several recordings, a missing end.

Decoders skip damaged frames without an error, and stop at the length in the first frame.
"""

from __future__ import annotations

import mmap
import os
from functools import lru_cache
from typing import NamedTuple

from emosphere_sb.audio.scan import Scan, lost_text

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_HIGH = {  # kbit/s of MPEG 1 by layer bits
    3: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_LOW = {  # kbit/s of MPEG 2 and 2.5
    3: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
_HEADER_MASK = 0xFFFE0C00  # version, layer and sampling rate are the same in all frames
_DELAY_FRAMES = 4
"""Frames that a decoder may omit, because they are the encoder's delay and padding."""


class Frame(NamedTuple):
    """A frame of an MPEG stream: length in bytes, samples per channel, sampling rate in Hz."""

    length: int
    samples: int
    rate: int


def parse_frame(header: int) -> Frame | None:
    """Parse the four bytes of a frame header.

    Example
    -------
    >>> parse_frame(0xFFFB9064)
    Frame(length=417, samples=1152, rate=44100)
    """
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate, rate = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 0 or rate == 3 or bitrate in (0, 15):
        return None
    kbits = (_HIGH if version == 3 else _LOW)[layer][bitrate]
    hertz, padding = _RATES[version][rate], header >> 9 & 1
    if layer == 3:
        return Frame((12000 * kbits // hertz + padding) * 4, 384, hertz)
    samples = 576 if layer == 1 and version != 3 else 1152
    return Frame(samples // 8 * 1000 * kbits // hertz + padding, samples, hertz)


class MpegScan(NamedTuple):
    """Frames of a file; bytes in no frame; frames after a gap; frames by the first header."""

    frames: int = 0
    samples: int = 0
    rate: int = 1
    frame_bytes: int = 0
    lost_bytes: int = 0
    cut: bool = False
    promised: int | None = None


def scan_frames(content) -> MpegScan | None:
    """Walk through the frames of a file; ``None`` if there is no regular stream."""
    size, offset = len(content), _skip_tags(content, 0)
    start = _find_frame(content, offset, size, None)
    if start is None:
        return None
    mask = _word(content, start) & _HEADER_MASK
    first = parse_frame(_word(content, start))
    promised = _promised_frames(content[start : start + min(first.length, 400)])
    offset, frames, used, lost, cut = start, 0, 0, start - offset, False
    if promised is not None:
        offset += first.length
    while offset + 4 <= size:
        word = _word(content, offset)
        frame = parse_frame(word) if word & _HEADER_MASK == mask else None
        if frame is not None:
            if offset + frame.length > size:
                cut = True
                break
            frames, used, offset = frames + 1, used + frame.length, offset + frame.length
            continue
        after = _skip_tags(content, offset)
        if after == offset:
            after = _find_frame(content, offset, size, mask)
            gap = content[offset : size if after is None else after]
            if gap.strip(b"\0"):
                lost += len(gap)
        if after is None:
            break
        offset = after
    return MpegScan(frames, first.samples, first.rate, used, lost, cut, promised)


def is_mpeg(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an MP3 file."""
    return head[:3] == b"ID3" or parse_frame(_word(head, 0)) is not None


def scan_mpeg(path: str | os.PathLike, decodable: int | None = None) -> Scan:
    """Examine an MP3 file.

    Arguments
    ---------
    path : path
        Path of the file.
    decodable : int, optional
        Number of samples per channel that the decoder announces.
    """
    status = os.stat(path)
    found = _scan_file(os.fspath(path), status.st_size, status.st_mtime_ns)
    if found is None or not found.frames:
        return Scan()
    total = found.frames * found.samples
    if found.lost_bytes:
        lost = found.lost_bytes / (found.frame_bytes / found.frames) * found.samples
        return Scan(f"damaged audio: {lost_text(lost, total + lost, found.rate)}")
    if found.promised is not None and found.promised > found.frames:
        lost = (found.promised - found.frames) * found.samples
        return Scan(f"truncated audio: {lost_text(lost, total + lost, found.rate)}")
    if found.cut:
        return Scan(
            f"truncated audio: the last frame is incomplete; the part after "
            f"{total / found.rate:.2f} s is lost, its length is unknown"
        )
    missing = 0 if decodable is None else total - decodable
    if missing > _DELAY_FRAMES * found.samples:
        return Scan(
            f"damaged audio: several MP3 files in one, of which only the first can be decoded "
            f"({lost_text(missing, total, found.rate)})"
        )
    return Scan()


@lru_cache(maxsize=16)
def _scan_file(path: str | bytes, _size: int, _mtime: int) -> MpegScan | None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return scan_frames(content)


def _word(content, offset: int) -> int:
    return int.from_bytes(content[offset : offset + 4], "big")


def _skip_tags(content, offset: int) -> int:
    """Return the offset after metadata tags that start at an offset."""
    while True:
        head = content[offset : offset + 11]
        if head[:3] in (b"ID3", b"3DI") and len(head) >= 10:
            a, b, c, d = (byte & 0x7F for byte in head[6:10])
            offset += 10 + (a << 21 | b << 14 | c << 7 | d)
        else:
            last = head[:8] == b"APETAGEX" or head == b"LYRICSBEGIN"  # followed only by other tags
            last |= head[:3] == b"TAG" and len(content) - offset <= 355  # with an extended tag
            return len(content) if last else min(offset, len(content))


def _find_frame(content, offset: int, size: int, mask: int | None) -> int | None:
    """Find the next frame that is followed by another one or by the end of the file."""
    while 0 <= (offset := content.find(b"\xff", offset)) <= size - 4:
        word = _word(content, offset)
        frame = parse_frame(word) if mask in (None, word & _HEADER_MASK) else None
        if frame is not None:
            following = offset + frame.length
            word = word & _HEADER_MASK
            if following == size or (
                following <= size - 4
                and (
                    (_word(content, following) & _HEADER_MASK == word
                     and parse_frame(_word(content, following)) is not None)
                    or content[following : following + 11].startswith(_TAGS)
                )
            ):  # fmt: skip
                return offset
        offset += 1
    return None


def _promised_frames(frame: bytes) -> int | None:
    """Return the number of frames given in a Xing, Info or VBRI header; ``None`` without one."""
    for name, position in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        at = frame.find(name, 4, 64)
        if at >= 0:
            has_count = name == b"VBRI" or frame[at + 7] & 1
            value = int.from_bytes(frame[at + position : at + position + 4], "big")
            return value if has_count and value else 0
    return None
