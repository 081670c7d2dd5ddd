"""Tests of the paired test against known cases and an independent loop, and of Holm's method."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from emosphere_sb import metrics
from emosphere_sb.report.stats.comparison import compare_systems, holm_correction
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS

NAMES = (*DIMENSIONS, "mean_ccc")


def tables(noise, seed, count=1, speakers=12):
    """Predictions of one system over seeds; the truth does not depend on them."""
    rng, errors = np.random.default_rng(0), np.random.default_rng(seed)
    size = 10 * speakers
    codes = np.arange(size) % speakers
    truth = pd.DataFrame(
        {"ID": [f"u{i}" for i in range(size)], "speaker": [f"s{c:03d}" for c in codes]}
    )
    for name in DIMENSIONS:
        truth[name] = 4 + rng.normal(0, 1, size) + rng.normal(0, 0.7, speakers)[codes]
    made = []
    for _ in range(count):
        one = truth.copy()
        for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
            effect = errors.normal(0, noise, speakers)[codes]
            one[column] = 1 + 0.7 * one[name] + errors.normal(0, noise, size) + effect
        made.append(one)
    return made


def ccc(table, name):
    return metrics.ccc(table[name], table[f"{name}_predicted"])


def test_identical_predictions_have_zero_difference():
    (one,) = tables(0.5, 1)
    found = compare_systems([one], [one[::-1]], resamples=499)
    for name in NAMES:
        assert found[name] == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    assert found["undefined"] == 0


def test_difference_is_between_means_over_seeds():
    ours, reference = tables(0.5, 1, count=3), tables(0.7, 2, count=2)
    found = compare_systems(ours, reference, resamples=499)
    differences = [
        np.mean([ccc(t, name) for t in ours]) - np.mean([ccc(t, name) for t in reference])
        for name in DIMENSIONS
    ]
    for name, difference in zip(DIMENSIONS, differences, strict=True):
        assert found[name]["difference"] == pytest.approx(difference)
    assert found["mean_ccc"]["difference"] == pytest.approx(np.mean(differences))
    assert found["seeds"] == [3, 2]
    assert (found["unit"], found["units"], found["note"]) == ("speakers", 12, None)
    assert json.loads(json.dumps(found)) == found


def test_interval_and_p_match_jackknife_loop():
    # Independent of the sums: rows repeated, CCC by metrics, influence by a small weight.
    (one,), (two,) = tables(0.5, 1), tables(0.6, 2)
    speakers = np.arange(120) % 12

    def difference(weights):
        found = []
        for table in (one, two):
            x, y = table["valence"].to_numpy(), table["valence_predicted"].to_numpy()
            w = weights[speakers] / weights[speakers].sum()
            off_line = (w * (x - y) ** 2).sum()
            spread = sum((w * v**2).sum() for v in (x, y)) - 2 * (w * x).sum() * (w * y).sum()
            found.append(1 - off_line / spread)
        return found[0] - found[1]

    def error(weights):
        steps = 1e-6 * np.eye(12)
        slopes = [(difference(weights + s) - difference(weights - s)) / 2e-6 for s in steps]
        return np.sqrt(12 / 11 * (weights * np.square(slopes)).sum())

    observed, own_error = difference(np.ones(12)), error(np.ones(12))
    drawn = np.random.default_rng(5).integers(12, size=(99, 12))
    counts = [np.bincount(units, minlength=12).astype(float) for units in drawn]
    t = np.sort([abs(difference(c) - observed) / error(c) for c in counts])
    found = compare_systems([one], [two], resamples=99, seed=5)["valence"]
    assert found["difference"] == pytest.approx(observed)
    assert found["low"] == pytest.approx(observed - t[94] * own_error, rel=1e-4)
    assert found["high"] == pytest.approx(observed + t[94] * own_error, rel=1e-4)
    assert found["p"] == pytest.approx((1 + (t >= observed / own_error).sum()) / 100)


def test_test_is_symmetric():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    one, other = compare_systems(ours, reference), compare_systems(reference, ours)
    for name in NAMES:
        assert one[name]["p"] == other[name]["p"]
        assert one[name]["difference"] == pytest.approx(-other[name]["difference"])
        assert one[name]["low"] == pytest.approx(-other[name]["high"])


def test_duplicated_seed_does_not_change_result():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    one, twice = (
        compare_systems(ours, reference, resamples=499),
        compare_systems(ours * 2, reference, resamples=499),
    )
    for name in NAMES:
        assert twice[name] == pytest.approx(one[name])


def test_p_is_small_but_never_zero_for_different_systems():
    found = compare_systems(tables(0.1, 1, speakers=60), tables(3.0, 2, speakers=60), resamples=199)
    for name in NAMES:
        assert found[name]["p"] == 1 / 200
        assert 0 < found[name]["low"] < found[name]["difference"] < found[name]["high"]


@pytest.mark.parametrize("noise", [0.5, 0.56, 0.6, 0.65])
def test_interval_excludes_zero_iff_p_is_at_most_0_05(noise):
    found = compare_systems(tables(0.5, 1), tables(noise, 2), resamples=999)
    outcomes = [found[name] for name in NAMES]
    assert [o["low"] > 0 or o["high"] < 0 for o in outcomes] == [o["p"] <= 0.05 for o in outcomes]


def test_paired_test_is_more_powerful_than_two_intervals():
    # The reference makes the same errors and a small one of its own.
    ours = tables(0.5, 1)
    reference = [ours[0].copy()]
    errors = np.random.default_rng(9).normal(0, 0.2, (120, 3))
    reference[0][list(PREDICTED)] += errors
    paired = compare_systems(ours, reference, resamples=999)["mean_ccc"]
    alone = confidence_intervals(ours, resamples=999)["mean_ccc"]
    assert paired["high"] - paired["low"] < 0.3 * (alone[1] - alone[0])


def test_dimension_without_truth_has_no_test():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    for table in (*ours, *reference):
        table["arousal"] = np.nan
    found = compare_systems(ours, reference, resamples=499)
    assert set(found["arousal"].values()) == {None}
    rest = [found[name]["difference"] for name in ("valence", "dominance")]
    assert found["mean_ccc"]["difference"] == pytest.approx(np.mean(rest))


def test_constant_difference_has_smallest_p():
    ours, reference = tables(0.5, 1), tables(0.5, 1)
    ours[0]["valence_predicted"] = ours[0]["valence"]
    reference[0]["valence_predicted"] = 4.0
    found = compare_systems(ours, reference, resamples=499)["valence"]
    assert found == pytest.approx({"difference": 1, "low": 1, "high": 1, "p": 1 / 500})


def test_single_utterance_has_no_test():
    one = tables(0.5, 1)[0][:1]
    found = compare_systems([one], [one], resamples=499)
    assert found["units"] == 1
    assert all(set(found[name].values()) == {None} for name in NAMES)


def test_different_utterances_raise():
    with pytest.raises(ValueError, match="same utterances"):
        compare_systems(tables(0.5, 1), [tables(0.6, 2)[0][:50]], resamples=499)


def test_missing_predictions_raise_with_ids():
    reference = tables(0.6, 2)
    reference[0].loc[7, "dominance_predicted"] = np.nan
    with pytest.raises(ValueError, match=r"table 2 has NaN for 1 of 120 \(u7\)"):
        compare_systems(tables(0.5, 1), reference, resamples=499)


def test_system_without_tables_raises():
    with pytest.raises(ValueError, match="reference must contain at least one"):
        compare_systems(tables(0.5, 1), [], resamples=499)


def test_holm_matches_manual_calculation():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; the last is raised to the one before.
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_ignores_none():
    assert holm_correction([None, 0.01, None, 0.5]) == [None, 0.02, None, 0.5]
    assert holm_correction([None]) == [None]
    assert holm_correction([]) == []


def test_holm_matches_closed_bonferroni_test():
    # Marcus, Peritz & Gabriel (1976): the largest p of all intersections that hold the test.
    ps = np.random.default_rng(0).uniform(0, 0.4, 6)
    closed = [
        max(
            min(1.0, len(chosen) * min(ps[list(chosen)]))
            for size in range(1, 7)
            for chosen in itertools.combinations(range(6), size)
            if i in chosen
        )
        for i in range(6)
    ]
    assert holm_correction(list(ps)) == pytest.approx(closed)


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_holm_rejects_invalid_p_values(wrong):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        holm_correction([0.1, wrong])
