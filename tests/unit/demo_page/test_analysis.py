"""Analysis of a recording with a model whose predictions are known."""

import itertools

import numpy as np
import pytest

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.demo_page.analysis import MAX_WINDOWS, analyse, choose_hop
from tests.helpers.fixed_model import levels_model, write_levels


def test_windows_over_a_change_of_level(tmp_path):
    # 4 s windows every second over 4 s of 0.25 and 4 s of -0.75: windows 0..4 hold n s of the rest
    path = write_levels(tmp_path / "two levels.wav", (4, 0.25), (4, -0.75))
    analysis = analyse(levels_model(), path)
    share = np.arange(5) / 4
    assert analysis.vad[:, 0] == pytest.approx(0.25 - share, abs=1e-6)
    assert analysis.vad[:, 1] == pytest.approx(0.25 + 0.5 * share, abs=1e-6)
    assert [(one.start, one.end) for one in analysis.windows] == [
        (second, second + 4.0) for second in range(5)
    ]
    assert analysis.overall.vad == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)


def test_source_is_the_file_name_without_folder(tmp_path):
    analysis = analyse(levels_model(), write_levels(tmp_path / "ä b.wav", (5, 0.25)))
    assert {analysis.overall.source, *(one.source for one in analysis.windows)} == {"ä b.wav"}


def test_short_recording_gives_one_window(tmp_path):
    path = write_levels(tmp_path / "short.wav", (1.5, 0.5))
    (window,) = analyse(levels_model(), path).windows
    assert (window.start, window.end) == (0.0, 1.5)
    assert window.vad == pytest.approx([0.5, 0.5, -0.25], abs=1e-6)


def test_windows_cover_the_end(tmp_path):
    windows = analyse(levels_model(), write_levels(tmp_path / "odd.wav", (6.6, 0.5))).windows
    assert windows[0].start == 0.0
    assert windows[-1].end == pytest.approx(6.6)
    assert all(one.end >= two.start for one, two in itertools.pairwise(windows))


def test_silent_windows_have_a_warning(tmp_path):
    path = write_levels(tmp_path / "pause.wav", (4, 0.25), (4, 0.0))
    windows = analyse(levels_model(), path).windows
    assert [one.warnings for one in windows] == [(), (), (), (), ("silent",)]


def test_progress_rises_to_one(tmp_path):
    shares = []
    path = write_levels(tmp_path / "long.wav", (9, 0.25))
    analyse(levels_model(), path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_too_short_recording_is_rejected(tmp_path):
    path = write_levels(tmp_path / "one.wav", (1 / 16_000, 0.25))
    with pytest.raises(AudioError, match=r"at least 0\.025 s"):
        analyse(levels_model(), path)


def test_recording_above_model_limit_is_the_mean_of_windows(tmp_path):
    model = levels_model(max_seconds=None)
    model.mods.model.max_samples = 5 * 16_000
    path = write_levels(tmp_path / "long.wav", (4, 0.25), (4, -0.75))
    analysis = analyse(model, path)
    overall = analysis.overall
    assert "longer than 5 s, the longest part that the model processes at once" in analysis.note
    assert "means over 2 parts" in analysis.note
    assert overall.vad == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)  # windows at 0 and 5 s
    assert (overall.start, overall.end, overall.windows) == (0.0, 8.0, 2)
    assert overall.words[0] == ("calm", pytest.approx(0.75, abs=1e-6))


def test_recording_above_the_evaluation_limit_is_the_mean_of_windows(tmp_path):
    model = levels_model(max_seconds=3.0)
    analysis = analyse(model, write_levels(tmp_path / "long.wav", (3, 0.25), (4, -0.75)))
    # windows at 0, 3 and 6 s
    assert analysis.overall.vad[0] == pytest.approx((3 * 0.25 - 4 * 0.75) / 7, abs=1e-6)
    assert analysis.overall.windows == 3
    limit = "the maximum duration of utterances in the evaluation of the model. "
    assert f"longer than 3 s, {limit}" in analysis.note and "at once" not in analysis.note
    assert analysis.part_seconds == 3 and "3 parts of up to 3 s" in analysis.note
    short = analyse(model, write_levels(tmp_path / "short.wav", (3, 0.25)))
    assert (short.overall.windows, short.note) == (1, "")


@pytest.mark.parametrize("duration", [1, 299, 300, 301, 600, 5_000, 86_400])
def test_number_of_windows_is_limited(duration):
    hop = choose_hop(duration)
    assert hop >= 1
    assert duration / hop <= MAX_WINDOWS
