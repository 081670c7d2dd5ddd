"""Audio headers: agreement with libsndfile, and detection of damage."""

import io
import os

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emosphere_sb.audio.check import AudioInfo, check_audio
from emosphere_sb.audio.errors import AudioError

SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")


@settings(deadline=None, max_examples=40)
@given(
    frames=st.integers(1, 300),
    rate=st.sampled_from([8000, 11025, 16000, 44100, 48000]),
    channels=st.integers(1, 3),
    subtype=st.sampled_from(SUBTYPES),
    container=st.sampled_from(["WAV", "WAVEX"]),
)
def test_wav_header_equals_libsndfile(tmp_path_factory, frames, rate, channels, subtype, container):
    path = tmp_path_factory.mktemp("audio") / "a.wav"
    soundfile.write(path, np.zeros((frames, channels)), rate, subtype=subtype, format=container)
    info = soundfile.info(path)
    assert check_audio(path) == AudioInfo(info.frames, info.samplerate, info.channels)
    assert check_audio(path) == AudioInfo(frames, rate, channels)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "aiff", "au"])
def test_other_formats(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.zeros((4000, 2)), 16000)
    assert check_audio(path) == AudioInfo(4000, 16000, 2)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "au"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r".*: (truncated|damaged) audio: "):
        check_audio(path)


def test_compressed_file_damaged_in_the_middle_is_rejected(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 64000), 16000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r".*: (truncated|damaged) audio: "):
        check_audio(path)


def test_non_finite_float_samples_are_rejected(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, np.nan, 0.5]), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="non-finite samples"):
        check_audio(path)


def test_wav_that_lacks_one_byte_is_truncated(tmp_path, wav):
    path = wav(tmp_path / "a.wav", seconds=0.1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AudioError, match="declares 3200 bytes; found 3199"):
        check_audio(path)


def test_file_name_with_invalid_unicode_is_accepted(tmp_path, wav):
    """Soundfile accepts such a path only as bytes."""
    path = tmp_path / os.fsdecode(b"\xff.flac")
    wav(tmp_path / "a.flac", seconds=0.1).rename(path)
    assert check_audio(path) == AudioInfo(1600, 16000, 1)


def test_chunks_before_the_data_are_skipped(tmp_path, wav):
    content = wav(tmp_path / "a.wav", seconds=0.1).read_bytes()
    # Longer than one read, and of odd length, so a padding byte follows.
    extra = b"LIST" + (301).to_bytes(4, "little") + b"x" * 302
    content = content[:36] + extra + content[36:]
    content = b"RIFF" + (len(content) - 8).to_bytes(4, "little") + content[8:]
    path = tmp_path / "b.wav"
    path.write_bytes(content)
    assert soundfile.info(path).frames == 1600
    assert check_audio(path) == AudioInfo(1600, 16000, 1)
    path.write_bytes(content[:-1])
    with pytest.raises(AudioError, match=r".*: truncated audio: "):
        check_audio(path)


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_streamed_wav_of_unknown_length_is_not_truncated(tmp_path, wav, size):
    content = bytearray(wav(tmp_path / "a.wav", seconds=0.1).read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    path = tmp_path / "b.wav"
    path.write_bytes(content)
    assert check_audio(path) == AudioInfo(1600, 16000, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ": empty audio file$"),
        (b"<html>404</html>" * 20, ": not a recognised audio file: "),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", ": not a recognised audio file: "),
        (b"RIFF", ": not a recognised audio file: "),
    ],
)
def test_no_audio(tmp_path, content, reason):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        check_audio(path)


def test_zero_data_length_is_an_empty_file(tmp_path, wav):
    content = bytearray(wav(tmp_path / "a.wav", seconds=0.1).read_bytes())
    content[40:44] = bytes(4)
    path = tmp_path / "b.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r": empty audio file: .* 3200 bytes follow"):
        check_audio(path)


def test_header_without_samples_is_empty(tmp_path, wav):
    with pytest.raises(AudioError, match=r".*: empty audio file$"):
        check_audio(wav(tmp_path / "a.wav", seconds=0))


def test_missing_file(tmp_path):
    with pytest.raises(AudioError, match=r".*: missing audio file$"):
        check_audio(tmp_path / "a.wav")


def test_folder_with_an_audio_name(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AudioError, match=r".*: unreadable audio file: "):
        check_audio(tmp_path / "a.wav")


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_damaged_headers_raise_only_audio_errors(tmp_path_factory, data):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(50), 16000, format="WAV")
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 47))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("audio") / "a.wav"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        header = check_audio(path)
    except AudioError:
        return
    assert header.frames > 0 and header.sample_rate > 0 and header.channels > 0
