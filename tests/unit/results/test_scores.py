"""Tests of metrics against manually calculated values, and of their JSON."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.results.scores import (
    class_metrics,
    head_classes,
    prediction_metrics,
    write_json,
)
from emosphere_sb.scale import DIMENSIONS


def table_of(truth, predicted, **columns):
    table = pd.DataFrame({"ID": [str(n) for n in range(len(truth))]})
    table[list(DIMENSIONS)] = np.array(truth, dtype=float)
    table[list(PREDICTED)] = np.array(predicted, dtype=float)
    return table.assign(**columns)


def test_ccc_matches_manual_calculation():
    """x = 1, 2, 3 and y = 2, 3, 4: 2 · 2/3 / (2/3 + 2/3 + 1) = 4/7; y = x: 1; y = 4 - x: -1."""
    truth = [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    found = prediction_metrics(table_of(truth, [[2, 1, 3], [3, 2, 2], [4, 3, 1]]))
    assert [found[name]["ccc"] for name in DIMENSIONS] == pytest.approx(
        [4 / 7, 1.0, -1.0], abs=1e-12
    )
    assert found["mean_ccc"] == pytest.approx(4 / 21, abs=1e-12)
    assert (found["valence"]["n"], found["valence"]["mae"]) == (3, 1.0)


def test_missing_values_are_ignored_per_dimension():
    nan = math.nan
    found = prediction_metrics(
        table_of([[1, 1, nan], [2, nan, nan], [3, 3, nan]], [[1, 1, 1], [2, 9, 2], [3, 3, 3]])
    )
    assert [found[name]["n"] for name in DIMENSIONS] == [3, 2, 0]
    assert [found[name]["ccc"] for name in DIMENSIONS[:2]] == [1.0, 1.0]
    assert math.isnan(found["dominance"]["ccc"])
    assert found["mean_ccc"] == 1.0


def test_metrics_are_computed_over_complete_set():
    truth = [[0.0] * 3, [1.0] * 3, [2.0] * 3, [3.0] * 3]
    predicted = [[0.0] * 3, [1.0] * 3, [0.0] * 3, [1.0] * 3]
    whole = prediction_metrics(table_of(truth, predicted))["mean_ccc"]
    # x: mean 1.5, variance 1.25; y: mean .5, variance .25; covariance .25. Halves: 1 and 1/9.
    assert whole == pytest.approx(2 * 0.25 / (1.25 + 0.25 + 1.0), abs=1e-12)


LABELS = [[0.0] * 3, [1.0] * 3, [2.0] * 3, [3.0] * 3]


def test_region_head_matches_manual_calculation():
    """Truth I I II ?, head I II II I, point I I II I."""
    found = prediction_metrics(
        table_of(
            LABELS, LABELS, region=["I", "I", "II", ""], region_point=["I", "I", "II", "I"],
            region_head=["I", "II", "II", "I"], p_I=0.5, p_II=0.25, p_III=0.25,
        )
    )  # fmt: skip
    head = found["region_head"]
    assert head["accuracy"] == pytest.approx(2 / 3)
    assert head["unweighted_recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert head["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)  # III occurs nowhere
    assert head["n"] == 3
    assert head["agreement_with_point"] == 3 / 4  # the point is known where the truth is not
    assert found["region_point"]["accuracy"] == 1.0
    assert found["region_point"]["n"] == 3


def test_emotion_head_is_scored_on_known_classes():
    found = prediction_metrics(
        table_of(
            LABELS, LABELS, emotion=["happy", "other", "sad", ""],
            emotion_head=["happy", "sad", "happy", "sad"], p_happy=0.5, p_sad=0.5,
        )
    )  # fmt: skip
    assert found["emotion_head"]["n"] == 2
    assert found["emotion_head"]["accuracy"] == 0.5
    assert "agreement_with_point" not in found["emotion_head"]


def test_class_names_are_case_insensitive():
    found = class_metrics(
        pd.Series(["Happy", "SAD", "sad"]), pd.Series(["happy", "Sad", "happy"]),
        names=["happy", "Sad"],
    )  # fmt: skip
    assert (found["n"], found["accuracy"]) == (3, 2 / 3)


def test_table_without_regions_has_metrics():
    found = prediction_metrics(table_of(LABELS, LABELS))
    assert set(found) == {*DIMENSIONS, "mean_ccc", "utterances"}


def test_head_classes_match_probability_columns():
    assert head_classes(pd.DataFrame(columns=["ID", "p_I", "duration", "p_no_agreement"])) == [
        "I",
        "no_agreement",
    ]


def test_no_known_class_gives_nan_and_a_count_of_0():
    found = class_metrics(pd.Series(["", ""]), pd.Series(["I", "II"]))
    assert found["n"] == 0
    assert math.isnan(found["accuracy"])


def test_undefined_metrics_become_null_in_json(tmp_path):
    facts = {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": (-math.inf, "ü", None, True, 3)}}
    write_json({**facts, "e": np.float64("nan")}, tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text) == {
        "a": None, "b": [None, 1.5], "c": {"d": [None, "ü", None, True, 3]}, "e": None,
    }  # fmt: skip


def test_json_has_full_precision_and_leaves_single_file(tmp_path):
    write_json({"ccc": 0.1 + 0.2}, tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["ccc"] == 0.1 + 0.2
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("known", [{"region": "I"}, {"region_point": "I"}, {"region_head": "I"}])
def test_missing_class_column_gives_no_metrics(known):
    found = prediction_metrics(table_of([[1, 1, 1]], [[2, 1, 3]], **known))
    assert {"region_point", "region_head"}.isdisjoint(found)


def test_head_without_point_has_no_agreement():
    found = prediction_metrics(table_of([[1, 1, 1]], [[2, 1, 3]], region="I", region_head="I"))
    assert found["region_head"]["accuracy"] == 1.0
    assert "agreement_with_point" not in found["region_head"]


def test_unknown_predicted_class_raises():
    with pytest.raises(
        ValueError, match=r"classes of the head \(I, II\); found v\. Each class needs"
    ):
        class_metrics(pd.Series(["I", "II"]), pd.Series(["I", "V"]), names=["I", "II"])
