"""The scene of the sphere and the timeline, with values derived by hand."""

import json
import re
from xml.etree import ElementTree

import pytest

from emosphere_sb.demo_page.analysis import analyse
from emosphere_sb.demo_page.drawing import (
    describe_prediction,
    sphere_scene,
    time_ticks,
    timeline_html,
)
from tests.helpers.fixed_model import levels_model, write_levels


@pytest.fixture
def analysis(tmp_path):
    return analyse(levels_model(), write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))


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
    # 8 s are 1000 units wide: middles at 2, 3, 4, 5, 6 s, level to 0 and 8 s; 1 is at the top, 0
    # in the middle of 200 units
    assert [x for x, _ in points] == [0, 250, 375, 500, 625, 750, 1000]
    assert [y for _, y in points] == pytest.approx([75, 75, 100, 125, 150, 175, 175], abs=0.051)


def test_values_above_one_are_inside_the_plot(tmp_path):
    drawn = lines(analyse(levels_model(), write_levels(tmp_path / "loud.wav", (5, -1.6))))
    heights = [y for points in drawn.values() for _, y in points]
    assert min(heights) > 0
    assert max(heights) < 200


def test_silence_is_marked(tmp_path):
    analysis = analyse(levels_model(), write_levels(tmp_path / "pause.wav", (4, 0.25), (4, 0.0)))
    (silence,) = svg(analysis).findall(".//g[@class='em-silence']/rect")
    assert (silence.get("x"), silence.get("width")) == ("500.0", "500.0")


@pytest.mark.parametrize("duration", [0.03, 0.4, 1, 7, 12, 59, 61, 600, 3_599, 20_000])
def test_time_ticks_are_few_and_within_the_recording(duration):
    marks = time_ticks(duration)
    assert marks[0] == 0
    assert len(marks) <= 6
    assert marks[-1] <= duration


def svg(analysis):
    drawing = re.search(r"<svg role.*?</svg>", timeline_html(analysis), re.DOTALL)
    return ElementTree.fromstring(drawing[0])


def lines(analysis):
    return {
        line.get("class").removeprefix("em-"): [
            tuple(map(float, pair.split(","))) for pair in line.get("points").split()
        ]
        for line in svg(analysis).iter("polyline")
    }
