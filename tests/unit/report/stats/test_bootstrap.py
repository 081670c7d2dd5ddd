"""Tests of the bootstrap and its standard errors against loops over rows."""

import numpy as np
import pytest

from emosphere_sb.report.stats import bootstrap
from emosphere_sb.report.stats.bootstrap import (
    bootstrap_statistics,
    check_bootstrap_settings,
    critical_distance,
    observed_statistic,
    studentised_distances,
)
from emosphere_sb.report.stats.moments import unit_moments

CODES = np.repeat(np.arange(8), [1, 5, 2, 2, 9, 3, 4, 4])
UNITS = 8


def columns(count=1, seed=0):
    """Truth and some predictions of one dimension."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(4, 1, CODES.size) + rng.normal(0, 1, UNITS)[CODES]
    return truth, [0.6 * truth + rng.normal(1, 0.8, CODES.size) for _ in range(count)]


def weighted_ccc(truth, prediction, weights):
    """Lin's formula with a weight for each utterance: one minus the part that is off the line."""
    centres = [np.average(values, weights=weights) for values in (truth, prediction)]
    x, y = truth - centres[0], prediction - centres[1]
    off_line = np.average((truth - prediction) ** 2, weights=weights)
    independent = np.average(x**2 + y**2, weights=weights) + (centres[0] - centres[1]) ** 2
    return 1 - off_line / independent


def slope(statistic, weights):
    """Influence of each unit: how the statistic moves with the unit's weight."""
    steps = 1e-6 * np.eye(UNITS)
    ends = [[statistic(weights + sign * step) for sign in (1, -1)] for step in steps]
    return np.array([(up - down) / 2e-6 for up, down in ends])


def plain_error(statistic, weights):
    return np.sqrt(UNITS / (UNITS - 1) * (weights * slope(statistic, weights) ** 2).sum())


def terms_of(truth, predictions, weights):
    return [
        (w, unit_moments(truth, p, CODES, UNITS)) for w, p in zip(weights, predictions, strict=True)
    ]


def test_standard_error_matches_influences():
    truth, (prediction,) = columns()
    found = observed_statistic([terms_of(truth, [prediction], [1.0])], UNITS)

    def statistic(w):
        return weighted_ccc(truth, prediction, w[CODES])

    assert found.value[0, 0] == pytest.approx(statistic(np.ones(UNITS)))
    assert found.error[0, 0] == pytest.approx(plain_error(statistic, np.ones(UNITS)), rel=1e-6)
    assert found.value[0, 1] == found.value[0, 0]  # the mean of one dimension
    assert found.error[0, 1] == pytest.approx(found.error[0, 0])


def test_resamples_match_loop_over_rows():
    one, two = columns(3, seed=1), columns(3, seed=2)
    weights = [0.5, 0.5, -1.0]
    found = bootstrap_statistics(
        [terms_of(*one, weights), terms_of(*two, weights)], UNITS, resamples=5, seed=3
    )
    drawn = np.random.default_rng(3).integers(UNITS, size=(5, UNITS))
    for row, units in enumerate(drawn):
        counts = np.bincount(units, minlength=UNITS).astype(float)

        def difference(w, truth, predictions):
            first, second, third = (weighted_ccc(truth, p, w[CODES]) for p in predictions)
            return (first + second) / 2 - third

        def mean(w):
            return (difference(w, *one) + difference(w, *two)) / 2

        each = [lambda w, data=data: difference(w, *data) for data in (one, two)]
        for d, statistic in enumerate([*each, mean]):
            assert found.value[row, d] == pytest.approx(statistic(counts))
            assert found.error[row, d] == pytest.approx(plain_error(statistic, counts), rel=1e-5)


def test_result_depends_on_seed_not_on_batch_size(monkeypatch):
    truth, predictions = columns()
    terms = [terms_of(truth, predictions, [1.0])]
    whole = bootstrap_statistics(terms, UNITS, resamples=50, seed=7, secondary=True)
    monkeypatch.setattr(bootstrap, "MAX_CELLS", 3 * UNITS + 1)
    parts = bootstrap_statistics(terms, UNITS, resamples=50, seed=7, secondary=True)
    for name in ("value", "error", "secondary"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)
    other = bootstrap_statistics(terms, UNITS, resamples=50, seed=8)
    assert not np.allclose(other.value, whole.value)


def test_units_are_drawn_uniformly():
    counts = bootstrap._draw(np.random.default_rng(0), 4000, 10)
    assert (counts.sum(axis=1) == 10).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.07)  # 4.5 standard errors
    assert counts.var() == pytest.approx(0.9, abs=0.05)  # binomial: 10 draws of 1 in 10


def test_dimension_without_truth_is_excluded_from_mean():
    truth, predictions = columns()
    empty = terms_of(np.full(CODES.size, np.nan), predictions, [1.0])
    found = bootstrap_statistics(
        [terms_of(truth, predictions, [1.0]), empty], UNITS, resamples=5, seed=0, secondary=True
    )
    assert np.isnan(found.value[:, 1]).all()
    assert np.isnan(found.secondary[:, 1]).all()
    np.testing.assert_allclose(found.value[:, 2], found.value[:, 0])
    np.testing.assert_allclose(found.error[:, 2], found.error[:, 0])


def test_distances_match_manual_calculation():
    value, error = np.array([0.5, 0.25, np.nan, 0.75]), np.array([0.1, 0.125, 0.1, 0.0])
    assert studentised_distances(value, error, 0.5, fisher=False).tolist() == [
        0.0,
        2.0,
        np.inf,
        np.inf,
    ]
    # Fisher's z of 0.6 is ln 2, of 0 it is 0; dz = dr / (1 - r^2).
    found = studentised_distances(np.array([0.6]), np.array([0.32]), 0.0, fisher=True)
    assert found[0] == pytest.approx(2 * np.log(2))


def test_resample_equal_to_table_has_zero_distance():
    assert studentised_distances(np.array([1.0]), np.array([0.0]), 1.0, fisher=True).tolist() == [
        0.0
    ]


@pytest.mark.parametrize(("level", "rank"), [(0.95, 19), (0.9, 18), (0.5, 10)])
def test_critical_distance_is_order_statistic(level, rank):
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    assert critical_distance(shuffled, level) == rank


def test_invalid_bootstrap_settings_raise():
    check_bootstrap_settings(19, 0.95)
    check_bootstrap_settings(99, 0.99)
    with pytest.raises(ValueError, match="requires at least 19 resamples; found 18"):
        check_bootstrap_settings(18, 0.95)
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            check_bootstrap_settings(1000, level)
