"""The values on the page, parsed from its HTML and compared with the prediction."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from emosphere_sb.demo_page.analysis import analyse
from emosphere_sb.demo_page.result_html import (
    alert_view,
    empty_view,
    result_view,
    warnings_box,
    windows_csv,
)
from emosphere_sb.inference.warning_texts import WARNINGS
from emosphere_sb.scale import Scale
from tests.helpers.fixed_model import levels_model, write_levels

VOID = {"br", "img", "input", "line", "rect", "polyline"}


class Elements(HTMLParser):
    """Start tags with attributes; fails where a tag is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def shown(tmp_path):
    model = levels_model()
    analysis = analyse(model, write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))
    return result_view(analysis, model.info)["html"]


def values(html):
    return [float(a["data-value"]) for _, a in Elements(html).found if "data-value" in a]


def test_numbers_on_both_scales_and_probabilities(shown):
    # neutral is 4 on a scale from 1 to 7, a unit is 3
    vad = [-0.25, 0.5, -0.25]
    expected = [number for value in vad for number in (value, 4 + 3 * value)]
    assert values(shown)[:6] == pytest.approx(expected, abs=1e-6)
    assert values(shown)[6:] == pytest.approx([n / 36 for n in range(8, 0, -1)], abs=1e-6)


def test_values_on_a_scale_of_minus_1_to_1_are_shown_once(tmp_path):
    path = write_levels(tmp_path / "levels.wav", (4, 0.25))
    for scale, head in ((Scale(-1, 1), None), (Scale(-2, 2), "from −2 to 2")):
        model = levels_model(scale=scale, head="none", classes=())
        model.mods.model.forward = without_logits(model.mods.model.forward)
        html = result_view(analyse(model, path), model.info)["html"]
        vad = [0.25, 0.25, -0.125]
        expected = vad if head is None else [number for v in vad for number in (v, 2 * v)]
        assert values(html) == pytest.approx(expected, abs=1e-6)
        heads = re.findall(r'<th scope="col">(.*?)</th>', html)[:2]
        assert heads == ["in [−1, 1]", head or "start (m:ss)"]


def test_less_probable_classes_are_folded(tmp_path):
    model = levels_model()
    analysis = analyse(model, write_levels(tmp_path / "levels.wav", (4, 0.25)))
    shares = {f"c{number}": number / 55 for number in range(1, 11)}  # 1 + … + 10 = 55
    overall = replace(analysis.overall, probabilities=shares)
    html = result_view(replace(analysis, overall=overall), model.info)["html"]
    assert values(html)[6:] == pytest.approx([n / 55 for n in range(10, 0, -1)])
    shown, folded = html.split("<summary>2 less probable classes</summary>")
    assert "c3" in shown and "c2" not in shown and "c2" in folded.split("</details>")[0]


def test_mean_and_range_of_the_windows(shown):
    # windows: 0.25, 0, -0.25, -0.5, -0.75
    assert "−0.25 (−0.75 to +0.25)" in Elements(shown).text


def test_headings_name_the_length_of_windows_and_parts(tmp_path):
    model = levels_model()
    path = write_levels(tmp_path / "long.wav", (13, 0.25))
    html = result_view(analyse(model, path), model.info)["html"]
    heads = re.findall(r'<th scope="col">(.*?)</th>', html)
    assert heads[:3] == [
        "in [−1, 1]<br>mean over<br>parts of 12 s", "from 1 to 7",
        "mean over windows of 4 s (range)",
    ]  # fmt: skip
    assert "<h3>Over time, in windows of 4 s</h3>" in html
    html = result_view(analyse(model, path, window=2.5), model.info)["html"]
    assert "mean over windows of 2.5 s (range)" in html


def test_single_pass_has_no_parts_in_the_heading(shown):
    assert re.findall(r'<th scope="col">(.*?)</th>', shown)[0] == "in [−1, 1]"


@pytest.mark.parametrize(("seconds", "text"), [(2, "2.0 s"), (61.25, "1:01.2 min")])
def test_length_of_the_recording_has_a_unit(tmp_path, seconds, text):
    model = levels_model(max_seconds=None)
    path = write_levels(tmp_path / "a.wav", (seconds, 0.25))
    html = result_view(analyse(model, path, window=30), model.info)["html"]
    assert f"<small>{text}</small>" in html


def test_region_words_and_licence(shown):
    text = Elements(shown).text
    assert "VIII (−V +A −D)" in text
    # |(-0.25, 0.5, -0.25) - (0.25, 0, 0)| = sqrt(0.5625)
    assert "Nearest emotion words: calm (0.75)" in text
    assert "far & away" in text


def test_a_single_window_has_no_slider(tmp_path):
    model = levels_model()
    analysis = analyse(model, write_levels(tmp_path / "short.wav", (2, 0.25)))
    html = result_view(analysis, model.info)["html"]
    assert 'type="range"' not in html
    assert "mean of windows" not in html


def test_model_without_head_and_words(tmp_path):
    model = levels_model(words={}, head="none", classes=())
    model.mods.model.forward = without_logits(model.mods.model.forward)
    analysis = analyse(model, write_levels(tmp_path / "short.wav", (2, 0.25)))
    html = result_view(analysis, model.info)["html"]
    assert "probabilities" not in html
    assert "Nearest" not in html


def without_logits(forward):
    from emosphere_sb.release.model import Outcome

    def call(signals, lengths):
        found = forward(signals, lengths)
        return Outcome(found.vad, found.embedding)

    return call


def test_warning_sentences(tmp_path):
    model = levels_model()
    analysis = analyse(model, write_levels(tmp_path / "loud.wav", (13, 1.0)))
    text = Elements(warnings_box(analysis.overall)).text
    assert "clipped" in text
    page = Elements(result_view(analysis, model.info)["html"]).text
    assert "The recording is longer than 12 s" in page and "means over 2 parts" in page
    other = replace(analysis.overall, warnings=("mixing 2 channels cancels the signal",))
    assert "Mixing 2 channels cancels the signal." in Elements(warnings_box(other)).text
    assert "outside the label scale" not in text
    beyond = replace(analysis.overall, warnings=("off scale",))
    assert "outside the label scale" in Elements(warnings_box(beyond)).text
    for text in ("no speech detected", "far from the training data", "very short", "very quiet"):
        shown = warnings_box(replace(analysis.overall, warnings=(text,)))
        assert WARNINGS[text].replace("-60", "\u221260") in Elements(shown).text
    silent = analyse(model, write_levels(tmp_path / "silent.wav", (2, 0.0)))
    assert "The recording is silent" in warnings_box(silent.overall)
    assert warnings_box(analyse(model, write_levels(tmp_path / "a.wav", (2, 0.5))).overall) == ""


def test_file_name_is_escaped(tmp_path):
    model = levels_model()
    path = write_levels(tmp_path / "<img src=x onerror=alert(1)> & ü.wav", (2, 0.25))
    html = result_view(analyse(model, path), model.info)["html"]
    assert not any(tag == "img" for tag, _ in Elements(html).found)
    assert "<img src=x onerror=alert(1)> & ü.wav" in Elements(html).text


def test_names_from_the_model_are_escaped(tmp_path):
    evil = "<script>alert('1')</script>"
    classes = tuple(f"{evil}{number}" for number in range(8))
    model = levels_model(head=evil, classes=classes, words={evil: [0.0, 0.0, 0.0]})
    analysis = analyse(model, write_levels(tmp_path / "a.wav", (2, 0.25)))
    odd = replace(analysis.overall, region_description=evil, warnings=(evil,))
    windows = tuple(replace(one, region=evil, warnings=(evil,)) for one in analysis.windows)
    html = result_view(replace(analysis, overall=odd, windows=windows), model.info)["html"]
    assert "<script" not in html
    # region, head, classes, word, region and warning of a window; a warning begins with a capital
    assert Elements(html).text.count(evil) == 1 + 1 + 8 + 1 + 2 + 1


def test_alert_message_is_escaped():
    shown = alert_view("<script>alert(1)</script> is no audio file.")
    assert "script" not in [tag for tag, _ in Elements(shown["html"]).found]
    assert 'role="alert"' in shown["html"]
    assert shown["scene"] is None
    assert empty_view()["scene"] is None


def test_csv_of_the_windows(tmp_path):
    analysis = analyse(levels_model(), write_levels(tmp_path / "a, b.wav", (4, 0.25), (4, -0.75)))
    rows = list(csv.DictReader(io.StringIO(windows_csv(analysis))))
    assert [float(row["start"]) for row in rows] == [0, 1, 2, 3, 4]
    assert [float(row["valence"]) for row in rows] == pytest.approx(
        [0.25, 0.0, -0.25, -0.5, -0.75], abs=1e-6
    )
    assert {row["file"] for row in rows} == {"a, b.wav"}


def test_controls_have_labels(shown):
    found = Elements(shown).found
    assert re.search(r"<label>Window <input type=\"range\"", shown)
    assert all(a.get("aria-label") for t, a in found if t == "svg" and a.get("role") == "img")
    assert [a["tabindex"] for t, a in found if t == "canvas"] == ["0"]
