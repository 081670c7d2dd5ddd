"""What is refused before figures are made of it, and what is only odd."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

SEVEN = Scale(1, 7)


def table(truth, predicted):
    """The same values in every dimension."""
    built = pd.DataFrame({"ID": [f"u{number}" for number in range(len(truth))]})
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        built[name], built[column] = truth, predicted
    return built


def good():
    return table([1.0, 4.0, 7.0, np.nan], [2.0, 3.0, 6.5, 0.5])


def check(built, scale=SEVEN):
    return check_predictions(built, source="test1.csv", scale=scale)


def test_nothing_odd_gives_no_warning():
    assert check(good()) == []
    assert check(good(), scale=None) == []


def test_a_set_without_any_truth_is_accepted():
    assert check(table([np.nan] * 3, [2.0, 3.0, 4.0])) == []


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match=r"test1\.csv must hold at least one utterance"):
        check(good()[:0])


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="must have the columns ID, arousal_predicted; found"):
        check(good().drop(columns=["ID", "arousal_predicted"]))


@pytest.mark.parametrize("empty", ["", "  ", None, np.nan])
def test_an_empty_id_is_refused_with_its_row(empty):
    built = good()
    built["ID"] = ["a", empty, "c", "d"]
    with pytest.raises(ValueError, match=r"1 of 4 have none \(rows 2\)"):
        check(built)


def test_a_double_id_is_refused():
    built = good()
    built["ID"] = ["a", "b", "b", "b"]
    with pytest.raises(ValueError, match=r"1 stand more than once \(b\)"):
        check(built)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_is_refused_with_its_id(wrong):
    built = good()
    built.loc[2, "arousal_predicted"] = wrong
    with pytest.raises(ValueError, match=r"arousal_predicted must be finite; 1 of 4 .* \(u2\)"):
        check(built)


def test_an_infinite_truth_is_refused_with_its_id():
    built = good()
    built.loc[1, "dominance"] = np.inf
    with pytest.raises(ValueError, match=r"true dominance must be finite .* \(u1\)"):
        check(built, scale=None)


def test_a_truth_off_the_scale_is_refused_only_where_the_scale_is_known():
    built = table([0.5, 4.0, 7.0, 8.0], [2.0, 3.0, 6.0, 5.0])
    said = r"true valence must lie on 1 to 7; 2 of 4 are not \(u0, u3\)"
    with pytest.raises(ValueError, match=said):
        check(built)
    assert check(built, scale=None) == []


@pytest.mark.parametrize("scale", [SEVEN, None])
@pytest.mark.parametrize(
    ("predicted", "shown"),
    [([0.0, 0.5, 1.0], r"\[0, 1\]"), ([-1.0, 0.2, 0.9], r"\[-1, 1\]"), ([0.3] * 3, r"\[0, 1\]")],
)
def test_predictions_still_on_the_models_scale_are_refused(scale, predicted, shown):
    with pytest.raises(ValueError, match=rf"all 3 values lie in {shown} .*Scale\.restore"):
        check(table([1.0, 4.0, 7.0], predicted), scale=scale)


def test_one_dimension_on_another_scale_is_enough():
    built = good()
    built["dominance_predicted"] = [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(ValueError, match="dominance_predicted must be on the corpus's scale"):
        check(built)


def test_without_truth_the_scale_still_refuses():
    with pytest.raises(ValueError, match="1 to 7; all 2 values"):
        check(table([np.nan, np.nan], [0.1, 0.2]))


def test_a_corpus_on_minus_one_to_one_keeps_its_predictions():
    assert check(table([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]), scale=Scale(-1, 1)) == []
    assert check(table([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]), scale=None) == []


def test_a_constant_prediction_is_warned_of():
    built = good()
    built["valence_predicted"] = 4.0
    assert check(built) == ["test1.csv: every valence_predicted is 4; its CCC is 0."]


def test_a_constant_at_the_low_end_is_a_constant_and_not_another_scale():
    built = good()
    built["valence_predicted"] = 1.0
    assert check(built) == ["test1.csv: every valence_predicted is 1; its CCC is 0."]


def test_a_constant_truth_is_warned_of():
    built = good()
    built["arousal"] = [3.0, 3.0, np.nan, 3.0]
    (warning,) = check(built)
    assert "every true arousal is 3" in warning


def test_predictions_most_of_which_are_off_the_scale_are_warned_of():
    built = good()
    built["valence_predicted"] = [50.0, 60.0, 70.0, 4.0]
    (warning,) = check(built)
    assert "3 of 4 values of valence_predicted lie off the scale 1 to 7 (from 4 to 70)" in warning
    built["valence_predicted"] = [50.0, 60.0, 7.0, 4.0]  # half is not more than half
    assert check(built) == []


def test_a_run_s_own_values_are_on_the_scale_however_poor_they_are():
    poor = table([1.0, 4.0, 7.0, 2.0], [0.1, 0.2, 0.3, 0.1])
    with pytest.raises(ValueError, match="must be on the corpus's scale"):
        check(poor)
    assert check_predictions(poor, source="test1.csv", scale=SEVEN, own=True) == []
    poor[PREDICTED[0]] = 0.1
    warnings = check_predictions(poor, source="test1.csv", scale=SEVEN, own=True)
    assert warnings == ["test1.csv: every valence_predicted is 0.1; its CCC is 0."]
