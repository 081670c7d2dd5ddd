"""Reading audio: mono mixing, resampling, parts of files, and error messages."""

import math

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio.reading import SAMPLE_RATE, read_audio


def sine(rate: int, frequency: float = 440.0, amplitude: float = 0.3, seconds: float = 1.0):
    time = np.arange(round(rate * seconds)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture
def ramp(tmp_path):
    """Write one second at 16 kHz in which the value of each sample encodes its position."""
    samples = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    soundfile.write(tmp_path / "ramp.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    return tmp_path / "ramp.wav", samples


def test_float_samples_are_unchanged(ramp):
    path, samples = ramp
    found = read_audio(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, samples)


def test_16_bit_samples_are_scaled_to_one(tmp_path):
    values = np.array([0, 16384, -32768, 32767], dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", values, SAMPLE_RATE, subtype="PCM_16")
    assert read_audio(tmp_path / "a.wav").tolist() == [0.0, 0.5, -1.0, 32767 / 32768]


def test_channels_are_averaged(tmp_path):
    channels = np.tile(np.array([[0.5, -0.25]], dtype=np.float32), (800, 1))
    soundfile.write(tmp_path / "stereo.wav", channels, SAMPLE_RATE, subtype="FLOAT")
    assert read_audio(tmp_path / "stereo.wav").tolist() == [0.125] * 800


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_frequency_and_level(tmp_path, rate):
    soundfile.write(tmp_path / "sine.wav", sine(rate), rate, subtype="FLOAT")
    found = read_audio(tmp_path / "sine.wav")
    assert len(found) == SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() == 440  # one second: one bin is one hertz
    assert np.sqrt(np.mean(found[1000:-1000] ** 2)) == pytest.approx(0.3 / math.sqrt(2), rel=1e-3)


def test_resampling_removes_frequencies_above_nyquist(tmp_path):
    soundfile.write(tmp_path / "high.wav", sine(48000, frequency=15000), 48000, subtype="FLOAT")
    # Without a filter, 15 kHz would be aliased to 1 kHz at full level.
    assert np.abs(read_audio(tmp_path / "high.wav")[1000:-1000]).max() < 3e-3


@pytest.mark.parametrize("start, seconds", [(0.0, 0.25), (0.1, 0.5), (0.5, None), (0.99, 5.0)])
def test_part_equals_a_slice(ramp, start, seconds):
    path, samples = ramp
    first = round(start * SAMPLE_RATE)
    last = None if seconds is None else first + round(seconds * SAMPLE_RATE)
    assert np.array_equal(read_audio(path, start=start, seconds=seconds), samples[first:last])


def test_start_of_a_part_uses_the_original_sampling_rate(tmp_path):
    # Silence in the first half second, a tone in the second.
    samples = np.concatenate([np.zeros(22050, dtype=np.float32), sine(44100, seconds=0.5)])
    soundfile.write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT")
    silent = read_audio(tmp_path / "a.wav", seconds=0.5)
    loud = read_audio(tmp_path / "a.wav", start=0.5, seconds=0.25)
    assert (len(silent), len(loud)) == (8000, 4000)
    assert np.abs(silent).max() == 0.0
    assert np.abs(loud).max() > 0.29


def test_only_the_requested_part_is_decoded(ramp, monkeypatch):
    counts = []
    read = soundfile.SoundFile.read

    def watch(self, frames=-1, *args, **kwargs):
        counts.append(frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", watch)
    read_audio(ramp[0], start=0.25, seconds=0.125)
    assert counts == [2000]


def test_flac_is_lossless(tmp_path):
    values = np.random.default_rng(0).integers(-30000, 30000, 4000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", values, SAMPLE_RATE)
    assert np.array_equal(read_audio(tmp_path / "a.flac"), values.astype(np.float32) / 32768)


@pytest.mark.parametrize("name", ["two words.wav", "a:b.wav", "$data_root.wav", "Grüße 声.wav"])
def test_unusual_file_names_work(tmp_path, name):
    soundfile.write(tmp_path / name, np.full(160, 0.5), SAMPLE_RATE, subtype="FLOAT")
    for path in (tmp_path / name, str(tmp_path / name)):
        assert read_audio(path).mean() == 0.5


def damaged(folder, kind):
    path = folder / f"{kind}.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not audio, whatever its name says")
    elif kind == "broken_header":
        path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\xff" * 40)
    elif kind == "no_samples":
        soundfile.write(path, np.zeros(0), SAMPLE_RATE)
    elif kind == "headerless":
        path = path.with_suffix(".raw")
        path.write_bytes(bytes(320))
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "empty", "text", "broken_header", "no_samples", "headerless"]
)
def test_error_contains_the_unreadable_path(tmp_path, kind):
    path = damaged(tmp_path, kind)
    with pytest.raises(RuntimeError) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)


def test_part_after_the_end_raises(ramp):
    with pytest.raises(RuntimeError, match=r"ramp\.wav"):
        read_audio(ramp[0], start=2.0)
    with pytest.raises(RuntimeError, match=r"ramp\.wav: no samples after 1 s"):
        read_audio(ramp[0], start=1.0)
