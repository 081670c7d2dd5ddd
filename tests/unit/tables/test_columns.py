"""Columns of a table: where a figure is read, and how it is written."""

import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.scores import figures
from emosphere_sb.tables.columns import COLUMNS

RIGHT = {"valence": [1.0, 2, 3, 4], "arousal": [2.0, 2, 4, 4], "dominance": [1.0, 1, 1, 5]}


def test_columns_are_found_among_the_figures_of_predictions():
    audmetric = pytest.importorskip("audmetric", reason="the extra 'test' is not installed")
    guess = {name: np.add(truth, [0.5, -0.5, 0, 0.2]) for name, truth in RIGHT.items()}
    table = pd.DataFrame(RIGHT | {f"{name}_predicted": values for name, values in guess.items()})
    table["region"], table["region_point"] = ["I", "I", "II", "II"], ["I", "II", "II", "II"]
    found = figures(table)
    wanted = {n: audmetric.concordance_cc(RIGHT[n], guess[n]) for n in RIGHT}
    for name, value in wanted.items():
        assert COLUMNS[name].read(found) == pytest.approx(value)
    assert COLUMNS["mean"].read(found) == pytest.approx(np.mean(list(wanted.values())))
    # 3 of 4 right; F1 of I: 2·1/(2·1 + 0 + 1) = 2/3, of II: 2·2/(2·2 + 1 + 0) = 4/5.
    assert COLUMNS["point_accuracy"].read(found) == pytest.approx(75)
    assert COLUMNS["point_f1"].read(found) == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)


def test_what_is_not_there_is_not_a_number():
    assert math.isnan(COLUMNS["mean"].read({"mean_ccc": None}))
    assert math.isnan(COLUMNS["head_f1"].read({}))
    assert math.isnan(COLUMNS["valence"].read({"valence": None}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6884, ".688"), (0.6886, ".689"), (-0.25, "-.250"), (1.0, "1.000"), (-1.0, "-1.000"),
        (0.0, ".000"), (-0.0001, ".000"), (0.9999, "1.000"), (math.nan, "–"), (None, "–"),
    ],
)  # fmt: skip
def test_a_ccc_is_written_without_the_leading_zero(value, text):
    assert COLUMNS["mean"].write(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(59.51, "59.5"), (0.04, "0.0"), (100, "100.0"), (-0.01, "0.0"), (None, "–")]
)
def test_a_share_is_written_in_per_cent(value, text):
    assert COLUMNS["point_accuracy"].write(value) == text


def test_published_figures_have_the_paper_s_digits():
    assert COLUMNS["valence"].write_published(0.622) == ".6220"
    assert COLUMNS["head_f1"].write_published(17.9) == "17.90"
