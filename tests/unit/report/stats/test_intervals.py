"""Tests of confidence intervals against known cases and Lin's asymptotic error."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb import metrics
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS

METRICS = ("ccc", "pearson", "scale_ratio", "shift", "mae")


def table(count=120, speakers=12, seed=0, effect=1.0):
    """Predictions with an effect of the speaker on truth and error."""
    rng = np.random.default_rng(seed)
    codes = np.arange(count) % speakers
    built = pd.DataFrame(
        {"ID": [f"u{i}" for i in range(count)], "speaker": [f"s{c:04d}" for c in codes]}
    )
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        built[name] = 4 + rng.normal(0, 1, count) + effect * rng.normal(0, 1, speakers)[codes]
        error = rng.normal(0, 0.5, count) + effect * rng.normal(0, 0.5, speakers)[codes]
        built[column] = 1 + 0.7 * built[name] + error
    return built


def values(name, built):
    return built[name].to_numpy(), built[f"{name}_predicted"].to_numpy()


def test_intervals_contain_their_metric_and_are_json_serialisable():
    built = table()
    found = confidence_intervals(built, resamples=999)
    assert (found["level"], found["resamples"], found["seed"]) == (0.95, 999, 0)
    assert (found["unit"], found["units"], found["note"]) == ("speakers", 12, None)
    assert found["undefined"] == 0
    for name in DIMENSIONS:
        assert tuple(found[name]) == METRICS
        for figure in METRICS:
            low, high = found[name][figure]
            assert low < getattr(metrics, figure)(*values(name, built)) < high
    low, high = found["mean_ccc"]
    assert low < np.mean([metrics.ccc(*values(name, built)) for name in DIMENSIONS]) < high
    assert json.loads(json.dumps(found)) == found


def test_interval_matches_lin_asymptotics():
    # Lin (1989), with the correction of 2000: the variance of z for a bivariate normal sample.
    n, r, v, u = 8000, 0.6, 1.2, 0.3
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, n))
    built = pd.DataFrame({"ID": range(n), "speaker": ""})
    shift = u * math.sqrt(v)
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        built[name], built[column] = x, v * (r * x + math.sqrt(1 - r * r) * noise) + shift
    c = 2 * r / (v + 1 / v + u * u)
    variance = (1 - r**2) * c**2 / ((1 - c**2) * r**2)
    variance += 2 * c**3 * (1 - c) * u**2 / (r * (1 - c**2) ** 2)
    variance -= c**4 * u**4 / (2 * r**2 * (1 - c**2) ** 2)
    half = 1.96 * math.sqrt(variance / (n - 2))
    found = confidence_intervals(built, resamples=1000)
    assert found["unit"] == "utterances"
    low, high = np.arctanh(found["valence"]["ccc"])
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert (high + low) / 2 == pytest.approx(math.atanh(metrics.ccc(*values("valence", built))))
    # Three equal dimensions: their mean is no more certain than one of them.
    assert found["mean_ccc"] == pytest.approx(found["valence"]["ccc"])


def test_speaker_effects_widen_intervals():
    built = table(count=1200)
    by_speaker = confidence_intervals(built, resamples=999)
    by_utterance = confidence_intervals(built.assign(speaker="Unknown"), resamples=999)
    assert (by_utterance["unit"], by_utterance["units"]) == ("utterances", 1200)
    for name in DIMENSIONS:
        assert np.ptp(by_speaker[name]["ccc"]) > 2 * np.ptp(by_utterance[name]["ccc"])


def test_speakers_with_one_utterance_each_match_utterances():
    built = table(count=60, speakers=60)
    one = confidence_intervals(built, resamples=499)
    other = confidence_intervals(built.assign(speaker=""), resamples=499)
    assert (one.pop("unit"), other.pop("unit")) == ("speakers", "utterances")
    assert one.pop("note") is None
    assert "no speakers are known" in other.pop("note")
    assert one == other


def test_result_depends_on_seed_not_on_row_order():
    built = table()
    shuffled = built.sample(frac=1, random_state=3)
    one, other = (confidence_intervals(t, resamples=499) for t in (built, shuffled))
    for name in DIMENSIONS:
        assert one[name]["ccc"] == pytest.approx(other[name]["ccc"], rel=1e-9)
    assert confidence_intervals(built, resamples=499, seed=1)["mean_ccc"] != one["mean_ccc"]


def test_higher_level_gives_wider_interval():
    widths = [
        np.ptp(confidence_intervals(table(), resamples=999, level=level)["mean_ccc"])
        for level in (0.8, 0.95, 0.99)
    ]
    assert widths == sorted(widths)
    assert widths[0] < 0.8 * widths[2]


def test_seeds_are_averaged_on_same_resample():
    built = table()
    assert confidence_intervals([built, built], resamples=499)["mean_ccc"] == pytest.approx(
        confidence_intervals(built, resamples=499)["mean_ccc"]
    )
    other = table()
    other["valence_predicted"] = 8 - other["valence_predicted"]  # CCC of about the other sign
    low, high = confidence_intervals([built, other[::-1]], resamples=499)["valence"]["ccc"]
    mean = np.mean([metrics.ccc(*values("valence", t)) for t in (built, other)])
    assert low < mean < high
    assert high < metrics.ccc(*values("valence", built))


def test_unknown_dimension_is_excluded_from_mean():
    built = table()
    built["arousal"] = np.nan
    found = confidence_intervals(built, resamples=499)
    assert found["arousal"] == dict.fromkeys(METRICS)
    assert found["valence"]["ccc"] is not None
    low, high = found["mean_ccc"]
    known = [metrics.ccc(*values(name, built)) for name in ("valence", "dominance")]
    assert low < np.mean(known) < high


def test_set_without_truth_has_no_intervals():
    built = table()
    built[list(DIMENSIONS)] = np.nan
    found = confidence_intervals(built, resamples=499)
    assert (found["units"], found["mean_ccc"], found["undefined"]) == (0, None, 0)
    assert found["dominance"] == dict.fromkeys(METRICS)


def test_unlabelled_utterances_are_not_units():
    built = table(count=130, speakers=13)
    built.loc[built["speaker"] == "s0000", list(DIMENSIONS)] = np.nan
    found = confidence_intervals(built, resamples=499)
    assert found["units"] == 12
    kept = built[built["speaker"] != "s0000"]
    assert found == confidence_intervals(kept, resamples=499)


def test_dimension_with_few_speakers_is_noted():
    built = table()
    built.loc[built["speaker"] > "s0004", "valence"] = np.nan
    assert (
        "Only 5 speakers have labels for valence"
        in confidence_intervals(built, resamples=499)["note"]
    )


@pytest.mark.parametrize("column", ["valence", "valence_predicted"])
def test_constant_column_has_only_mae_interval(column):
    built = table()
    built[column] = 4.1
    found = confidence_intervals(built, resamples=499)
    low, high = found["valence"].pop("mae")
    assert low < metrics.mae(*values("valence", built)) < high
    assert set(found["valence"].values()) == {None}
    # Its CCC is 0 and counts in the mean, as it does in the figures.
    low, high = found["mean_ccc"]
    others = [metrics.ccc(*values(name, built)) for name in ("arousal", "dominance")]
    assert low < sum(others) / 3 < high


def test_perfect_prediction_has_degenerate_interval():
    built = table()
    built["valence_predicted"] = built["valence"]
    found = confidence_intervals(built, resamples=499)["valence"]
    assert found["ccc"] == pytest.approx([1, 1], abs=1e-12)
    assert found["mae"] == [0, 0]


def test_undefined_resamples_are_counted():
    # Three equal truths and one other: Pearson is undefined where the other is not drawn, or
    # nothing else is, with probability (3/4)^4 + (1/4)^4 = 0.3203.
    built = table(count=4, speakers=2)
    for name in DIMENSIONS:
        built[name] = [2.0, 2.0, 2.0, 5.0]
    found = confidence_intervals(built, resamples=10_000)
    assert found["undefined"] == pytest.approx(3203, abs=190)  # four standard errors
    assert found["valence"]["pearson"] is not None


def test_too_few_units_give_uninformative_interval():
    # Of two units half of the resamples draw one twice, and have no standard error.
    low, high = confidence_intervals(table(count=2, speakers=2), resamples=999)["valence"]["ccc"]
    assert (low, high) == (-1.0, 1.0)


def test_single_utterance_has_no_interval():
    found = confidence_intervals(table(count=1, speakers=1), resamples=499)
    assert (found["units"], found["mean_ccc"]) == (1, None)
    assert found["valence"] == dict.fromkeys(METRICS)


def test_too_few_resamples_raise():
    with pytest.raises(ValueError, match="at least 19 resamples"):
        confidence_intervals(table(), resamples=10)
