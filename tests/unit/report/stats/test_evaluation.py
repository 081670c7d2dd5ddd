"""Tests of the evaluation of a set: metrics, intervals, subgroups, confusion matrices."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.metrics import ccc
from emosphere_sb.report.stats.evaluation import MIN_UTTERANCES, evaluate_predictions, mean_metrics
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SCALE_1_TO_7, random_predictions

FAST = {"resamples": 199}


@pytest.fixture(scope="module")
def table():
    return random_predictions(120)


@pytest.fixture(scope="module")
def found(table):
    return evaluate_predictions(table, scale=SCALE_1_TO_7, resamples=2500, seed=3)


def slice_of(found, name, value):
    (part,) = [part for part in found["slices"][name] if part["value"] == value]
    return part


def test_metrics_and_intervals_match_complete_set(found, table):
    assert found["metrics"] == prediction_metrics(table)
    assert found["intervals"] == confidence_intervals(table, resamples=2500, seed=3)
    assert (found["runs"], found["warnings"]) == (1, [])


def test_subgroup_metrics_match_its_utterances(found, table):
    part = table[table["gender"] == "Male"]
    male = slice_of(found, "gender", "Male")
    assert male["utterances"] == 60
    assert male["metrics"]["valence"]["ccc"] == pytest.approx(
        ccc(part["valence"], part["valence_predicted"]), abs=1e-12
    )
    assert male["intervals"]["resamples"] == 2000


def test_subgroups_of_each_kind_cover_all_utterances(found):
    assert list(found["slices"]) == ["gender", "speaker", "duration", "emotion", "region"]
    assert found["missing_slices"] == ["raters"]
    for parts in found["slices"].values():
        assert sum(part["utterances"] for part in parts) == 120


def test_small_subgroups_have_metrics_but_no_intervals(found):
    parts = [part for parts in found["slices"].values() for part in parts]
    small = [part for part in parts if part["utterances"] < MIN_UTTERANCES]
    assert {part["intervals"] is None for part in small} == {True}
    assert {part["intervals"] is None for part in parts if part not in small} == {False}
    assert len(found["slices"]["speaker"]) == 12
    assert all(part["utterances"] == 10 for part in found["slices"]["speaker"])


def test_subgroups_do_not_use_more_resamples(table):
    found = evaluate_predictions(table, **FAST)
    assert slice_of(found, "gender", "Female")["intervals"]["resamples"] == 199


def small_table(**columns):
    truth = [2.0, 3.0, 4.0, 5.0]
    table = pd.DataFrame({"ID": list("abcd")})
    for name in DIMENSIONS:
        table[name] = truth
        table[f"{name}_predicted"] = [2.5, 3.0, 4.5, 4.0]
    return table.assign(**columns)


def test_confusion_of_point_matches_manual_calculation():
    table = small_table(region=["I", "I", "II", ""], region_point=["I", "II", "II", "I"])
    found = evaluate_predictions(table, **FAST)["confusion"]
    assert found == {
        "region_point": {"classes": ["I", "II"], "counts": [[1, 1], [0, 1]], "left_out": 1}
    }


def test_confusion_of_heads_matches_manual_calculation():
    regions = {"region": ["I", "I", "II", ""], "region_point": ["I", "II", "II", "I"]}
    head = {"region_head": ["II", "I", "II", "II"], "p_I": 0.5, "p_II": 0.25, "p_III": 0.25}
    found = evaluate_predictions(small_table(**regions, **head), **FAST)["confusion"]
    assert found["region_head"] == {
        "classes": ["I", "II", "III"], "counts": [[1, 1, 0], [0, 1, 0], [0, 0, 0]], "left_out": 1,
    }  # fmt: skip
    assert found["region_point"]["classes"] == ["I", "II", "III"]
    emotions = {
        "emotion": ["Happy", "sad", "other", ""], "emotion_head": ["happy", "happy", "sad", "sad"],
        "p_happy": 0.5, "p_sad": 0.5,
    }  # fmt: skip
    found = evaluate_predictions(small_table(**emotions), **FAST)["confusion"]
    assert found == {
        "emotion_head": {"classes": ["happy", "sad"], "counts": [[1, 0], [1, 0]], "left_out": 2}
    }


def test_runs_are_averaged_and_counts_summed():
    tables = [random_predictions(90, seed=seed) for seed in (1, 2, 3)]
    shuffled = [tables[0], tables[1].sample(frac=1, random_state=0), tables[2]]
    found = evaluate_predictions(shuffled, scale=SCALE_1_TO_7, **FAST)
    expected = np.mean([prediction_metrics(table)["arousal"]["ccc"] for table in tables])
    assert found["metrics"]["arousal"]["ccc"] == pytest.approx(expected, abs=1e-12)
    assert found["metrics"]["arousal"]["n"] == 90
    assert found["runs"] == 3
    assert found["intervals"] == confidence_intervals(tables, **FAST)
    assert np.sum(found["confusion"]["region_point"]["counts"]) == 270
    female = slice_of(found, "gender", "Female")
    parts = [prediction_metrics(table[table["gender"] == "Female"]) for table in tables]
    assert female["utterances"] == 45
    assert female["metrics"]["mean_ccc"] == pytest.approx(
        np.mean([part["mean_ccc"] for part in parts]), abs=1e-12
    )
    slopes = [np.polyfit(t["valence"], t["valence_predicted"], 1)[0] for t in tables]
    assert found["calibration"]["valence"]["slope_of_prediction"] == pytest.approx(np.mean(slopes))


def test_head_missing_in_one_run_is_omitted():
    found = evaluate_predictions([random_predictions(), random_predictions(head=False)], **FAST)
    assert "region_head" not in found["metrics"]
    assert list(found["confusion"]) == ["region_point"]


def test_metric_undefined_in_one_run_is_undefined_in_mean():
    constant = random_predictions().assign(valence_predicted=4.0)
    found = evaluate_predictions([random_predictions(), constant], **FAST)
    assert math.isnan(found["metrics"]["valence"]["pearson"])
    assert found["warnings"] == ["run 2: all values of valence_predicted are 4; the CCC is 0."]
    assert evaluate_predictions(constant, source="test1", **FAST)["warnings"] == [
        "all values of valence_predicted are 4; the CCC is 0."
    ]


def test_runs_with_different_utterances_raise():
    with pytest.raises(ValueError, match="same utterances"):
        evaluate_predictions([random_predictions(60), random_predictions(50)], **FAST)


def test_predictions_on_wrong_scale_raise_with_source():
    table = small_table()
    table["valence_predicted"] = [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(ValueError, match=r"^mine: valence_predicted"):
        evaluate_predictions(table, scale=SCALE_1_TO_7, source="mine", **FAST)


def test_manifest_adds_missing_columns():
    manifest = pd.DataFrame({"ID": list("dcbax"), "gender": ["F", "F", "M", "M", "M"]})
    manifest["n_raters"] = [5.0, math.nan, 7.0, 7.0, 9.0]
    table = small_table(gender="kept")
    found = evaluate_predictions(table, manifest=manifest, **FAST)
    assert [part["value"] for part in found["slices"]["gender"]] == ["kept"]
    assert [(part["value"], part["utterances"]) for part in found["slices"]["raters"]] == [
        ("5", 1), ("7", 2), ("unknown", 1),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"1 missing, e\.g\. d"):
        evaluate_predictions(table, manifest=manifest[1:], **FAST)


def test_evaluation_is_json_serialisable(found):
    assert json.loads(json.dumps(found))["metrics"]["valence"] == found["metrics"]["valence"]


def test_regions_of_fine_partition():
    regions = SphericalRegions(45)
    found = evaluate_predictions(
        random_predictions(80, regions=regions), scale=SCALE_1_TO_7, **FAST
    )
    assert found["confusion"]["region_point"]["classes"] == list(regions.names)
    assert np.sum(found["confusion"]["region_point"]["counts"]) == 80


def test_truth_outside_scale_raises(table):
    with pytest.raises(ValueError, match="must be in the range 1 to 5"):
        evaluate_predictions(table, scale=Scale(1, 5), **FAST)


def test_mean_of_nested_metrics():
    tables = [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [4.0]})]
    found = mean_metrics(tables, lambda t: {"n": 2, "m": int(t["a"][0]), "x": {"y": t["a"][0]}})
    assert found == {"n": 2, "m": 2.5, "x": {"y": 2.5}}
