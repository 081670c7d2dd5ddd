"""Figures as the field writes them."""

import math

import pytest

from emosphere_sb.results.number_format import (
    clock_text,
    count_text,
    decimal_text,
    figure_text,
    interval_text,
    known_interval,
    p_text,
    seconds_text,
    signed_text,
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
def test_figure(value, text):
    assert figure_text(value) == text


def test_figure_with_other_decimals():
    assert figure_text(0.68839, 4) == ".6884"


@pytest.mark.parametrize("interval", [None, [None, 0.5], [0.1, math.nan], [-math.inf, 0.5]])
def test_interval_that_is_not_known(interval):
    assert interval_text(interval) == ""
    assert not known_interval(interval)


def test_interval_below_zero():
    assert interval_text([-0.0104, 0.2]) == "[-.010, .200]"


@pytest.mark.parametrize(("p", "text"), [(0.00099, "< .001"), (0.001, ".001"), (0.05, ".050")])
def test_p(p, text):
    assert p_text(p) == text


def test_counts():
    assert count_text(1234567) == "1,234,567"
    assert count_text(1234.6) == "1,235"
    assert count_text(None) == count_text(math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.94, "9.9 s"), (119.4, "119 s"), (119.6, "2 min"), (7199, "2 h 00 min"), (None, "–")],
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "+1.00"), (-1.614, "−1.61"), (0.0049, "0.00"), (-0.0049, "0.00"), (0.006, "+0.01")],
)
def test_signed(value, text):
    assert signed_text(value) == text


def test_decimal():
    assert [decimal_text(4), decimal_text(-0.816)] == ["4.00", "−0.82"]


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
def test_clock(seconds, decimals, text):
    assert clock_text(seconds, decimals) == text
