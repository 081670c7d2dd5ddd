"""Test the coverage simulation of docs/statistics.md: closed forms and counting."""

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

# Imported by path, because the installed package coverage has the same name.
BENCHMARKS = Path(simulation.__file__).parent
spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARKS / "coverage.py")
coverage = importlib.util.module_from_spec(spec)
spec.loader.exec_module(coverage)

MANY = 4000
EQUAL = Design("equal", unequal=False, skewed=False)


def ccc(table, name):
    return metrics.ccc(table[name], table[f"{name}_predicted"])


@pytest.mark.parametrize("skewed", [False, True])
def test_closed_form_matches_ccc_of_large_sample(skewed):
    design = Design("equal", unequal=False, skewed=skewed)
    sides = simulate(design, MANY, 1, np.random.default_rng(0))
    for systems, (table,) in zip((ONE, OTHER), sides, strict=True):
        for system, name in zip(systems, DIMENSIONS, strict=True):
            assert ccc(table, name) == pytest.approx(system.ccc, abs=0.015)


def test_systems_have_equal_ccc_with_different_correlation_and_shift():
    for one, other in zip(ONE, OTHER, strict=True):
        assert one.ccc == pytest.approx(other.ccc)
        assert other.covariance / other.variance**0.5 > one.covariance / one.variance**0.5
        assert other.shift > one.shift


def test_effects_have_unit_variance_and_the_skewness_of_the_design():
    for design in DESIGNS:
        drawn = design.draw(np.random.default_rng(0), 200_000)
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.01)
        np.testing.assert_allclose(np.cov(drawn.T), 0.5 + 0.5 * np.eye(3), atol=0.02)
        # Skewness of the sum of two exponentials is 2 / sqrt(2).
        expected = 2**0.5 if design.skewed else 0
        np.testing.assert_allclose((drawn**3).mean(axis=0), expected, atol=0.1)


def test_unequal_sizes_are_proportional_to_inverse_rank():
    # 240 utterances divided by the 12th harmonic number 3.1032: 77.3, 38.7, 25.8, 19.3, ...
    assert DESIGNS[1].sizes(12).tolist() == [77, 38, 25, 19, 15, 12, 11, 9, 8, 7, 7, 6]
    assert EQUAL.sizes(12).tolist() == [20] * 12


def test_errors_differ_between_seeds_and_true_values_do_not():
    (first, second), (third, _) = simulate(EQUAL, 200, 2, np.random.default_rng(0))
    assert first["valence"].equals(third["valence"])
    errors = [t["valence_predicted"] - t["valence"] for t in (first, second, third)]
    assert 0.99 > np.corrcoef(errors[0], errors[1])[0, 1] > np.corrcoef(errors[0], errors[2])[0, 1]


def test_rates_count_intervals_that_contain_the_true_ccc(monkeypatch):
    monkeypatch.setattr(coverage, "RESAMPLES", 99)
    found = coverage.rates(DESIGNS[0], 12, 8)
    assert found["unit"] == "speakers"
    assert 0.5 < found["coverage"][0] <= 1
    assert found["false positives, 1 seed"][1] * 8 == round(found["false positives, 1 seed"][1] * 8)
    # No interval contains a CCC of 0, which is far below that of each set.
    monkeypatch.setattr(coverage, "ONE", [type(one)(0.0, 0.0, 1.0, 0.0) for one in ONE])
    assert coverage.rates(DESIGNS[0], 12, 8)["coverage"] == (0.0, 0.0)


def test_verdict_lists_rates_outside_target_from_twelve_speakers():
    within = {"coverage": (0.95, 0.95), "false positives, 1 seed": (0.05, 0.05)}
    within["false positives, 3 seeds"] = (0.05, 0.05)
    outside = {**within, "coverage": (0.95, 0.91)}
    assert "All these rows meet the targets" in coverage.verdict(
        [(EQUAL, 2, outside), (EQUAL, 12, within)]
    )
    text = coverage.verdict([(EQUAL, 2, outside), (EQUAL, 12, outside)])
    assert text.endswith("Not met for: equal, 12 speakers (coverage: 91.0%).")
