"""Upload limits: values at and above the limits, and messages with a remedy."""

import math

import pytest

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.demo_page.limits import Limits
from tests.helpers.fixed_model import write_levels


@pytest.mark.parametrize("name", ["max_seconds", "max_megabytes"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_invalid_limits_are_rejected(name, value):
    with pytest.raises(ValueError, match=f"--{name} must be a finite number above 0"):
        Limits(**{name: value})


def test_a_megabyte_is_1024_kilobytes_of_1024_bytes():
    assert Limits(max_megabytes=50).max_bytes == 52_428_800


def test_tiny_limits_are_at_least_a_byte():
    assert Limits(max_megabytes=1e-9).max_bytes == 1


def test_within_the_limits_the_duration_is_returned(tmp_path):
    path = write_levels(tmp_path / "speech.wav", (2.0, 0.25))
    assert Limits(max_seconds=2.0).check(path) == 2.0


def test_recording_one_sample_too_long_is_rejected(tmp_path):
    path = write_levels(tmp_path / "speech.wav", (2.0 + 1 / 16_000, 0.25))
    with pytest.raises(AudioError, match=r"the limit is 0:02 min.*emosphere timeline"):
        Limits(max_seconds=2.0).check(path)


def test_too_large_file_is_rejected_before_it_is_read(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(b"x" * (1024**2 + 1))
    with pytest.raises(AudioError, match=r"the limit is 1 MB; found 1\.0 MB"):
        Limits(max_megabytes=1).check(path)
    path.write_bytes(b"x" * 1024**2)
    with pytest.raises(AudioError, match="not a recognised audio file"):
        Limits(max_megabytes=1).check(path)


def test_missing_file(tmp_path):
    with pytest.raises(AudioError, match="missing audio file"):
        Limits().check(tmp_path / "gone.wav")
