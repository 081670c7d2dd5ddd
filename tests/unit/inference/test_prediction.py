"""A prediction as a flat row of plain types."""

import json

import numpy as np
import pytest

from emosphere_sb.inference.prediction import Prediction, scale_warnings


def one(**changes):
    facts = {
        "source": "a.wav", "duration": 1.23456, "start": 0.0, "end": 1.23456,
        "vad": np.array([0.25, -0.5, 0.125]), "on_scale": np.array([4.75, 2.5, 4.375]),
        "region": "II", "region_description": "negative", "radius": 0.6, "azimuth": 90.0,
        "polar": 45.0, "embedding": np.array([1.5, -2.0], dtype=np.float32),
        "probabilities": {"I": 0.25, "II": 0.75}, "head": "region",
        "words": [("happy", 0.5), ("sad", 1.0)], "warnings": ("silent", "clipped"),
        "engine": "torch fp32",
    }  # fmt: skip
    return Prediction(**(facts | changes))


def test_dimensions_by_name():
    found = one()
    assert (found.valence, found.arousal, found.dominance) == (0.25, -0.5, 0.125)


def test_row_is_flat_and_plain():
    assert one().to_dict() == json.loads(json.dumps(one().to_dict())) == {
        "file": "a.wav", "duration": 1.235, "start": 0.0, "end": 1.235,
        "valence": 0.25, "arousal": -0.5, "dominance": 0.125,
        "valence_on_scale": 4.75, "arousal_on_scale": 2.5, "dominance_on_scale": 4.375,
        "region": "II", "radius": 0.6, "azimuth": 90.0, "polar": 45.0,
        "p_I": 0.25, "p_II": 0.75, "word": "happy", "word_distance": 0.5,
        "engine": "torch fp32", "warnings": "silent; clipped",
    }  # fmt: skip


def test_embedding_on_request():
    assert one().to_dict(embedding=True)["embedding"] == [1.5, -2.0]


def test_row_of_a_model_without_head_and_words():
    row = one(probabilities={}, words=(), warnings=()).to_dict()
    assert row["warnings"] == "" and "word" not in row
    assert not [name for name in row if name.startswith("p_")]


@pytest.mark.parametrize(
    "vad, expected",
    [
        ([0.0, 0.0, 0.0], ()),
        ([1.0, -1.0, 1.00005], ()),  # the ends of the scale, and a rounding error
        ([1.0002, 0.0, 0.0], ("off scale",)),
        ([0.0, 0.0, (0.53 - 4) / 3], ("off scale",)),  # .53 on a scale of 1 to 7
    ],
)
def test_values_that_no_label_could_have_give_a_warning(vad, expected):
    assert scale_warnings(np.array(vad)) == expected
