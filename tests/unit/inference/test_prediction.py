"""A prediction as a flat row of plain types."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.inference.output.files import CsvWriter
from emosphere_sb.inference.prediction import Prediction, Predictions, scale_warnings


def one(**changes):
    facts = {
        "source": "a.wav", "duration": 1.23456, "start": 0.0, "end": 1.23456,
        "vad": np.array([0.25, -0.5, 0.125]), "on_scale": np.array([4.75, 2.5, 4.375]),
        "region": "II", "region_description": "negative", "radius": 0.6, "azimuth": 90.0,
        "polar": 45.0, "embedding": np.array([1.5, -2.0], dtype=np.float32),
        "probabilities": {"I": 0.25, "II": 0.75}, "head": "region",
        "words": [("happy", 0.5), ("sad", 1.0)], "warnings": ("silent", "clipped"),
        "engine": "torch fp32", "model": "tiny",
    }  # fmt: skip
    return Prediction(**(facts | changes))


def test_dimensions_by_name():
    found = one()
    assert (found.valence, found.arousal, found.dominance) == (0.25, -0.5, 0.125)


def test_row_is_flat_and_plain():
    assert one().to_dict() == json.loads(json.dumps(one().to_dict())) == {
        "file": "a.wav", "duration": 1.235, "start": 0.0, "end": 1.235, "windows": 1,
        "valence": 0.25, "arousal": -0.5, "dominance": 0.125,
        "valence_on_scale": 4.75, "arousal_on_scale": 2.5, "dominance_on_scale": 4.375,
        "region": "II", "radius": 0.6, "azimuth": 90.0, "polar": 45.0,
        "p_I": 0.25, "p_II": 0.75, "word": "happy", "word_distance": 0.5,
        "words": [["happy", 0.5], ["sad", 1.0]], "model": "tiny", "engine": "torch fp32",
        "warnings": ["silent", "clipped"],
    }  # fmt: skip


def test_embedding_on_request():
    assert one().to_dict(embedding=True)["embedding"] == [1.5, -2.0]


def test_row_of_a_model_without_head_and_words():
    row = one(probabilities={}, words=(), warnings=()).to_dict()
    assert row["warnings"] == [] and "word" not in row
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


def test_a_single_word_is_not_repeated_as_a_list():
    row = one(words=[("happy", 0.5)]).to_dict()
    assert (row["word"], row["word_distance"]) == ("happy", 0.5) and "words" not in row


def test_synthetic_model_is_marked_wherever_it_is_shown():
    shown = one(synthetic=True)
    assert shown.to_dict()["model"] == "tiny (SYNTHETIC)"
    assert "SYNTHETIC" in repr(shown) and "SYNTHETIC" in shown._repr_html_()
    assert shown.to_frame()["model"].tolist() == ["tiny (SYNTHETIC)"]
    for text in (repr(one()), one()._repr_html_(), one().to_dict()["model"]):
        assert "SYNTHETIC" not in text


def test_repr_fits_on_one_line():
    assert repr(one()) == (
        "Prediction('a.wav', duration=1.23, valence=+0.25, arousal=-0.50, dominance=+0.12, "
        "region='II', warnings=['silent', 'clipped'])"
    )
    part = one(warnings=(), start=0.5, end=0.75)
    assert "duration=1.23, start=0.50, end=0.75, valence" in repr(part)
    assert "warnings" not in repr(part)
    assert "region='II', windows=3)" in repr(one(warnings=(), windows=3))


def test_html_is_escaped():
    shown = one(source="<b>.wav", warnings=("<script>",))._repr_html_()
    assert "&lt;b&gt;.wav" in shown and "<script" not in shown
    assert shown.count("<tr>") == 2 and "<td>+0.25</td>" in shown and "<td>4.75</td>" in shown


# --- lists of predictions -----------------------------------------------------------------------


@pytest.fixture
def several():
    return Predictions(one(source=f"{number}.wav") for number in range(25))


def test_list_is_printed_with_one_line_per_prediction(several):
    lines = repr(several).splitlines()
    assert len(lines) == 21 and lines[0].startswith("[Prediction('0.wav'")
    assert lines[-1] == " … and 5 more]"
    assert repr(several[:2]) == f"[{several[0]!r},\n {several[1]!r}]"
    assert repr(Predictions()) == "[]"


def test_slices_are_lists_of_predictions(several):
    assert isinstance(several[1:3], Predictions) and several[3] is list(several)[3]
    assert several[1:3].to_dict() == [several[1].to_dict(), several[2].to_dict()]


def test_html_of_a_list_is_limited(several):
    shown = several._repr_html_()
    assert shown.count("<tr>") == 21 and "5 more rows" in shown and "20.wav" not in shown


def test_frame_has_the_columns_and_cells_of_the_csv_file(several, tmp_path):
    found = several[:2].to_frame()
    with CsvWriter(tmp_path / "out.csv") as table:
        for item in several[:2]:
            table.write(item)
    pd.testing.assert_frame_equal(found, pd.read_csv(tmp_path / "out.csv"))
    assert found["warnings"].tolist() == ["silent; clipped"] * 2
    assert several[0].to_frame().equals(found[:1])


def test_frame_with_embeddings(several):
    found = several[:1].to_frame(embedding=True)
    assert found[["embedding_0", "embedding_1"]].to_numpy().tolist() == [[1.5, -2.0]]


def test_frame_without_pandas_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame requires pandas"):
        one().to_frame()
