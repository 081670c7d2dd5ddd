"""Tests of moments: metrics from sums over units match metrics from rows."""

import audmetric
import numpy as np
import pytest

from emosphere_sb import metrics
from emosphere_sb.report.stats.moments import GAP, ccc_and_gradient, secondary_metrics, unit_moments


def pairs(count=40, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(4, 1, count)
    return truth, 0.5 * truth + rng.normal(0, 0.7, count) + offset


def test_sums_match_manual_calculation():
    truth, prediction = np.array([1.0, 3.0, 5.0]), np.array([2.0, 2.0, 8.0])
    found = unit_moments(truth, prediction, np.array([1, 0, 1]), 3)
    # Centred: x = -2, 0, 2 and y = -2, -2, 4; gaps 1, 1, 3.
    assert found.sums.tolist() == [
        [1, 0, -2, 0, 4, 0, 1],
        [2, 0, 2, 8, 20, 12, 4],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert found.offset == 1.0
    assert found.variances == pytest.approx((8 / 3, 8.0))
    assert (found.units, found.varies) == (2, True)


def test_pairs_with_missing_value_are_ignored():
    truth, prediction = np.array([1.0, np.nan, 3.0, 4.0]), np.array([2.0, 1.0, np.nan, 6.0])
    found = unit_moments(truth, prediction, np.arange(4), 4)
    kept = unit_moments(truth[[0, 3]], prediction[[0, 3]], np.array([0, 3]), 4)
    assert found.sums.tolist() == kept.sums.tolist()
    assert found.units == 2


def test_no_pairs_give_zero_sums_and_undefined_metrics():
    found = unit_moments(np.full(3, np.nan), np.ones(3), np.arange(3), 3)
    assert not found.sums.any()
    assert not found.varies
    totals = np.ones((1, 3)) @ found.sums
    assert np.isnan(ccc_and_gradient(totals, found)[0]).all()
    assert all(np.isnan(values).all() for values in secondary_metrics(totals, found).values())


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e6])
def test_metrics_of_resample_match_its_rows(offset):
    truth, prediction = pairs(offset=offset)
    codes = np.arange(40) % 7
    column = unit_moments(truth, prediction, codes, 7)
    counts = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 3, 1, 0, 2, 1, 0], [7, 0, 0, 0, 0, 0, 0]])
    totals = counts @ column.sums
    value, others = ccc_and_gradient(totals, column)[0], secondary_metrics(totals, column)
    for row, drawn in enumerate(counts):
        rows = np.repeat(np.arange(40), drawn[codes])
        x, y = truth[rows], prediction[rows]
        assert value[row] == pytest.approx(metrics.ccc(x, y), rel=1e-9)
        assert value[row] == pytest.approx(audmetric.concordance_cc(x, y), rel=1e-9)
        for name, figure in others.items():
            assert figure[row] == pytest.approx(getattr(metrics, name)(x, y), rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_gradient_matches_finite_differences(offset):
    column = unit_moments(*pairs(offset=offset), np.arange(40) % 5, 5)
    totals = np.array([[0, 2, 1, 1, 3.0]]) @ column.sums
    gradient = ccc_and_gradient(totals, column)[1][0]
    for k in range(GAP):
        step = np.zeros((1, 7))
        step[0, k] = 1e-4
        ends = [ccc_and_gradient(totals + sign * step, column)[0][0] for sign in (1, -1)]
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5, abs=1e-9)


def test_gradient_is_orthogonal_to_totals():
    column = unit_moments(*pairs(offset=1.0), np.arange(40) % 5, 5)
    totals = np.ones((1, 5)) @ column.sums
    gradient = ccc_and_gradient(totals, column)[1]
    assert (gradient * totals[:, :GAP]).sum() == pytest.approx(0, abs=1e-12)


def test_constant_truth_is_not_affected_by_rounding():
    truth = np.full(30, 0.1)
    column = unit_moments(truth, pairs(30)[1], np.arange(30), 30)
    assert column.variances[0] == 0.0
    assert not column.varies
    totals = np.ones((1, 30)) @ column.sums
    assert ccc_and_gradient(totals, column)[0][0] == 0.0
    assert np.isnan(secondary_metrics(totals, column)["pearson"][0])


def test_resample_without_variance_has_no_pearson():
    # Unit 0 holds one utterance drawn three times: its variance is rounding, not variation.
    column = unit_moments(*pairs(4), np.arange(4), 4)
    metrics = secondary_metrics(np.array([[3.0, 0, 0, 0]]) @ column.sums, column)
    assert np.isnan(metrics["pearson"][0])
    assert np.isnan(metrics["scale_ratio"][0])
