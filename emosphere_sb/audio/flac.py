"""Examine FLAC files: the number of samples in the last frame, and several streams in one file.

The number in the header may be missing or wrong, for example in files that were written to a pipe.
libsndfile stops at that number.
"""

from __future__ import annotations

import os
import re

from emosphere_sb.audio.scan import Scan, lost_text

_TAIL = 1 << 19
"""Number of bytes at the end of a file in which the last frame must start."""
_MAX_CANDIDATES = 4
"""Number of frame headers, counted from the end, of which one must belong to a complete frame."""
_SYNC = re.compile(rb"\xff[\xf8\xf9]", flags=re.DOTALL)
_STREAM_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", flags=re.DOTALL)
_BLOCK = 1 << 20


def _crc_table(polynomial: int, bits: int) -> list[int]:
    table = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) & 1 else 0)
        table.append(value & ((1 << bits) - 1))
    return table


_CRC8, _CRC16 = _crc_table(0x107, 8), _crc_table(0x18005, 16)


def scan_flac(path: str | os.PathLike) -> Scan:
    """Compare the header of a FLAC file with its last frame.

    Arguments
    ---------
    path : path
        Path of the file.

    Returns
    -------
    Scan
        With the number of samples if the file is complete and its header does not contain it.
    """
    with open(path, "rb") as file:
        head = file.read(42)
        if head[:4] != b"fLaC" or len(head) < 42:
            return Scan()
        rate = int.from_bytes(head[18:21], "big") >> 4
        fixed_block = int.from_bytes(head[8:10], "big")
        total = int.from_bytes(head[21:26], "big") & (2**36 - 1)
        second = _find_second_stream(file)
        if second is not None:
            return Scan(f"damaged audio: several FLAC files in one, the second at byte {second}")
        size = file.seek(0, os.SEEK_END)
        file.seek(max(42, size - _TAIL))
        end = find_end(file.read(), fixed_block)
    if end is None or end == total:
        return Scan()
    if total == 0:
        return Scan(frames=end)
    text = lost_text(abs(total - end), max(total, end), rate).removesuffix(" lost")
    return Scan(
        warning=f"the length in the header is wrong by {text}; all samples are there", frames=end
    )


def find_end(tail: bytes, fixed_block: int) -> int | None:
    """Return the number of the last sample plus one, from the last frame.

    Arguments
    ---------
    tail : bytes
        End of the file.
    fixed_block : int
        Samples per frame in files that number frames instead of samples.

    Returns
    -------
    int or None
        ``None`` if the last frame is incomplete or damaged.
    """
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    candidates = 0
    for match in reversed(list(_SYNC.finditer(tail))):
        frame = tail[match.start() :]
        if (end := _frame_end(frame, fixed_block)) is None:
            continue
        if _crc(frame, _CRC16, 16) == 0:
            return end
        candidates += 1  # chance gives few valid headers inside a frame
        if candidates == _MAX_CANDIDATES:
            break
    return None


def _frame_end(frame: bytes, fixed_block: int) -> int | None:
    """Parse a frame header; return the number of the sample after it, ``None`` if invalid."""
    frame = frame[:24] + bytes(max(0, 24 - len(frame)))  # frames of silence are shorter
    if frame[2] >> 4 == 0 or frame[2] & 15 == 15 or frame[3] & 1:
        return None
    number, offset = _coded_number(frame, 4)
    if number is None:
        return None
    code, extra = frame[2] >> 4, 0
    if code == 1:
        block = 192
    elif code <= 5:
        block = 576 << (code - 2)
    elif code >= 8:
        block = 256 << (code - 8)
    else:
        extra = code - 5
        block = 1 + int.from_bytes(frame[offset : offset + extra], "big")
    offset += extra + {12: 1, 13: 2, 14: 2}.get(frame[2] & 15, 0)
    if _crc(frame[: offset + 1], _CRC8, 8):
        return None
    return number + block if frame[1] & 1 else number * fixed_block + block


def _coded_number(frame: bytes, offset: int) -> tuple[int | None, int]:
    """Decode a number that is stored like a character in UTF-8."""
    first = frame[offset]
    if first < 0x80:
        return first, offset + 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7:
        return None, offset
    value = first & ((1 << (7 - length)) - 1)
    for byte in frame[offset + 1 : offset + length]:
        value = value << 6 | byte & 0x3F
    return value, offset + length


def _crc(content: bytes, table: list[int], bits: int) -> int:
    value = 0
    if bits == 8:
        for byte in content:
            value = table[value ^ byte]
        return value
    for byte in content:
        value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
    return value


def _find_second_stream(file) -> int | None:
    """Return the offset of a second FLAC stream in a file; ``None`` otherwise."""
    file.seek(4)
    offset, rest = 4, b""
    while block := file.read(_BLOCK):
        found = _STREAM_START.search(rest + block)
        if found:
            return offset - len(rest) + found.start()
        offset, rest = offset + len(block), block[-7:]
    return None


class UnknownLengthFlac:
    """File object that reads a FLAC file as if its header did not contain the number of samples.

    Arguments
    ---------
    path : path
        Path of the file.
    """

    _FIRST, _LAST = 21, 26  # bytes with the 36 bits of the number

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "rb")  # noqa: SIM115
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close

    def read(self, size: int = -1) -> bytes:
        """Read bytes, with zeros in place of the number of samples."""
        start = self._file.tell()
        content = bytearray(self._file.read(size))
        for place in range(max(start, self._FIRST), min(start + len(content), self._LAST)):
            content[place - start] &= 0xF0 if place == self._FIRST else 0
        return bytes(content)
