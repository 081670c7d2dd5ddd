"""The paired test: known cases, an independent loop, and Holm's correction."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from emosphere_sb import metrics
from emosphere_sb.report.stats.comparison import compare, holm
from emosphere_sb.report.stats.intervals import intervals
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


def test_identical_predictions_do_not_differ():
    (one,) = tables(0.5, 1)
    found = compare([one], [one[::-1]], resamples=499)
    for name in NAMES:
        assert found[name] == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    assert found["undefined"] == 0


def test_the_difference_is_that_of_the_means_over_seeds():
    ours, reference = tables(0.5, 1, count=3), tables(0.7, 2, count=2)
    found = compare(ours, reference, resamples=499)
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


def test_interval_and_p_equal_a_loop_with_jackknifed_errors():
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
    found = compare([one], [two], resamples=99, seed=5)["valence"]
    assert found["difference"] == pytest.approx(observed)
    assert found["low"] == pytest.approx(observed - t[94] * own_error, rel=1e-4)
    assert found["high"] == pytest.approx(observed + t[94] * own_error, rel=1e-4)
    assert found["p"] == pytest.approx((1 + (t >= observed / own_error).sum()) / 100)


def test_the_other_way_round_is_the_same_test():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    one, other = compare(ours, reference), compare(reference, ours)
    for name in NAMES:
        assert one[name]["p"] == other[name]["p"]
        assert one[name]["difference"] == pytest.approx(-other[name]["difference"])
        assert one[name]["low"] == pytest.approx(-other[name]["high"])


def test_a_seed_given_twice_changes_nothing():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    one, twice = (
        compare(ours, reference, resamples=499),
        compare(ours * 2, reference, resamples=499),
    )
    for name in NAMES:
        assert twice[name] == pytest.approx(one[name])


def test_p_is_small_where_systems_differ_and_never_zero():
    found = compare(tables(0.1, 1, speakers=60), tables(3.0, 2, speakers=60), resamples=199)
    for name in NAMES:
        assert found[name]["p"] == 1 / 200
        assert 0 < found[name]["low"] < found[name]["difference"] < found[name]["high"]


@pytest.mark.parametrize("noise", [0.5, 0.56, 0.6, 0.65])
def test_the_interval_leaves_out_zero_where_p_is_at_most_five_per_cent(noise):
    found = compare(tables(0.5, 1), tables(noise, 2), resamples=999)
    outcomes = [found[name] for name in NAMES]
    assert [o["low"] > 0 or o["high"] < 0 for o in outcomes] == [o["p"] <= 0.05 for o in outcomes]


def test_a_paired_test_is_sharper_than_two_intervals():
    # The reference makes the same errors and a small one of its own.
    ours = tables(0.5, 1)
    reference = [ours[0].copy()]
    errors = np.random.default_rng(9).normal(0, 0.2, (120, 3))
    reference[0][list(PREDICTED)] += errors
    paired = compare(ours, reference, resamples=999)["mean_ccc"]
    alone = intervals(ours, resamples=999)["mean_ccc"]
    assert paired["high"] - paired["low"] < 0.3 * (alone[1] - alone[0])


def test_a_dimension_without_truth_is_none():
    ours, reference = tables(0.5, 1), tables(0.6, 2)
    for table in (*ours, *reference):
        table["arousal"] = np.nan
    found = compare(ours, reference, resamples=499)
    assert set(found["arousal"].values()) == {None}
    rest = [found[name]["difference"] for name in ("valence", "dominance")]
    assert found["mean_ccc"]["difference"] == pytest.approx(np.mean(rest))


def test_a_difference_that_no_resample_moves_has_the_smallest_p():
    ours, reference = tables(0.5, 1), tables(0.5, 1)
    ours[0]["valence_predicted"] = ours[0]["valence"]
    reference[0]["valence_predicted"] = 4.0
    found = compare(ours, reference, resamples=499)["valence"]
    assert found == pytest.approx({"difference": 1, "low": 1, "high": 1, "p": 1 / 500})


def test_one_utterance_gives_no_test():
    one = tables(0.5, 1)[0][:1]
    found = compare([one], [one], resamples=499)
    assert found["units"] == 1
    assert all(set(found[name].values()) == {None} for name in NAMES)


def test_other_utterances_are_refused():
    with pytest.raises(ValueError, match="same utterances"):
        compare(tables(0.5, 1), [tables(0.6, 2)[0][:50]], resamples=499)


def test_missing_predictions_are_refused_by_name():
    reference = tables(0.6, 2)
    reference[0].loc[7, "dominance_predicted"] = np.nan
    with pytest.raises(ValueError, match=r"table 2 has NaN for 1 of 120 \(u7\)"):
        compare(tables(0.5, 1), reference, resamples=499)


def test_a_side_without_tables_is_refused():
    with pytest.raises(ValueError, match="reference must hold at least one"):
        compare(tables(0.5, 1), [], resamples=499)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; the last is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested():
    assert holm([None, 0.01, None, 0.5]) == [None, 0.02, None, 0.5]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_is_the_closed_test_of_bonferroni():
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
    assert holm(list(ps)) == pytest.approx(closed)


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_holm_refuses_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        holm([0.1, wrong])
