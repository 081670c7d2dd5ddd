"""Decoding finds damage that the header does not reveal."""

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.verify import verify_samples


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_complete_file_passes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (16000, 2)), 16000)
    verify_samples(path, 16000)


def test_fewer_samples_than_declared(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(16000), 16000)
    with pytest.raises(AudioError, match=r"^truncated audio: only 16000 of 16001"):
        verify_samples(tmp_path / "a.flac", 16001)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1_500_000])  # of the second block
def test_non_finite_samples_are_rejected(tmp_path, value, place):
    samples = np.zeros(1_500_001, dtype=np.float32)
    samples[place] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"^non-finite samples: NaN or infinity$"):
        verify_samples(tmp_path / "a.wav", len(samples))


def test_file_damaged_in_the_middle_is_rejected(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 64000), 16000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"^(truncated|damaged) audio: "):
        verify_samples(path, 64000)


def test_no_audio(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"text")
    with pytest.raises(AudioError, match=r"^damaged audio: "):
        verify_samples(tmp_path / "a.flac", 1)
