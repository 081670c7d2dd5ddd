"""Loading of files and arrays: sampling rates, channels, warnings and errors."""

import os

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from emosphere_sb.audio import ffmpeg
from emosphere_sb.audio.check import AudioInfo, check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.inference.waveform import (
    check_max_length,
    check_min_length,
    from_array,
    load_file,
    signal_warnings,
)


def tone(seconds=0.5, rate=16000, level=0.25, pitch=220.0):
    return level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
def test_file_of_another_rate_is_resampled(tmp_path, rate):
    samples = tone(rate=rate).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    heard = load_file(tmp_path / "a.wav")
    expected = resample(torch.from_numpy(samples), rate, 16000)
    # torchaudio sums in float32
    torch.testing.assert_close(heard.signal, expected, atol=1e-5, rtol=0)
    assert heard.duration == 0.5 and (heard.start, heard.end) == (0.0, 0.5)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path, channels):
    parts = np.stack([tone(pitch=100.0 * (n + 1)) for n in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", parts, 16000, subtype="FLOAT")
    expected = torch.from_numpy(parts.mean(axis=1).astype(np.float32))
    torch.testing.assert_close(load_file(tmp_path / "a.wav").signal, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"),
    [
        ("wav", "PCM_U8", 2 / 128), ("wav", "PCM_16", 2 / 32768), ("wav", "PCM_24", 1e-6),
        ("wav", "DOUBLE", 1e-6), ("wav", "ULAW", 0.02), ("flac", "PCM_16", 2 / 32768),
        ("ogg", "VORBIS", 0.05), ("ogg", "OPUS", 0.05), ("mp3", "MPEG_LAYER_III", 0.05),
        ("aiff", "PCM_16", 2 / 32768),
    ],
)  # fmt: skip
def test_every_common_format_is_read(tmp_path, suffix, kind, tolerance):
    samples = tone()
    soundfile.write(tmp_path / f"a.{suffix}", samples, 16000, subtype=kind)
    heard = load_file(tmp_path / f"a.{suffix}").signal.numpy()
    middle = slice(2000, 6000)  # lossy ones ring at their ends
    assert np.abs(heard[middle] - samples[middle]).max() < tolerance


@pytest.mark.parametrize("name", ["with blanks.wav", "Gefühl.wav", "気持ち.wav", "a'b\"c#d%20.wav"])
def test_names_of_any_kind(tmp_path, name):
    soundfile.write(str(tmp_path / name), tone(), 16000)
    assert load_file(tmp_path / name).source == str(tmp_path / name)
    assert check_audio(str(tmp_path / name)) == AudioInfo(8000, 16000, 1)


def test_part_of_a_file(tmp_path):
    samples = np.arange(16000) / 32768
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="PCM_16")
    heard = load_file(tmp_path / "a.wav", start=0.25, seconds=0.125)
    expected = torch.from_numpy(samples[4000:6000].astype(np.float32))
    torch.testing.assert_close(heard.signal, expected, atol=0, rtol=0)
    assert (heard.start, heard.end, heard.duration) == (0.25, 0.375, 1.0)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty audio file"), (b"hello" * 100, "not a recognised audio file"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not a recognised audio file"), (None, "missing audio file"),
    ],
)  # fmt: skip
def test_invalid_audio_files(tmp_path, content, match):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=match) as error:
        load_file(path)
    assert str(path) in str(error.value)


def test_folder_pipe_and_empty_file(tmp_path):
    with pytest.raises(AudioError, match="it is a folder"):
        check_audio(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioError, match="pipes and devices are not supported"):
        check_audio(tmp_path / "pipe")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    with pytest.raises(AudioError, match="empty audio file"):
        load_file(tmp_path / "none.wav")


def test_error_for_unsupported_format_explains_conversion(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: None)
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + b"\0" * 200)
    with pytest.raises(AudioError, match="ffmpeg -i IN"):
        check_audio(tmp_path / "a.m4a")


def test_non_finite_values_are_rejected(tmp_path):
    for value in (np.nan, np.inf):
        samples = tone()
        samples[100] = value
        soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
        with pytest.raises(AudioError, match="non-finite samples"):
            load_file(tmp_path / "a.wav")
        with pytest.raises(AudioError, match="array contains NaN or infinite"):
            from_array(samples, 16000)


def test_invalid_sampling_rate_of_a_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 500)
    with pytest.raises(AudioError, match="found 500"):
        check_audio(tmp_path / "a.wav")


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (np.int16, [-32768, 0, 16384], [-1.0, 0.0, 0.5]),
        (np.int32, [-(2**31), 0, 2**30], [-1.0, 0.0, 0.5]),
        (np.int8, [-128, 0, 64], [-1.0, 0.0, 0.5]),
        (np.uint8, [0, 128, 192], [-1.0, 0.0, 0.5]),
        (np.uint16, [0, 32768, 49152], [-1.0, 0.0, 0.5]),
        (np.float64, [-1.0, 0.0, 0.5], [-1.0, 0.0, 0.5]),
        (np.float16, [-1.0, 0.0, 0.5], [-1.0, 0.0, 0.5]),
    ],
)
def test_full_scale_follows_the_type(kind, values, expected):
    found = from_array(np.array(values, dtype=kind), 16000)
    assert found.signal.tolist() == expected and found.signal.dtype == torch.float32
    if kind not in (np.uint16,):
        assert from_array(torch.tensor(values, dtype=getattr(torch, kind.__name__)), 16000)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32"])
def test_integer_array_matches_integer_file(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone(), 16000, subtype=subtype)
    kind = {"PCM_16": "int16"}.get(subtype, "int32")
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype=kind)
    if subtype == "PCM_U8":
        samples = (samples // 2**24 + 128).astype(np.uint8)
    found = from_array(samples, 16000).signal
    torch.testing.assert_close(found, load_file(tmp_path / "a.wav").signal, atol=1e-7, rtol=0)


def test_half_precision_tensors():
    found = from_array(torch.tensor([0.5, -0.25], dtype=torch.bfloat16), 16000)
    assert found.signal.tolist() == [0.5, -0.25]


@pytest.mark.parametrize("layout", ["channels first", "samples first"])
def test_shorter_axis_is_channels(layout):
    parts = np.stack([tone(), tone(pitch=300.0)])
    given = parts if layout == "channels first" else parts.T
    expected = torch.from_numpy(parts.mean(axis=0).astype(np.float32))
    torch.testing.assert_close(from_array(given, 16000).signal, expected)


def test_array_is_truncated_before_resampling():
    samples = tone(seconds=2.0, rate=8000).astype(np.float32)
    heard = from_array(np.stack([samples, samples]), 8000, seconds=0.5)
    expected = resample(torch.from_numpy(samples[:4000]), 8000, 16000)
    torch.testing.assert_close(heard.signal, expected)
    assert heard.duration == 2.0 and heard.end == 0.5


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(0), "shape"), (np.zeros((2, 0)), "shape"), (np.zeros((1, 2, 3)), "shape"),
        (np.float64(0.0), "shape"), (np.zeros(9, dtype=bool), "bool"),
        (np.zeros(9, dtype=complex), "complex"), (np.array(["a"]), "must be numeric"),
        (None, "object"), ({}, "object"), ([[0.0], [0.0, 1.0]], "cannot be converted to an array"),
        (np.zeros(9, dtype=np.int64), "up to 32 bits"), (np.zeros(9, dtype=np.uint64), "32 bits"),
    ],
)  # fmt: skip
def test_invalid_arrays(array, match):
    with pytest.raises(AudioError, match=match):
        from_array(array, 16000)


@pytest.mark.parametrize("rate", [None, 0, -16000, 3999, 1e9, 16000.5, "fast", float("nan")])
def test_array_needs_a_rate(rate):
    with pytest.raises(AudioError, match="require sampling_rate"):
        from_array(tone(), rate)


# --- what is odd -------------------------------------------------------------------------------


def test_silence_and_clipping_give_warnings():
    assert signal_warnings(torch.full((800,), 0.99e-4)) == ("silent",)
    assert signal_warnings(torch.full((800,), 1.01e-4)) == ("very quiet",)
    assert signal_warnings(torch.full((800,), 0.99e-3)) == ("very quiet",)
    assert signal_warnings(torch.full((800,), 1.01e-3)) == ()
    signal = torch.full((10_000,), 0.5)
    signal[:9] = 32767 / 32768  # below a thousandth
    assert signal_warnings(signal) == ()
    signal[9:11] = -1.0
    assert signal_warnings(signal) == ("clipped",)


def test_unexpected_full_scale_gives_a_warning():
    found = from_array(tone(level=12000.0), 16000)
    (warning,) = found.warnings
    assert warning == "not scaled to [-1, 1]"


def test_impossible_levels_are_rejected():
    loud = from_array(tone(level=2.0**31), 16000)  # integers of 32 bits as floats
    assert loud.warnings == ("not scaled to [-1, 1]",)
    with pytest.raises(AudioError, match=r"x must contain samples scaled to \[-1, 1\]; .* 1e\+11"):
        from_array(tone(level=1e11), 16000, source="x")


def test_too_short_and_too_long_utterances_are_rejected():
    heard = from_array(np.zeros(399), 16000, source="x")
    with pytest.raises(AudioError, match=r"x is too short: at least 0\.025 s .* found 0\.0249 s"):
        check_min_length([heard], 400)
    check_min_length([from_array(np.zeros(400), 16000)], 400)
    check_max_length("x", 30.0, 30.0)
    with pytest.raises(AudioError, match=r"x is too long .* at most 30 s .* found 30\.5 s"):
        check_max_length("x", 30.5, 30.0)


def test_truncated_wav_is_rejected(tmp_path):
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, np.full(16000, 0.1), 16000, subtype="PCM_16")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: 44 + 16000])  # half of the samples
    with pytest.raises(AudioError, match=r"cut\.wav: truncated audio: .*0\.50 s of 1\.00 s lost"):
        load_file(cut)
    assert load_file(whole).warnings == ()


def test_wav_written_to_a_pipe_gives_no_warning(tmp_path):
    path = tmp_path / "pipe.wav"
    soundfile.write(path, np.full(16000, 0.1), 16000, subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    raw[40:44] = b"\xff\xff\xff\xff"  # the length of the data chunk
    path.write_bytes(raw)
    assert load_file(path).warnings == ()
