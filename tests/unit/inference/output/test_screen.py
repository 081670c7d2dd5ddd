"""Tests of the table of predictions on the console, with values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.output.screen import ConsoleTable, TimelineConsoleTable, legend
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.scale import Scale
from tests.helpers.fixed_model import levels_model


def predict(scale):
    return Prediction(
        source="a.wav", duration=95.25, start=0.0, end=12.0, embedding=np.zeros(1),
        **locate(np.array([0.25, -0.5, 0.125]), levels_model(scale=scale).info),
    )  # fmt: skip


def printed(table, *predictions):
    for one in predictions:
        table.write(one)


def test_values_are_shown_in_both_units():
    lines, scale = [], Scale(1, 7)
    printed(ConsoleTable(["a.wav"], scale, lines.append), predict(scale))
    # 4 + 3 v
    assert lines[0].split() == [
        "file", "duration", "(s)", "valence", "arousal", "dominance", "V", "A", "D,", "1", "to",
        "7", "region",
    ]  # fmt: skip
    assert lines[1].split()[2:] == ["+0.25", "-0.50", "+0.12", "4.75", "2.50", "4.38", "II"]


@pytest.mark.parametrize("with_values", [True, False])
def test_values_on_a_scale_of_minus_1_to_1_are_shown_once(with_values):
    scale = Scale(-1, 1)
    one = predict(scale)
    if not with_values:
        one = replace(one, vad=np.full(3, np.nan), region="")
    values = ["+0.25", "-0.50", "+0.12", "II"] if with_values else []
    heads = ["valence", "arousal", "dominance", "region"]
    lines = []
    printed(ConsoleTable(["a.wav"], scale, lines.append), one)
    assert [line.split() for line in lines] == [
        ["file", "duration", "(s)", *heads], ["a.wav", "95.2", *values]
    ]  # fmt: skip
    lines = []
    printed(TimelineConsoleTable(scale, lines.append), one)
    assert [line.split() for line in lines] == [
        ["start", "(s)", "end", "(s)", *heads], ["0.00", "12.00", *values]
    ]  # fmt: skip
    assert not any("label scale" in line for line in legend(scale, {}))


def test_values_on_a_reversed_scale_of_minus_1_to_1_are_shown():
    lines, scale = [], Scale(-1, 1, reversed=("arousal",))
    printed(ConsoleTable(["a.wav"], scale, lines.append), predict(scale))
    assert lines[1].split()[2:] == ["+0.25", "-0.50", "+0.12", "0.25", "0.50", "0.12", "II"]


def test_duration_is_that_of_the_entire_file():
    lines = []
    printed(ConsoleTable(["a.wav"], Scale(1, 7), lines.append), predict(Scale(1, 7)))
    assert lines[1].split()[1] == "95.2"  # of which 12 s were processed
