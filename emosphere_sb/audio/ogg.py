"""Examine the pages of Ogg files (Vorbis, Opus, FLAC): checksums, gaps and several streams.

Decoders skip damaged pages without an error, and read only the first of several chained streams.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib

from emosphere_sb.audio.scan import Scan

_BOS, _EOS = 2, 4  # first and last page of a stream
_HEADER = struct.Struct("<4sBBqIIIB")
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_OPUS_RATE = 48000  # granule positions of Opus always count samples at this rate


def page_checksum(page: bytes) -> int:
    """Return the checksum of an Ogg page whose checksum field is zero (RFC 3533).

    The CRC has the polynomial of zlib's, but processes bits in the opposite order.
    """
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def scan_ogg(path: str | os.PathLike) -> Scan:
    """Examine all pages of an Ogg file.

    Arguments
    ---------
    path : path
        Path of an Ogg file that is not empty.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        pages, damaged = _walk(content)
        rate = _granule_rate(content)
    streams = [number for number, page in enumerate(pages) if page[0] & _BOS]
    if damaged and damaged[0] == len(pages):
        return _missing_end(pages, rate)
    if damaged:
        around = [pages[n][1] for n in _neighbours(pages, damaged)]
        lost = max(around) - min(around) if around else 0
        return Scan(f"damaged audio: about {lost / rate:.2f} s lost in damaged pages")
    first_audio = next((n for n, page in enumerate(pages) if not page[0] & _BOS), len(pages))
    if any(number > first_audio for number in streams):
        ends = _stream_ends(pages)
        lost, total = sum(ends[1:]) / rate, sum(ends) / rate
        return Scan(
            f"damaged audio: {len(ends)} chained streams, of which only the first can be decoded "
            f"({lost:.2f} s of {total:.2f} s lost)"
        )
    if pages and not any(page[0] & _EOS for page in pages):
        return _missing_end(pages, rate)
    return Scan()


def _missing_end(pages, rate: int) -> Scan:
    end = max((page[1] for page in pages), default=0) / rate
    return Scan(
        f"truncated audio: the last page is missing; the part after {end:.2f} s is lost, its "
        f"length is unknown"
    )


def _walk(content) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Return flags, granule position and serial number of valid pages, and where damage occurs."""
    pages, damaged, offset, size = [], [], 0, len(content)
    sequence: dict[int, int] = {}
    while offset < size:
        end = _page_end(content, offset)
        if end is None:
            damaged.append(len(pages))
            offset = content.find(b"OggS", offset + 1)
            if offset < 0:
                break
            continue
        _, _, flags, granule, serial, number, _, _ = _HEADER.unpack_from(content, offset)
        if not flags & _BOS and number != sequence.get(serial, -1) + 1:
            damaged.append(len(pages))
        sequence[serial] = number
        pages.append((flags, max(granule, 0), serial))
        offset = end
    return pages, sorted(set(damaged))


def _page_end(content, offset: int) -> int | None:
    """Return the end of the valid page at an offset; ``None`` if it is damaged."""
    if content[offset : offset + 4] != b"OggS" or offset + 27 > len(content):
        return None
    segments = content[offset + 26]
    body = offset + 27 + segments
    end = body + sum(content[offset + 27 : body])
    if end > len(content):
        return None
    page = bytearray(content[offset:end])
    stored = struct.unpack_from("<I", page, 22)[0]
    page[22:26] = bytes(4)
    return end if page_checksum(bytes(page)) == stored else None


def _neighbours(pages, damaged: list[int]) -> list[int]:
    """Return the numbers of the valid pages around damage."""
    places = {n for number in damaged for n in (number - 1, number)}
    return sorted(n for n in places if 0 <= n < len(pages))


def _stream_ends(pages) -> list[int]:
    """Return the last granule position of each stream."""
    ends: dict[int, int] = {}
    streams, seen = [], -1
    for flags, granule, serial in pages:
        if flags & _BOS and seen >= 0:
            streams.append(max(ends.values(), default=0))
            ends = {}
            seen = -1
        if not flags & _BOS:
            seen = serial
        ends[serial] = granule
    return [*streams, max(ends.values(), default=0)]


def _granule_rate(content) -> int:
    """Return how many units of granule positions are one second."""
    head = content[:4096]
    at = head.find(b"\x01vorbis")
    if at >= 0 and len(head) >= at + 16:
        return struct.unpack_from("<I", head, at + 12)[0] or _OPUS_RATE
    at = head.find(b"fLaC")
    if at >= 0 and len(head) >= at + 21:
        return int.from_bytes(head[at + 18 : at + 21], "big") >> 4 or _OPUS_RATE
    return _OPUS_RATE
