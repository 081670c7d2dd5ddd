"""A recording as a whole and in windows, on a model whose answers are known by hand."""

import itertools

import numpy as np
import pytest

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.demo_page.analysis import MOST, hop_of, read
from tests.helpers.fixed_model import hand_model, write_levels


def test_windows_over_a_change_of_level(tmp_path):
    # 4 s windows every second over 4 s of 0.25 and 4 s of -0.75: windows 0..4 hold n s of the rest
    path = write_levels(tmp_path / "two levels.wav", (4, 0.25), (4, -0.75))
    reading = read(hand_model(), path)
    share = np.arange(5) / 4
    assert reading.vad[:, 0] == pytest.approx(0.25 - share, abs=1e-6)
    assert reading.vad[:, 1] == pytest.approx(0.25 + 0.5 * share, abs=1e-6)
    assert [(one.start, one.end) for one in reading.windows] == [
        (second, second + 4.0) for second in range(5)
    ]
    assert reading.whole.vad == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)


def test_predictions_bear_the_name_of_the_file_and_not_its_folder(tmp_path):
    reading = read(hand_model(), write_levels(tmp_path / "ä b.wav", (5, 0.25)))
    assert {reading.whole.source, *(one.source for one in reading.windows)} == {"ä b.wav"}


def test_a_recording_shorter_than_a_window_is_one(tmp_path):
    path = write_levels(tmp_path / "short.wav", (1.5, 0.5))
    (window,) = read(hand_model(), path).windows
    assert (window.start, window.end) == (0.0, 1.5)
    assert window.vad == pytest.approx([0.5, 0.5, -0.25], abs=1e-6)


def test_the_end_is_heard_too(tmp_path):
    windows = read(hand_model(), write_levels(tmp_path / "odd.wav", (6.6, 0.5))).windows
    assert windows[0].start == 0.0
    assert windows[-1].end == pytest.approx(6.6)
    assert all(one.end >= two.start for one, two in itertools.pairwise(windows))


def test_silent_windows_say_so(tmp_path):
    path = write_levels(tmp_path / "pause.wav", (4, 0.25), (4, 0.0))
    windows = read(hand_model(), path).windows
    assert [one.warnings for one in windows] == [(), (), (), (), ("silent",)]


def test_progress_rises_to_one(tmp_path):
    shares = []
    path = write_levels(tmp_path / "long.wav", (9, 0.25))
    read(hand_model(), path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_less_than_the_receptive_field_is_refused(tmp_path):
    path = write_levels(tmp_path / "one.wav", (1 / 16_000, 0.25))
    with pytest.raises(AudioError, match=r"at least 0\.025 s"):
        read(hand_model(), path)


def test_longer_than_the_model_hears_at_once_is_the_mean_of_windows(tmp_path):
    model = hand_model(max_seconds=None)
    model.mods.model.longest = 5 * 16_000
    path = write_levels(tmp_path / "long.wav", (4, 0.25), (4, -0.75))
    whole = read(model, path).whole
    assert whole.vad == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)  # windows at 0 and 4 s
    assert (whole.start, whole.end) == (0.0, 8.0)
    assert "the model hears 5 s at once" in whole.warnings[-1]
    assert whole.words[0] == ("calm", pytest.approx(0.75, abs=1e-6))


@pytest.mark.parametrize("duration", [1, 299, 300, 301, 600, 5_000, 86_400])
def test_windows_stay_few(duration):
    hop = hop_of(duration)
    assert hop >= 1
    assert duration / hop <= MOST
