"""Tests of calibration and corrections against closed forms, a search, and scipy."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression, minimize

from emosphere_sb.metrics import ccc, pearson
from emosphere_sb.report.stats.calibration import (
    KINDS,
    Correction,
    calibration_metrics,
    isotonic_fit,
)
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions


def table_of(truth, predicted, **columns):
    """Table with equal values in all dimensions."""
    table = pd.DataFrame({"ID": [f"u{n}" for n in range(len(truth))]})
    for name in DIMENSIONS:
        table[name] = np.array(truth, dtype=float)
        table[f"{name}_predicted"] = np.array(predicted, dtype=float)
    return table.assign(**columns)


@pytest.fixture
def noisy():
    """Shrunken, shifted and noisy predictions, with one truth unknown."""
    chance = np.random.default_rng(5)
    truth = chance.normal(4, 1, 400)
    predicted = 5 + 0.3 * (truth - 4) + chance.normal(0, 0.3, 400)
    truth[7] = math.nan
    return table_of(truth, predicted)


def columns(table):
    known = table["valence"].notna()
    return table["valence"][known].to_numpy(), table["valence_predicted"][known].to_numpy()


def test_slopes_match_manual_calculation():
    """x = 1 2 3 4, y = 2 2 3 3: cov 1/2, variances 5/4 and 1/4."""
    found = calibration_metrics(table_of([1, 2, 3, 4, math.nan], [2, 2, 3, 3, 9]))["dominance"]
    assert found["slope_of_prediction"] == pytest.approx(0.4, abs=1e-12)
    assert found["slope_of_truth"] == pytest.approx(2.0, abs=1e-12)
    assert found["scale_ratio"] == pytest.approx(math.sqrt(0.2), abs=1e-12)


def test_undefined_slopes_are_nan():
    found = calibration_metrics(table_of([2, 2, 2], [1, 2, 3]))["valence"]
    assert math.isnan(found["slope_of_prediction"])
    assert math.isnan(found["scale_ratio"])
    assert found["slope_of_truth"] == 0.0


def test_affine_matches_mean_and_sd_and_maximises_ccc(noisy):
    truth, predicted = columns(noisy)
    slope, offset = Correction.fit("affine", noisy).maps["valence"]
    moved = slope * predicted + offset
    assert (moved.mean(), moved.std()) == pytest.approx((truth.mean(), truth.std()), abs=1e-12)
    assert ccc(truth, moved) == pytest.approx(pearson(truth, predicted), abs=1e-12)
    searched = minimize(
        lambda ab: -ccc(truth, ab[0] * predicted + ab[1]), [1.0, 0.0], method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 4000},
    )  # fmt: skip
    assert searched.x == pytest.approx([slope, offset], abs=1e-4)


def test_least_squares_matches_numpy_and_documented_ccc(noisy):
    truth, predicted = columns(noisy)
    slope, offset = Correction.fit("least_squares", noisy).maps["arousal"]
    assert [slope, offset] == pytest.approx(np.polyfit(predicted, truth, 1), abs=1e-9)
    rho = pearson(truth, predicted)
    assert ccc(truth, slope * predicted + offset) == pytest.approx(
        2 * rho**2 / (1 + rho**2), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_matches_scipy(seed):
    chance = np.random.default_rng(seed)
    x = chance.permutation(60).astype(float)
    y = 0.05 * x + chance.normal(size=60)
    places, fitted = isotonic_fit(x, y)
    expected = isotonic_regression(y[np.argsort(x)]).x
    assert places.tolist() == sorted(x)
    assert fitted == pytest.approx(expected, abs=1e-12)


def test_isotonic_averages_tied_predictions():
    """At 1: 1, 5 (mean 3); at 2: 2, 2, 2 (mean 2). Out of order: (6 + 6) / 5 = 2.4."""
    x = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 3.0])
    places, fitted = isotonic_fit(x, np.array([1.0, 5.0, 2.0, 2.0, 2.0, 7.0]))
    expected = isotonic_regression([3.0, 2.0, 7.0], weights=[2, 3, 1]).x
    assert places.tolist() == [1.0, 2.0, 3.0]
    assert fitted == pytest.approx([2.4, 2.4, 7.0])
    assert fitted == pytest.approx(expected)


def test_redundant_knots_can_be_removed(noisy):
    truth, predicted = columns(noisy)
    correction = Correction.fit("isotonic", noisy)
    places, fitted = isotonic_fit(predicted, truth)
    assert len(correction.maps["valence"][0]) < len(places)
    assert correction.values("valence", places) == pytest.approx(fitted, abs=1e-12)


def test_isotonic_is_linear_between_knots_and_constant_outside():
    correction = Correction.fit("isotonic", table_of([1, 2, 5], [1, 2, 3]))
    assert correction.values("valence", np.array([0.0, 1.5, 2.5, 9.0])).tolist() == [
        1.0, 1.5, 3.5, 5.0,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_correction_applies_to_other_sets(kind, noisy):
    correction = Correction.fit(kind, noisy)
    other = table_of([1, 2], [4.5, 5.5])
    before = other.copy()
    corrected = correction.apply(other)
    expected = correction.values("valence", np.array([4.5, 5.5]))
    assert corrected["dominance_predicted"].tolist() == expected.tolist()
    assert corrected[list(DIMENSIONS)].equals(other[list(DIMENSIONS)])
    pd.testing.assert_frame_equal(other, before)
    assert expected[0] < 4.5  # predictions were one too high, and shrunken


def test_nan_prediction_remains_nan(noisy):
    corrected = Correction.fit("isotonic", noisy).apply(table_of([1, 2], [5, math.nan]))
    assert corrected["valence_predicted"].isna().tolist() == [False, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("truth", "predicted"),
    [([1, 2, 3], [3, 2, 1]), ([1, 2, 3], [2, 2, 2]), ([2, 2, 2], [1, 2, 3]), ([1], [1])],
)
def test_uncorrectable_dimension_is_unchanged_with_note(kind, truth, predicted):
    table = table_of([1, 2, 3], [2, 3, 5])
    bad = table_of(truth, predicted)
    table = table.head(len(bad)).assign(arousal=bad["arousal"])
    table["arousal_predicted"] = bad["arousal_predicted"]
    correction = Correction.fit(kind, table)
    assert "arousal" not in correction.maps
    assert any(
        note.startswith(f"arousal is not corrected: on the {len(bad)} labelled")
        for note in correction.notes
    )
    assert correction.apply(table)["arousal_predicted"].tolist() == predicted


def test_regions_are_recomputed_after_correction():
    """Twice the distance from 4, and one lower: 4.4 becomes 3.8, across every border."""
    regions = SphericalRegions(90)
    correction = Correction("affine", dict.fromkeys(DIMENSIONS, (2.0, -5.0)))
    table = table_of([5, 5], [4.4, 6.0], region=["I", "I"], region_point=["I", "I"])
    table = table.assign(region_head="I", p_I=1.0)
    corrected = correction.apply(table, scale=Scale(1, 7), regions=regions)
    assert corrected["region_point"].tolist() == [regions.names[6], "I"]
    assert corrected["region_head"].tolist() == ["I", "I"]


def test_region_columns_are_dropped_without_scale():
    table = table_of([5], [6], region="I", region_point="I", region_head="I", p_I=1.0)
    corrected = Correction("affine", {}).apply(table)
    assert list(corrected.columns) == [name for name in table if not name.startswith("region")]


def test_unknown_kind_raises_with_choices(noisy):
    with pytest.raises(ValueError, match="one of affine, least_squares, isotonic; found 'cubic'"):
        Correction.fit("cubic", noisy)


def test_correction_is_json_serialisable():
    table = table_of([1, 3], [1.5, 2.5])
    table["arousal"] = math.nan
    facts = Correction.fit("affine", table).to_dict()
    assert facts["kind"] == "affine"
    assert facts["valence"] == {"slope": 2.0, "offset": -2.0}
    assert "arousal" not in facts
    assert len(facts["notes"]) == 1
    assert Correction.fit("isotonic", table).to_dict()["valence"] == {
        "x": [1.5, 2.5], "y": [1.0, 3.0],
    }  # fmt: skip


def test_slope_below_one_is_not_shrinkage():
    """Predictions wider than the truth have a slope below 1 if the correlation is low."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    noise = rng.normal(size=4000)
    prediction = 1.092 * (0.5925 * truth + np.sqrt(1 - 0.5925**2) * noise)
    table = pd.DataFrame(dict.fromkeys(DIMENSIONS, truth))
    table[list(PREDICTED)] = np.stack([prediction] * 3, axis=1)
    found = calibration_metrics(table)["valence"]
    pearson = np.corrcoef(truth, prediction)[0, 1]
    assert found["slope_of_prediction"] == pytest.approx(pearson * found["scale_ratio"])
    assert found["slope_of_prediction"] < 0.7 and found["scale_ratio"] > 1.05
