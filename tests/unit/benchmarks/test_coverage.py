"""The simulation behind docs/statistics.md: its closed forms, and its counting."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

import simulation
from simulation import DESIGNS, ONE, OTHER, Design, simulate

from emosphere_sb import metrics
from emosphere_sb.scale import DIMENSIONS

# By its path: a package that measures tests goes by the same name.
BENCHMARKS = Path(simulation.__file__).parent
spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARKS / "coverage.py")
coverage = importlib.util.module_from_spec(spec)
spec.loader.exec_module(coverage)

MANY = 4000
EQUAL = Design("equal", unequal=False, skewed=False)


def ccc(table, name):
    return metrics.ccc(table[name], table[f"{name}_predicted"])


@pytest.mark.parametrize("skewed", [False, True])
def test_the_closed_form_is_the_ccc_of_a_very_large_sample(skewed):
    design = Design("equal", unequal=False, skewed=skewed)
    sides = simulate(design, MANY, 1, np.random.default_rng(0))
    for systems, (table,) in zip((ONE, OTHER), sides, strict=True):
        for system, name in zip(systems, DIMENSIONS, strict=True):
            assert ccc(table, name) == pytest.approx(system.ccc, abs=0.015)


def test_both_systems_have_the_same_true_ccc_but_not_by_the_same_way():
    for one, other in zip(ONE, OTHER, strict=True):
        assert one.ccc == pytest.approx(other.ccc)
        assert other.covariance / other.variance**0.5 > one.covariance / one.variance**0.5
        assert other.shift > one.shift


def test_effects_have_variance_one_and_the_labels_are_skewed_where_they_should_be():
    for design in DESIGNS:
        drawn = design.draw(np.random.default_rng(0), 200_000)
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.01)
        np.testing.assert_allclose(np.cov(drawn.T), 0.5 + 0.5 * np.eye(3), atol=0.02)
        # Skewness of the sum of two exponentials is 2 / sqrt(2).
        expected = 2**0.5 if design.skewed else 0
        np.testing.assert_allclose((drawn**3).mean(axis=0), expected, atol=0.1)


def test_unequal_sizes_fall_as_one_over_the_rank():
    # 240 utterances over the harmonic number of 12, 3.1032: 77.3, 38.7, 25.8, 19.3, ...
    assert DESIGNS[1].sizes(12).tolist() == [77, 38, 25, 19, 15, 12, 11, 9, 8, 7, 7, 6]
    assert EQUAL.sizes(12).tolist() == [20] * 12


def test_errors_of_seeds_are_their_own_and_the_truth_is_one():
    (first, second), (third, _) = simulate(EQUAL, 200, 2, np.random.default_rng(0))
    assert first["valence"].equals(third["valence"])
    errors = [t["valence_predicted"] - t["valence"] for t in (first, second, third)]
    assert 0.99 > np.corrcoef(errors[0], errors[1])[0, 1] > np.corrcoef(errors[0], errors[2])[0, 1]


def test_rates_count_what_intervals_hold(monkeypatch):
    monkeypatch.setattr(coverage, "RESAMPLES", 99)
    found = coverage.rates(DESIGNS[0], 12, 8)
    assert found["unit"] == "speakers"
    assert 0.5 < found["coverage"][0] <= 1
    assert found["false alarms, 1 seed"][1] * 8 == round(found["false alarms, 1 seed"][1] * 8)
    # Against a CCC that no set has, nothing covers.
    monkeypatch.setattr(coverage, "ONE", [type(one)(0.0, 0.0, 1.0, 0.0) for one in ONE])
    assert coverage.rates(DESIGNS[0], 12, 8)["coverage"] == (0.0, 0.0)


def test_the_verdict_names_rows_that_miss_and_only_from_twelve_speakers():
    good = {"coverage": (0.95, 0.95), "false alarms, 1 seed": (0.05, 0.05)}
    good["false alarms, 3 seeds"] = (0.05, 0.05)
    bad = {**good, "coverage": (0.95, 0.91)}
    assert "keeps to it" in coverage.verdict([(EQUAL, 2, bad), (EQUAL, 12, good)])
    said = coverage.verdict([(EQUAL, 2, bad), (EQUAL, 12, bad)])
    assert said.endswith("Missed: equal, 12 speakers: coverage 91.0%.")
