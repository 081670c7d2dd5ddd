"""Regression metrics against independent formulas and two other libraries."""

import math

import audmetric
import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emosphere_sb.metrics import ccc, mae, pearson, regression_metrics, scale_ratio, shift
from emosphere_sb.scale import DIMENSIONS

PAIRED = (ccc, pearson, scale_ratio, shift, mae)
NAN = math.nan


def sample(seed, size=60):
    generator = np.random.default_rng(seed)
    truth = generator.normal(4, 1, size)
    return truth, 0.6 * truth + generator.normal(1.2, 0.5, size)


def test_ccc_by_hand():
    # variances 2/3, covariance 2/3, shift 1: (4/3) / (4/3 + 1)
    assert ccc([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_ccc_matches_audmetric(seed):
    truth, prediction = sample(seed)
    assert ccc(truth, prediction) == pytest.approx(
        audmetric.concordance_cc(truth, prediction), abs=1e-9
    )


def lin(truth, prediction, divisor):
    """Compute the CCC with another divisor than n for variances and covariance."""
    covariance = ((truth - truth.mean()) * (prediction - prediction.mean())).sum() / divisor
    squares = ((truth - truth.mean()) ** 2 + (prediction - prediction.mean()) ** 2).sum()
    return 2 * covariance / (squares / divisor + (truth.mean() - prediction.mean()) ** 2)


@pytest.mark.parametrize("size", [3, 10, 60])
def test_ccc_matches_torchmetrics_except_for_the_divisor(size):
    truth, prediction = sample(0, size)
    reference = torchmetrics.ConcordanceCorrCoef().double()
    reference = reference(torch.from_numpy(prediction), torch.from_numpy(truth)).item()
    assert reference == pytest.approx(lin(truth, prediction, size - 1), abs=1e-6)
    assert ccc(truth, prediction) == pytest.approx(lin(truth, prediction, size), abs=1e-12)
    assert abs(reference - ccc(truth, prediction)) > 1e-5


finite = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=30))
def test_ccc_follows_from_pearson_scale_and_shift(pairs):
    truth, prediction = zip(*pairs, strict=True)
    assume(len(set(truth)) > 1 and len(set(prediction)) > 1)
    rho, v, u = (part(truth, prediction) for part in (pearson, scale_ratio, shift))
    assert ccc(truth, prediction) == pytest.approx(rho * 2 / (v + 1 / v + u**2), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_pearson_matches_numpy(seed):
    truth, prediction = sample(seed)
    assert pearson(truth, prediction) == pytest.approx(np.corrcoef(truth, prediction)[0, 1])


def test_scale_ratio_is_prediction_over_truth():
    assert scale_ratio([0, 1, 2], [5, 8, 11]) == pytest.approx(3.0)


def test_shift_by_hand():
    # SDs 1 and 4, means 2 and 5: (5 - 2) / sqrt(4)
    assert shift([1, 3], [1, 9]) == pytest.approx(1.5)


def test_shift_is_negative_for_low_predictions():
    assert shift([2, 4], [1, 3]) == pytest.approx(-1.0)


def test_mae_by_hand():
    assert mae([1, 2, 3], [2, 2, 1]) == 1.0


@pytest.mark.parametrize("metric", PAIRED)
def test_pairs_with_nan_are_ignored(metric):
    truth, prediction = sample(1)
    expected = metric(truth[2:], prediction[2:])
    truth[0], prediction[1] = NAN, NAN
    assert metric(truth, prediction) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("metric", PAIRED)
@pytest.mark.parametrize("values", [([], []), ([NAN, 1.0], [1.0, NAN])])
def test_metrics_without_pairs_are_nan(metric, values):
    assert math.isnan(metric(*values))


@pytest.mark.parametrize("metric", PAIRED[:-1])
def test_only_mae_is_defined_for_one_pair(metric):
    assert math.isnan(metric([1.0], [1.0])) and mae([1.0], [1.5]) == 0.5


@pytest.mark.parametrize("metric", PAIRED[:-1])
def test_constant_and_equal_is_nan(metric):
    # the mean of seven 0.1 is not 0.1 in floating point
    assert math.isnan(metric([0.1] * 7, [0.1] * 7))


@pytest.mark.parametrize("metric", [pearson, shift])
def test_constant_prediction_has_no_correlation_and_no_shift(metric):
    assert math.isnan(metric([1.0, 2.0, 4.0], [0.1] * 3))


def test_constant_prediction_has_zero_ccc_and_zero_scale():
    assert (ccc([1, 2, 3], [2, 2, 2]), scale_ratio([1, 2, 3], [2, 2, 2])) == (0.0, 0.0)


@pytest.mark.parametrize("metric", PAIRED)
@pytest.mark.parametrize("prediction", [[1.0], [[1.0, 2.0]]])
def test_unequal_lengths_raise(metric, prediction):
    with pytest.raises(ValueError, match="of equal length; found shapes \\(2,\\)"):
        metric([1.0, 2.0], prediction)


def table():
    truth, prediction = (
        np.stack(columns, axis=1) for columns in zip(*map(sample, range(3)), strict=True)
    )
    return truth, prediction


def test_regression_metrics_has_each_metric_by_dimension():
    truth, prediction = table()
    found = regression_metrics(truth, prediction)
    assert list(found) == [*DIMENSIONS, "mean_ccc"]
    for column, name in enumerate(DIMENSIONS):
        expected = {m.__name__: m(truth[:, column], prediction[:, column]) for m in PAIRED}
        assert found[name] == expected | {"n": 60}


def test_mean_ccc_is_the_mean_of_the_three():
    found = regression_metrics(*table())
    assert found["mean_ccc"] == pytest.approx(sum(found[name]["ccc"] for name in DIMENSIONS) / 3)


def test_n_counts_pairs_without_nan():
    truth, prediction = table()
    truth[:5, 1], prediction[4:7, 1] = NAN, NAN
    found = regression_metrics(truth, prediction)
    assert [found[name]["n"] for name in DIMENSIONS] == [60, 53, 60]


def test_mean_ccc_ignores_an_undefined_dimension():
    truth, prediction = table()
    truth[:, 2] = NAN
    found = regression_metrics(truth, prediction)
    assert math.isnan(found["dominance"]["ccc"])
    expected = (found["valence"]["ccc"] + found["arousal"]["ccc"]) / 2
    assert found["mean_ccc"] == pytest.approx(expected)


def test_mean_ccc_without_labels_is_nan():
    assert math.isnan(regression_metrics(np.full((4, 3), NAN), np.ones((4, 3)))["mean_ccc"])


@pytest.mark.parametrize("shape", [(4,), (4, 2), (5, 3)])
def test_regression_metrics_needs_three_dimensions(shape):
    with pytest.raises(ValueError, match="shape \\(utterances, 3\\)"):
        regression_metrics(np.ones(shape), np.ones((4, 3)))
