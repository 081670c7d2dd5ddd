"""Tests of the HTML table of predictions in notebooks, with values worked out by hand."""

import math
from dataclasses import replace

import numpy as np

from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.output.notebook import predictions_html
from emosphere_sb.inference.prediction import Prediction, without_values
from emosphere_sb.scale import Scale
from tests.helpers.fixed_model import levels_model
from tests.helpers.html import Reader

SCALED = [f"{name} (label scale)" for name in ("valence", "arousal", "dominance")]


def predict(scale=None):
    return Prediction(
        source="a.wav", duration=95.25, start=0.0, end=12.0, embedding=np.zeros(1),
        **locate(np.array([0.25, -0.5, 0.125]), levels_model(scale=scale or Scale(1, 7)).info),
    )  # fmt: skip


def rows(*predictions):
    return Reader(predictions_html(predictions)).cells


def test_values_on_the_label_scale_are_shown_unless_they_are_the_same():
    head, row = rows(predict())
    assert head[5:8] == SCALED
    assert row[2:8] == ["+0.25", "-0.50", "+0.12", "4.75", "2.50", "4.38"]
    head, row = rows(predict(Scale(-1, 1)))
    assert head[2:] == [f"{name.split()[0]} (-1 to 1)" for name in SCALED] + ["region", "warnings"]
    assert row[2:] == ["+0.25", "-0.50", "+0.12", "II (+V -A +D)", ""]
    head, *_ = rows(predict(Scale(-1, 1)), predict(Scale(1, 7)))
    assert head[5:8] == SCALED
    head, row = rows(predict(Scale(-1, 1, reversed=("valence",))))
    assert row[5:8] == ["-0.25", "-0.50", "0.12"]


def test_predictions_without_values_do_not_decide_about_the_scale():
    empty = without_values(predict(Scale(-1, 1)), "no speech detected")
    assert math.isnan(empty.vad[0])
    head, *found = rows(predict(Scale(-1, 1)), empty)
    assert len(head) == 7 and [len(row) for row in found] == [7, 7]
    assert found[1][2:] == ["", "", "", "", "no speech detected"]


def test_number_of_windows_is_shown_if_any_prediction_has_several():
    head, one, other = rows(predict(), replace(predict(), windows=1234))
    assert head[:3] == ["file", "duration (s)", "windows"]
    assert (one[:3], other[:3]) == (["a.wav", "95.25", "1"], ["a.wav", "95.25", "1,234"])
    assert len(one) == len(head) == 11
    head, _ = rows(predict())
    assert "windows" not in head
