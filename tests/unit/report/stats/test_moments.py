"""Figures from sums over units, against the figures from the rows themselves."""

import audmetric
import numpy as np
import pytest

from emosphere_sb import metrics
from emosphere_sb.report.stats.moments import GAP, concordance, moments, other_figures


def pairs(count=40, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(4, 1, count)
    return truth, 0.5 * truth + rng.normal(0, 0.7, count) + offset


def test_sums_by_hand():
    truth, prediction = np.array([1.0, 3.0, 5.0]), np.array([2.0, 2.0, 8.0])
    found = moments(truth, prediction, np.array([1, 0, 1]), 3)
    # Centred: x = -2, 0, 2 and y = -2, -2, 4; gaps 1, 1, 3.
    assert found.sums.tolist() == [
        [1, 0, -2, 0, 4, 0, 1],
        [2, 0, 2, 8, 20, 12, 4],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert found.offset == 1.0
    assert found.variances == pytest.approx((8 / 3, 8.0))
    assert (found.units, found.varies) == (2, True)


def test_pairs_with_a_missing_value_are_left_out():
    truth, prediction = np.array([1.0, np.nan, 3.0, 4.0]), np.array([2.0, 1.0, np.nan, 6.0])
    found = moments(truth, prediction, np.arange(4), 4)
    kept = moments(truth[[0, 3]], prediction[[0, 3]], np.array([0, 3]), 4)
    assert found.sums.tolist() == kept.sums.tolist()
    assert found.units == 2


def test_nothing_known_is_all_zero_and_its_figures_undefined():
    found = moments(np.full(3, np.nan), np.ones(3), np.arange(3), 3)
    assert not found.sums.any()
    assert not found.varies
    totals = np.ones((1, 3)) @ found.sums
    assert np.isnan(concordance(totals, found)[0]).all()
    assert all(np.isnan(values).all() for values in other_figures(totals, found).values())


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e6])
def test_figures_of_a_resample_are_those_of_its_rows(offset):
    truth, prediction = pairs(offset=offset)
    codes = np.arange(40) % 7
    column = moments(truth, prediction, codes, 7)
    counts = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 3, 1, 0, 2, 1, 0], [7, 0, 0, 0, 0, 0, 0]])
    totals = counts @ column.sums
    value, others = concordance(totals, column)[0], other_figures(totals, column)
    for row, drawn in enumerate(counts):
        rows = np.repeat(np.arange(40), drawn[codes])
        x, y = truth[rows], prediction[rows]
        assert value[row] == pytest.approx(metrics.ccc(x, y), rel=1e-9)
        assert value[row] == pytest.approx(audmetric.concordance_cc(x, y), rel=1e-9)
        for name, figure in others.items():
            assert figure[row] == pytest.approx(getattr(metrics, name)(x, y), rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_the_gradient_is_the_slope_of_the_value(offset):
    column = moments(*pairs(offset=offset), np.arange(40) % 5, 5)
    totals = np.array([[0, 2, 1, 1, 3.0]]) @ column.sums
    gradient = concordance(totals, column)[1][0]
    for k in range(GAP):
        step = np.zeros((1, 7))
        step[0, k] = 1e-4
        ends = [concordance(totals + sign * step, column)[0][0] for sign in (1, -1)]
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5, abs=1e-9)


def test_the_gradient_times_the_totals_is_nothing():
    column = moments(*pairs(offset=1.0), np.arange(40) % 5, 5)
    totals = np.ones((1, 5)) @ column.sums
    gradient = concordance(totals, column)[1]
    assert (gradient * totals[:, :GAP]).sum() == pytest.approx(0, abs=1e-12)


def test_a_constant_truth_is_told_from_rounding():
    truth = np.full(30, 0.1)
    column = moments(truth, pairs(30)[1], np.arange(30), 30)
    assert column.variances[0] == 0.0
    assert not column.varies
    totals = np.ones((1, 30)) @ column.sums
    assert concordance(totals, column)[0][0] == 0.0
    assert np.isnan(other_figures(totals, column)["pearson"][0])


def test_a_resample_without_variation_has_no_pearson():
    # Unit 0 holds one utterance drawn three times: its variance is rounding, not variation.
    column = moments(*pairs(4), np.arange(4), 4)
    figures = other_figures(np.array([[3.0, 0, 0, 0]]) @ column.sums, column)
    assert np.isnan(figures["pearson"][0])
    assert np.isnan(figures["scale_ratio"][0])
