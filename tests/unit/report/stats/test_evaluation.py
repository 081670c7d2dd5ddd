"""What is said about a set: figures, intervals, slices, confusions, over one run or several."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.metrics import ccc
from emosphere_sb.report.stats.evaluation import ENOUGH, evaluate, mean_figures
from emosphere_sb.report.stats.intervals import intervals
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SEVEN, set_of

FAST = {"resamples": 199}


@pytest.fixture(scope="module")
def table():
    return set_of(120)


@pytest.fixture(scope="module")
def found(table):
    return evaluate(table, scale=SEVEN, resamples=2500, seed=3)


def slice_of(found, name, value):
    (part,) = [part for part in found["slices"][name] if part["value"] == value]
    return part


def test_figures_and_intervals_are_those_of_the_whole_set(found, table):
    assert found["figures"] == figures(table)
    assert found["intervals"] == intervals(table, resamples=2500, seed=3)
    assert (found["runs"], found["warnings"]) == (1, [])


def test_figures_of_a_slice_are_those_of_its_utterances(found, table):
    part = table[table["gender"] == "Male"]
    male = slice_of(found, "gender", "Male")
    assert male["utterances"] == 60
    assert male["figures"]["valence"]["ccc"] == pytest.approx(
        ccc(part["valence"], part["valence_predicted"]), abs=1e-12
    )
    assert male["intervals"]["resamples"] == 2000


def test_every_slicing_counts_every_utterance(found):
    assert list(found["slices"]) == ["gender", "speaker", "duration", "emotion", "region"]
    assert found["missing_slices"] == ["raters"]
    for parts in found["slices"].values():
        assert sum(part["utterances"] for part in parts) == 120


def test_small_slices_have_figures_and_no_intervals(found):
    parts = [part for parts in found["slices"].values() for part in parts]
    small = [part for part in parts if part["utterances"] < ENOUGH]
    assert {part["intervals"] is None for part in small} == {True}
    assert {part["intervals"] is None for part in parts if part not in small} == {False}
    assert len(found["slices"]["speaker"]) == 12
    assert all(part["utterances"] == 10 for part in found["slices"]["speaker"])


def test_few_resamples_are_not_raised_for_slices(table):
    found = evaluate(table, **FAST)
    assert slice_of(found, "gender", "Female")["intervals"]["resamples"] == 199


def small_table(**columns):
    truth = [2.0, 3.0, 4.0, 5.0]
    table = pd.DataFrame({"ID": list("abcd")})
    for name in DIMENSIONS:
        table[name] = truth
        table[f"{name}_predicted"] = [2.5, 3.0, 4.5, 4.0]
    return table.assign(**columns)


def test_confusion_of_the_point_by_hand():
    table = small_table(region=["I", "I", "II", ""], region_point=["I", "II", "II", "I"])
    found = evaluate(table, **FAST)["confusion"]
    assert found == {
        "region_point": {"classes": ["I", "II"], "counts": [[1, 1], [0, 1]], "left_out": 1}
    }


def test_confusion_of_heads_by_hand():
    regions = {"region": ["I", "I", "II", ""], "region_point": ["I", "II", "II", "I"]}
    head = {"region_head": ["II", "I", "II", "II"], "p_I": 0.5, "p_II": 0.25, "p_III": 0.25}
    found = evaluate(small_table(**regions, **head), **FAST)["confusion"]
    assert found["region_head"] == {
        "classes": ["I", "II", "III"], "counts": [[1, 1, 0], [0, 1, 0], [0, 0, 0]], "left_out": 1,
    }  # fmt: skip
    assert found["region_point"]["classes"] == ["I", "II", "III"]
    emotions = {
        "emotion": ["Happy", "sad", "other", ""], "emotion_head": ["happy", "happy", "sad", "sad"],
        "p_happy": 0.5, "p_sad": 0.5,
    }  # fmt: skip
    found = evaluate(small_table(**emotions), **FAST)["confusion"]
    assert found == {
        "emotion_head": {"classes": ["happy", "sad"], "counts": [[1, 0], [1, 0]], "left_out": 2}
    }


def test_several_runs_are_a_mean_over_runs_and_sums_of_counts():
    tables = [set_of(90, seed=seed) for seed in (1, 2, 3)]
    shuffled = [tables[0], tables[1].sample(frac=1, random_state=0), tables[2]]
    found = evaluate(shuffled, scale=SEVEN, **FAST)
    expected = np.mean([figures(table)["arousal"]["ccc"] for table in tables])
    assert found["figures"]["arousal"]["ccc"] == pytest.approx(expected, abs=1e-12)
    assert found["figures"]["arousal"]["n"] == 90
    assert found["runs"] == 3
    assert found["intervals"] == intervals(tables, **FAST)
    assert np.sum(found["confusion"]["region_point"]["counts"]) == 270
    female = slice_of(found, "gender", "Female")
    parts = [figures(table[table["gender"] == "Female"]) for table in tables]
    assert female["utterances"] == 45
    assert female["figures"]["mean_ccc"] == pytest.approx(
        np.mean([part["mean_ccc"] for part in parts]), abs=1e-12
    )
    slopes = [np.polyfit(t["valence"], t["valence_predicted"], 1)[0] for t in tables]
    assert found["calibration"]["valence"]["slope_of_prediction"] == pytest.approx(np.mean(slopes))


def test_head_that_one_run_is_without_has_no_mean():
    found = evaluate([set_of(), set_of(head=False)], **FAST)
    assert "region_head" not in found["figures"]
    assert list(found["confusion"]) == ["region_point"]


def test_figure_that_is_not_defined_for_one_run_is_not_for_the_mean():
    constant = set_of().assign(valence_predicted=4.0)
    found = evaluate([set_of(), constant], **FAST)
    assert math.isnan(found["figures"]["valence"]["pearson"])
    assert found["warnings"] == ["run 2: every valence_predicted is 4; its CCC is 0."]
    assert evaluate(constant, source="test1", **FAST)["warnings"] == [
        "every valence_predicted is 4; its CCC is 0."
    ]


def test_runs_of_other_utterances_are_refused():
    with pytest.raises(ValueError, match="same utterances"):
        evaluate([set_of(60), set_of(50)], **FAST)


def test_predictions_off_their_scale_are_refused_by_name():
    table = small_table()
    table["valence_predicted"] = [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(ValueError, match=r"^mine: valence_predicted"):
        evaluate(table, scale=SEVEN, source="mine", **FAST)


def test_manifest_fills_in_what_the_table_lacks():
    manifest = pd.DataFrame({"ID": list("dcbax"), "gender": ["F", "F", "M", "M", "M"]})
    manifest["n_raters"] = [5.0, math.nan, 7.0, 7.0, 9.0]
    table = small_table(gender="kept")
    found = evaluate(table, manifest=manifest, **FAST)
    assert [part["value"] for part in found["slices"]["gender"]] == ["kept"]
    assert [(part["value"], part["utterances"]) for part in found["slices"]["raters"]] == [
        ("5", 1), ("7", 2), ("unknown", 1),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="1 are not in it, d for one"):
        evaluate(table, manifest=manifest[1:], **FAST)


def test_everything_is_plain_enough_for_json(found):
    assert json.loads(json.dumps(found))["figures"]["valence"] == found["figures"]["valence"]


def test_regions_of_a_fine_cut():
    regions = SphericalRegions(45)
    found = evaluate(set_of(80, regions=regions), scale=SEVEN, **FAST)
    assert found["confusion"]["region_point"]["classes"] == list(regions.names)
    assert np.sum(found["confusion"]["region_point"]["counts"]) == 80


def test_scale_that_the_truth_is_off_is_refused(table):
    with pytest.raises(ValueError, match="must lie on 1 to 5"):
        evaluate(table, scale=Scale(1, 5), **FAST)


def test_mean_of_nested_figures():
    tables = [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [4.0]})]
    found = mean_figures(tables, lambda t: {"n": 2, "m": int(t["a"][0]), "x": {"y": t["a"][0]}})
    assert found == {"n": 2, "m": 2.5, "x": {"y": 2.5}}
