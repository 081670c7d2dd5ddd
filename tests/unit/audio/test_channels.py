"""Several channels: mix, left, right, loudest, and warnings where mixing cancels."""

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.reading import read_audio
from emosphere_sb.inference.waveform import from_array, load_file

RATE = 16000
VOICE = 0.1 * np.random.default_rng(0).standard_normal(RATE)
SILENCE = np.zeros(RATE)


@pytest.fixture
def write(tmp_path):
    def write(*channels, name="a.wav"):
        samples = np.stack(channels, axis=1)
        soundfile.write(tmp_path / name, samples, RATE, subtype="FLOAT")
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("channels", "warning"),
    [
        ((VOICE, -VOICE), "mixing 2 channels cancels the signal compared with channel 1; "),
        ((SILENCE, VOICE), "mixing 2 channels lowers the level by 6 dB compared with channel 2; "),
        ((SILENCE,) * 3 + (VOICE,) + (SILENCE,) * 2,
         "mixing 6 channels lowers the level by 16 dB compared with channel 4; "),
    ],
)  # fmt: skip
def test_cancelling_mix_gives_a_warning(write, channels, warning):
    path = write(*channels)
    (found,) = check_audio(path).warnings
    assert found.startswith(warning) and "select one channel (left, right or loudest)" in found
    assert found in load_file(path).warnings
    assert found in from_array(np.stack(channels), RATE).warnings
    for channel in ("left", "right", "loudest"):
        assert check_audio(path, channel=channel).warnings == ()


@pytest.mark.parametrize(
    "channels",
    [(VOICE, VOICE), (VOICE, np.roll(VOICE, 500)), (VOICE, 0.5 * VOICE), (SILENCE, SILENCE)],
)
def test_ordinary_stereo_gives_no_warning(write, channels):
    assert check_audio(write(*channels)).warnings == ()


def test_one_channel_is_selected(write):
    path = write(0.1 * VOICE, 0.2 * VOICE, VOICE)
    expected = {"left": 0.1, "right": 0.2, "loudest": 1.0, "mix": 1.3 / 3}
    for channel, factor in expected.items():
        found = read_audio(path, channel=channel)
        np.testing.assert_allclose(found, factor * VOICE, atol=1e-7)
        np.testing.assert_allclose(load_file(path, channel=channel).signal, found, atol=0)
        array = np.stack([0.1 * VOICE, 0.2 * VOICE, VOICE])
        np.testing.assert_allclose(
            from_array(array, RATE, channel=channel).signal, found, atol=1e-7
        )


def test_loudest_channel_is_that_of_the_complete_file(write):
    loud_start = np.concatenate([VOICE[:4000], SILENCE[4000:]])
    path = write(loud_start, 0.8 * VOICE)
    found = read_audio(path, seconds=0.1, channel="loudest")
    np.testing.assert_allclose(found, 0.8 * VOICE[:1600], atol=1e-7)


def test_mono_files_have_one_channel_only(write):
    path = write(VOICE)
    for channel in ("mix", "left", "right", "loudest"):
        np.testing.assert_allclose(read_audio(path, channel=channel), VOICE, atol=1e-7)


def test_fault_unknown_channel(write):
    path = write(VOICE, VOICE)
    with pytest.raises(ValueError, match="channel must be one of mix, left, right, loudest"):
        check_audio(path, channel="middle")
    with pytest.raises(ValueError, match="found 'middle'"):
        read_audio(path, channel="middle")
