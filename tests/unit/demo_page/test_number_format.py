"""Numbers and times as people read them."""

import pytest

from emosphere_sb.demo_page.number_format import clock, plain, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "+1.00"), (-1.614, "−1.61"), (0.0049, "0.00"), (-0.0049, "0.00"), (0.006, "+0.01")],
)
def test_signed(value, text):
    assert signed(value) == text


def test_plain():
    assert [plain(4), plain(-0.816)] == ["4.00", "−0.82"]


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
    assert clock(seconds, decimals) == text
