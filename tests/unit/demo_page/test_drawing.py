"""The scene of the sphere and the timeline, with values derived by hand."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from emosphere_sb.demo_page.analysis import Analysis, analyse
from emosphere_sb.demo_page.drawing import (
    describe_prediction,
    sphere_scene,
    time_ticks,
    timeline_html,
)
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.fixed_model import levels_model, write_levels


@pytest.fixture
def analysis(tmp_path):
    return analyse(levels_model(), write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))


def make_analysis():
    """Analysis of one window without a recording."""
    about = levels_model().info
    one = Prediction(
        source="a.wav", duration=4.0, start=0.0, end=4.0, embedding=np.zeros(1),
        **locate(np.zeros(3), about),
    )  # fmt: skip
    return Analysis(one, (one,))


def test_scene_contains_points_and_regions(analysis):
    about = levels_model(region_step=45, centre_radius=0.1).info
    drawn = json.loads(json.dumps(sphere_scene(analysis, about)))
    assert (drawn["step"], drawn["centre"], drawn["duration"]) == (45, 0.1, 8.0)
    assert drawn["overall"]["vad"] == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)
    assert [one["start"] for one in drawn["windows"]] == [0, 1, 2, 3, 4]
    assert drawn["windows"][4]["vad"] == pytest.approx([-0.75, 0.75, -0.375], abs=1e-6)
    assert drawn["words"]["far & away"] == [-1.0, 1.0, 1.0]


def test_describe_prediction(analysis):
    # +V +A -D is region V, -V +A -D region VIII; halves go to the even digit
    first, last = analysis.windows[0], analysis.windows[-1]
    values = "valence +0.25, arousal +0.25, dominance −0.12"
    assert describe_prediction(first) == f"0:00–0:04: {values}; region V"
    values = "valence −0.75, arousal +0.75, dominance −0.38"
    assert describe_prediction(last) == f"0:04–0:08: {values}; region VIII"


def test_lines_pass_through_window_centres(analysis):
    points = lines(analysis)["valence"]
    # 8 s are 1000 units wide: middles at 2, 3, 4, 5, 6 s; 1 is at the top, 0 in the middle of 200
    # units
    assert [x for x, _ in points] == [250, 375, 500, 625, 750]
    assert [y for _, y in points] == pytest.approx([75, 100, 125, 150, 175], abs=0.051)


def test_each_dimension_has_a_panel_with_its_name_and_range(analysis):
    html = timeline_html(analysis)
    names = re.findall(r'<p class="em-name em-(\w+)" aria-hidden="true">(\w+)</p>', html)
    assert names == [(name, name) for name in DIMENSIONS]
    labels = [panel.get("aria-label") for panel in panels(analysis)]
    start = "valence over 8.0 s in 5 windows, from −0.75 to +0.25."
    assert labels[0].startswith(start) and len(labels) == 3


def test_few_windows_are_points_without_a_moving_average(analysis):
    for panel in panels(analysis):
        (dots,) = panel.findall("path")
        assert len(re.findall(r"M[\d.]+,[\d.]+h0", dots.get("d"))) == 5
        assert [line.get("class") for line in panel.iter("polyline")] == [dots.get("class")[:-8]]


def many(analysis, count, *, silent=()):
    """Analysis with windows of 4 s every second, whose valence alternates between 0.5 and -0.5."""
    windows = tuple(
        replace(
            analysis.windows[0], start=float(n), end=n + 4.0, duration=count + 3.0,
            vad=np.array([0.5 * (-1) ** n, 0.0, 0.0]), warnings=("silent",) if n in silent else (),
        )
        for n in range(count)
    )  # fmt: skip
    return replace(
        analysis, overall=replace(analysis.overall, duration=count + 3.0), windows=windows
    )


def averages(analysis):
    """Points of the moving average of valence, one list per segment."""
    found = panels(analysis)[0].findall("polyline[@class='em-valence em-average']")
    return [[tuple(map(float, p.split(","))) for p in one.get("points").split()] for one in found]


def test_hundreds_of_windows_have_a_moving_average():
    analysis = many(make_analysis(), 240)
    assert not panels(analysis)[0].findall("path")
    thin = panels(analysis)[0].find("polyline[@class='em-valence em-thin']").get("points")
    assert len(thin.split()) == 240
    (points,) = averages(analysis)
    # 8 s are 9 windows, 5 of one sign: ±0.5 / 9 = ±0.0556, or 5.56 units around the middle
    assert len(points) == 240
    assert {round(abs(y - 100), 1) for _, y in points[4:-4]} == {5.6}
    text = (
        "Thin lines: windows of 4 s. Thick lines: moving average over 8 s without silent windows."
    )
    assert text in timeline_html(analysis)


def test_silent_windows_interrupt_the_moving_average():
    segments = averages(many(make_analysis(), 100, silent=range(40, 60)))
    # 103 s are 1000 units wide; window n has its centre at n + 2 s
    assert [len(one) for one in segments] == [40, 40]
    assert segments[0][-1][0] == pytest.approx(1000 * 41 / 103, abs=0.051)
    assert segments[1][0][0] == pytest.approx(1000 * 62 / 103, abs=0.051)


def test_a_single_window_has_no_timeline(tmp_path):
    analysis = analyse(levels_model(), write_levels(tmp_path / "short.wav", (3, 0.25)))
    assert len(analysis.windows) == 1
    assert timeline_html(analysis) == ""


def test_values_above_one_are_inside_the_plot(tmp_path):
    drawn = lines(analyse(levels_model(), write_levels(tmp_path / "loud.wav", (5, -1.6))))
    heights = [y for points in drawn.values() for _, y in points]
    assert min(heights) > 0
    assert max(heights) < 200


def test_silence_is_marked(tmp_path):
    analysis = analyse(levels_model(), write_levels(tmp_path / "pause.wav", (4, 0.25), (4, 0.0)))
    for panel in panels(analysis):
        (silence,) = panel.findall(".//g[@class='em-silence']/rect")
        assert (silence.get("x"), silence.get("width")) == ("500.0", "500.0")


@pytest.mark.parametrize("duration", [0.03, 0.4, 1, 7, 12, 59, 61, 600, 3_599, 20_000])
def test_time_ticks_are_few_and_within_the_recording(duration):
    marks = time_ticks(duration)
    assert marks[0] == 0
    assert len(marks) <= 6
    assert marks[-1] <= duration


def panels(analysis):
    found = re.findall(r"<svg role.*?</svg>", timeline_html(analysis), re.DOTALL)
    return [ElementTree.fromstring(panel) for panel in found]


def lines(analysis):
    return {
        line.get("class").removeprefix("em-"): [
            tuple(map(float, pair.split(","))) for pair in line.get("points").split()
        ]
        for panel in panels(analysis)
        for line in panel.iter("polyline")
    }
