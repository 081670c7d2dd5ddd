"""Handwritten WAV headers: some are parsed, and the others are left to libsndfile."""

import io
import struct

import pytest

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.wav import UNKNOWN_WAV_LENGTH, parse_wav_header

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def chunk(name, content, *, length=None):
    size = len(content) if length is None else length
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def fmt(code=PCM, channels=2, rate=8000, bits=16, *, frame=None, inner=None):
    """Return a format chunk; ``inner`` is the sub-format code of an extensible header."""
    frame = channels * bits // 8 if frame is None else frame
    content = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    if inner is not None:
        content += struct.pack("<HHIH", 22, bits, 3, inner) + bytes(14)  # the rest of a GUID
    return chunk(b"fmt ", content)


def parse(*chunks, kind=b"WAVE"):
    body = kind + b"".join(chunks)
    content = b"RIFF" + struct.pack("<I", len(body)) + body
    return parse_wav_header(io.BytesIO(content), len(content))


@pytest.mark.parametrize(("bits", "frames"), [(8, 12), (16, 6), (24, 4), (32, 3)])
def test_frame_count_is_data_size_over_frame_size(bits, frames):
    assert parse(fmt(bits=bits), chunk(b"data", bytes(24))) == (frames, 8000, 2)


def test_extensible_header_of_integers():
    parts = fmt(EXTENSIBLE, inner=PCM), chunk(b"data", bytes(24))
    assert parse(*parts) == (6, 8000, 2)


def test_incomplete_last_frame_is_ignored():
    assert parse(fmt(), chunk(b"data", bytes(27))) == (6, 8000, 2)


@pytest.mark.parametrize("length", [1, 2, 255, 300])
def test_other_chunks_are_skipped_with_their_padding(length):
    parts = chunk(b"LIST", bytes(length)), fmt(), chunk(b"fact", bytes(4)), chunk(b"data", bytes(4))
    assert parse(*parts) == (1, 8000, 2)


@pytest.mark.parametrize(
    "header",
    [
        fmt(FLOAT, bits=32),
        fmt(EXTENSIBLE, bits=32, inner=FLOAT),
        fmt(EXTENSIBLE),  # without the data that should follow
        fmt(bits=12, frame=4),
        fmt(channels=0, frame=0),
        fmt(rate=0),
        fmt(frame=3),
        b"",
    ],
)
def test_other_samples_and_damaged_headers_are_left_to_libsndfile(header):
    assert parse(header, chunk(b"data", bytes(24))) is None


@pytest.mark.parametrize("length", [0, UNKNOWN_WAV_LENGTH, 0xFFFFFFFF])
def test_unknown_length_is_left_to_libsndfile(length):
    assert parse(fmt(), chunk(b"data", bytes(24), length=length)) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"fLaC" + bytes(40)])
def test_other_formats_are_left_to_libsndfile(content):
    assert parse_wav_header(io.BytesIO(content), len(content)) is None
    assert parse(fmt(), chunk(b"data", bytes(4)), kind=b"AVI ") is None


def test_header_without_samples_is_left_to_libsndfile():
    assert parse(fmt()) is None


def test_fewer_samples_than_declared():
    with pytest.raises(AudioError, match=r"^truncated audio: .* declares 25 bytes; found 24$"):
        parse(fmt(), chunk(b"data", bytes(24), length=25))
    with pytest.raises(AudioError, match="truncated"):
        parse(fmt(), chunk(b"data", bytes(24), length=UNKNOWN_WAV_LENGTH - 1))
