"""The scene of the sphere and the time line, on values worked out by hand."""

import json
import re
from xml.etree import ElementTree

import pytest

from emosphere_sb.demo_page.analysis import read
from emosphere_sb.demo_page.drawing import scene, spoken, time_marks, timeline_picture
from tests.helpers.fixed_model import hand_model, write_levels


@pytest.fixture
def reading(tmp_path):
    return read(hand_model(), write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))


def test_scene_holds_points_and_regions(reading):
    about = hand_model(region_step=45, centre_radius=0.1).about
    drawn = json.loads(json.dumps(scene(reading, about)))
    assert (drawn["step"], drawn["centre"], drawn["duration"]) == (45, 0.1, 8.0)
    assert drawn["whole"]["vad"] == pytest.approx([-0.25, 0.5, -0.25], abs=1e-6)
    assert [one["start"] for one in drawn["windows"]] == [0, 1, 2, 3, 4]
    assert drawn["windows"][4]["vad"] == pytest.approx([-0.75, 0.75, -0.375], abs=1e-6)
    assert drawn["words"]["far & away"] == [-1.0, 1.0, 1.0]


def test_a_window_in_words(reading):
    # +V +A -D is region V, -V +A -D region VIII; halves go to the even digit
    first, last = reading.windows[0], reading.windows[-1]
    values = "valence +0.25, arousal +0.25, dominance −0.12"
    assert spoken(first) == f"0:00–0:04: {values}; region V"
    values = "valence −0.75, arousal +0.75, dominance −0.38"
    assert spoken(last) == f"0:04–0:08: {values}; region VIII"


def test_lines_pass_through_the_middles_of_windows(reading):
    points = lines(reading)["valence"]
    # 8 s are 1000 units wide: middles at 2, 3, 4, 5, 6 s, level to 0 and 8 s; 1 is at the top, 0
    # in the middle of 200 units
    assert [x for x, _ in points] == [0, 250, 375, 500, 625, 750, 1000]
    assert [y for _, y in points] == pytest.approx([75, 75, 100, 125, 150, 175, 175], abs=0.051)


def test_values_beyond_one_stay_inside(tmp_path):
    drawn = lines(read(hand_model(), write_levels(tmp_path / "loud.wav", (5, -1.6))))
    heights = [y for points in drawn.values() for _, y in points]
    assert min(heights) > 0
    assert max(heights) < 200


def test_silence_is_marked(tmp_path):
    reading = read(hand_model(), write_levels(tmp_path / "pause.wav", (4, 0.25), (4, 0.0)))
    (silence,) = svg(reading).findall(".//g[@class='em-silence']/rect")
    assert (silence.get("x"), silence.get("width")) == ("500.0", "500.0")


@pytest.mark.parametrize("duration", [0.03, 0.4, 1, 7, 12, 59, 61, 600, 3_599, 20_000])
def test_time_marks_are_few_and_inside(duration):
    marks = time_marks(duration)
    assert marks[0] == 0
    assert len(marks) <= 6
    assert marks[-1] <= duration


def svg(reading):
    drawing = re.search(r"<svg role.*?</svg>", timeline_picture(reading), re.DOTALL)
    return ElementTree.fromstring(drawing[0])


def lines(reading):
    return {
        line.get("class").removeprefix("em-"): [
            tuple(map(float, pair.split(","))) for pair in line.get("points").split()
        ]
        for line in svg(reading).iter("polyline")
    }
