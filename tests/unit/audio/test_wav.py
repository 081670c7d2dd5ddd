"""Handwritten WAV headers: some are parsed, and the others are left to libsndfile."""

import io
import struct

import pytest

from emosphere_sb.audio.wav import MAX_CHUNKS, UNKNOWN_WAV_LENGTH, parse_wav, scan_wav

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def chunk(name, content, *, length=None):
    size = len(content) if length is None else length
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def fmt(code=PCM, channels=1, rate=8000, bits=16, *, frame=None, inner=None):
    """Return a format chunk; ``inner`` is the sub-format code of an extensible header."""
    frame = channels * bits // 8 if frame is None else frame
    content = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    if inner is not None:
        content += struct.pack("<HHIH", 22, bits, 3, inner) + bytes(14)  # the rest of a GUID
    return chunk(b"fmt ", content)


def layout(*chunks, kind=b"WAVE", riff_size=None):
    body = kind + b"".join(chunks)
    content = b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body
    return parse_wav(io.BytesIO(content), len(content))


def parse(*chunks, **options):
    """Return frames, rate and channels of files that are read without libsndfile."""
    found = layout(*chunks, **options)
    if found is None or not found.is_simple:
        return None
    return found.present // found.frame, found.rate, found.channels


@pytest.mark.parametrize(("bits", "frames"), [(8, 24), (16, 12), (24, 8), (32, 6)])
def test_frame_count_is_data_size_over_frame_size(bits, frames):
    assert parse(fmt(bits=bits), chunk(b"data", bytes(24))) == (frames, 8000, 1)


def test_extensible_header_of_integers():
    parts = fmt(EXTENSIBLE, inner=PCM), chunk(b"data", bytes(24))
    assert parse(*parts) == (12, 8000, 1)


def test_incomplete_last_frame_is_ignored():
    assert parse(fmt(), chunk(b"data", bytes(25))) == (12, 8000, 1)


@pytest.mark.parametrize("length", [1, 2, 255, 300])
def test_other_chunks_are_skipped_with_their_padding(length):
    parts = chunk(b"LIST", bytes(length)), fmt(), chunk(b"fact", bytes(4)), chunk(b"data", bytes(4))
    assert parse(*parts) == (2, 8000, 1)


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
        fmt(channels=2),
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
    assert parse_wav(io.BytesIO(content), len(content)) is None
    assert parse(fmt(), chunk(b"data", bytes(4)), kind=b"AVI ") is None


def test_header_without_samples_is_left_to_libsndfile():
    assert parse(fmt()) is None


@pytest.mark.parametrize("length", [125, 200, UNKNOWN_WAV_LENGTH - 1])
def test_fewer_samples_than_declared(length):
    found = layout(fmt(), chunk(b"data", bytes(24), length=length), riff_size=36 + length)
    assert scan_wav(found).problem.startswith(
        f"truncated audio: the header declares {length} bytes; found 24 ("
    )


@pytest.mark.parametrize("excess", [8, 36, 44])
def test_headers_counted_as_samples(excess):
    parts = fmt(), chunk(b"data", bytes(24), length=24 + excess)
    found = layout(*parts, riff_size=36 + 24 + excess)
    assert scan_wav(found) == ("", f"the data size in the header is {excess} bytes too large", None)
    assert parse(*parts) == (12, 8000, 1)


def test_correct_file_size_shows_that_no_samples_are_missing():
    parts = fmt(), chunk(b"data", bytes(24), length=1024)
    assert scan_wav(layout(*parts)).problem == ""
    assert scan_wav(layout(*parts, riff_size=1060)).problem != ""


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((fmt(), chunk(b"data", bytes(4)), chunk(b"data", bytes(4))), "2 'data' chunks"),
        ((fmt(), fmt(rate=16000), chunk(b"data", bytes(4))), "2 'fmt' chunks"),
        ((fmt(), chunk(b"data", bytes(4)), b"RIFF\x04\0\0\0WAVE"), "several WAV files in one"),
    ],
)
def test_fault_repeated_chunks(parts, reason):
    assert parse(*parts) is None
    assert scan_wav(layout(*parts)).problem == f"damaged audio: {reason}"


def test_fault_stale_data_size():
    found = layout(fmt(), chunk(b"data", bytes(24)), b"\xff" * 8000)
    assert scan_wav(found).warning == "8000 bytes after the samples are not used (up to 0.50 s)"


def test_many_chunks_are_left_to_libsndfile():
    filler = [chunk(b"JUNK", b"")] * MAX_CHUNKS
    assert parse(fmt(), *filler, chunk(b"data", bytes(4))) is None
    assert parse(fmt(), *filler[:-2], chunk(b"data", bytes(4))) is None
    assert parse(fmt(), *filler[:-3], chunk(b"data", bytes(4))) == (2, 8000, 1)
