"""Tests of the validation of predictions: errors and warnings."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

SEVEN = Scale(1, 7)


def table(truth, predicted):
    """Table with equal values in all dimensions."""
    built = pd.DataFrame({"ID": [f"u{number}" for number in range(len(truth))]})
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        built[name], built[column] = truth, predicted
    return built


def good():
    return table([1.0, 4.0, 7.0, np.nan], [2.0, 3.0, 6.5, 0.5])


def check(built, scale=SEVEN):
    return check_predictions(built, source="test1.csv", scale=scale)


def test_valid_predictions_give_no_warning():
    assert check(good()) == []
    assert check(good(), scale=None) == []


def test_set_without_truth_is_accepted():
    assert check(table([np.nan] * 3, [2.0, 3.0, 4.0])) == []


def test_empty_table_raises():
    with pytest.raises(ValueError, match=r"test1\.csv must contain at least one utterance"):
        check(good()[:0])


def test_missing_column_raises():
    with pytest.raises(ValueError, match="has no column ID, arousal_predicted; found"):
        check(good().drop(columns=["ID", "arousal_predicted"]))


@pytest.mark.parametrize("empty", ["", "  ", None, np.nan])
def test_empty_id_raises_with_row(empty):
    built = good()
    built["ID"] = ["a", empty, "c", "d"]
    with pytest.raises(ValueError, match=r"1 of 4 IDs are empty \(rows 2\)"):
        check(built)


def test_duplicated_id_raises():
    built = good()
    built["ID"] = ["a", "b", "b", "b"]
    with pytest.raises(ValueError, match=r"1 duplicated \(b\)"):
        check(built)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_non_finite_prediction_raises_with_id(wrong):
    built = good()
    built.loc[2, "arousal_predicted"] = wrong
    with pytest.raises(
        ValueError, match=r"arousal_predicted must be finite; invalid in 1 of 4 .* \(u2\)"
    ):
        check(built)


def test_infinite_truth_raises_with_id():
    built = good()
    built.loc[1, "dominance"] = np.inf
    with pytest.raises(ValueError, match=r"true dominance must be finite .* \(u1\)"):
        check(built, scale=None)


def test_truth_outside_scale_raises_if_scale_is_known():
    built = table([0.5, 4.0, 7.0, 8.0], [2.0, 3.0, 6.0, 5.0])
    said = r"true valence must be in the range 1 to 7; invalid in 2 of 4 rows \(u0, u3\)"
    with pytest.raises(ValueError, match=said):
        check(built)
    assert check(built, scale=None) == []


@pytest.mark.parametrize("scale", [SEVEN, None])
@pytest.mark.parametrize(
    ("predicted", "shown"),
    [([0.0, 0.5, 1.0], r"\[0, 1\]"), ([-1.0, 0.2, 0.9], r"\[-1, 1\]"), ([0.3] * 3, r"\[0, 1\]")],
)
def test_predictions_on_model_scale_raise(scale, predicted, shown):
    with pytest.raises(ValueError, match=rf"all 3 values are in {shown} .*Scale\.restore"):
        check(table([1.0, 4.0, 7.0], predicted), scale=scale)


def test_single_dimension_on_other_scale_raises():
    built = good()
    built["dominance_predicted"] = [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(ValueError, match="dominance_predicted must be on the label scale"):
        check(built)


def test_scale_is_checked_without_truth():
    with pytest.raises(ValueError, match=r"1 to 7\); all 2 values"):
        check(table([np.nan, np.nan], [0.1, 0.2]))


def test_corpus_scale_of_minus_one_to_one_is_accepted():
    assert check(table([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]), scale=Scale(-1, 1)) == []
    assert check(table([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]), scale=None) == []


def test_constant_prediction_warns():
    built = good()
    built["valence_predicted"] = 4.0
    assert check(built) == ["test1.csv: all values of valence_predicted are 4; the CCC is 0."]


def test_constant_at_scale_minimum_warns_only():
    built = good()
    built["valence_predicted"] = 1.0
    assert check(built) == ["test1.csv: all values of valence_predicted are 1; the CCC is 0."]


def test_constant_truth_warns():
    built = good()
    built["arousal"] = [3.0, 3.0, np.nan, 3.0]
    (warning,) = check(built)
    assert "all true values of arousal are 3" in warning


def test_predictions_mostly_outside_scale_warn():
    built = good()
    built["valence_predicted"] = [50.0, 60.0, 70.0, 4.0]
    (warning,) = check(built)
    assert (
        "3 of 4 values of valence_predicted are outside the label scale of 1 to 7 (from 4 to 70)"
        in warning
    )
    built["valence_predicted"] = [50.0, 60.0, 7.0, 4.0]  # half is not more than half
    assert check(built) == []


def test_own_predictions_skip_scale_check():
    poor = table([1.0, 4.0, 7.0, 2.0], [0.1, 0.2, 0.3, 0.1])
    with pytest.raises(ValueError, match="must be on the label scale"):
        check(poor)
    assert check_predictions(poor, source="test1.csv", scale=SEVEN, own=True) == []
    poor[PREDICTED[0]] = 0.1
    warnings = check_predictions(poor, source="test1.csv", scale=SEVEN, own=True)
    assert warnings == ["test1.csv: all values of valence_predicted are 0.1; the CCC is 0."]
