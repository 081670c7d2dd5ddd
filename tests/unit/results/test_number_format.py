"""Tests of number formats."""

import math

import pytest

from emosphere_sb.results.number_format import (
    format_clock,
    format_count,
    format_decimal,
    format_duration,
    format_interval,
    format_p_value,
    format_score,
    format_signed,
    is_finite_interval,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, ".000"),
        (-0.0001, ".000"),
        (-0.5, "-.500"),
        (0.9996, "1.000"),
        (-21.1845, "-21.184"),
        (10.5, "10.500"),
        (123456.0, "1.235e+05"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_format_score(value, text):
    assert format_score(value) == text


def test_format_score_with_decimals():
    assert format_score(0.68839, 4) == ".6884"


@pytest.mark.parametrize("interval", [None, [None, 0.5], [0.1, math.nan], [-math.inf, 0.5]])
def test_format_undefined_interval(interval):
    assert format_interval(interval) == ""
    assert not is_finite_interval(interval)


def test_format_negative_interval():
    assert format_interval([-0.0104, 0.2]) == "[-.010, .200]"


@pytest.mark.parametrize(("p", "text"), [(0.00099, "< .001"), (0.001, ".001"), (0.05, ".050")])
def test_format_p_value(p, text):
    assert format_p_value(p) == text


def test_format_count():
    assert format_count(1234567) == "1,234,567"
    assert format_count(1234.6) == "1,235"
    assert format_count(None) == format_count(math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.94, "9.9 s"), (119.4, "119 s"), (119.6, "2 min"), (7199, "2 h 00 min"), (None, "–")],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "+1.00"), (-1.614, "−1.61"), (0.0049, "0.00"), (-0.0049, "0.00"), (0.006, "+0.01")],
)
def test_format_signed(value, text):
    assert format_signed(value) == text


def test_format_decimal():
    assert [format_decimal(4), format_decimal(-0.816)] == ["4.00", "−0.82"]


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [
        (0, 0, "0:00"),
        (59.6, 0, "1:00"),  # rounded before it is cut: never 0:60
        (59.96, 1, "1:00.0"),
        (3599.99, 1, "1:00:00.0"),
        (86_400, 0, "24:00:00"),
        (7.25, 1, "0:07.2"),
    ],
)
def test_format_clock(seconds, decimals, text):
    assert format_clock(seconds, decimals) == text
