"""Columns of a table: extraction and formatting of metrics."""

import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.tables.columns import COLUMNS

RIGHT = {"valence": [1.0, 2, 3, 4], "arousal": [2.0, 2, 4, 4], "dominance": [1.0, 1, 1, 5]}


def test_columns_are_extracted_from_metrics():
    audmetric = pytest.importorskip("audmetric", reason="the 'test' extra is not installed")
    guess = {name: np.add(truth, [0.5, -0.5, 0, 0.2]) for name, truth in RIGHT.items()}
    table = pd.DataFrame(RIGHT | {f"{name}_predicted": values for name, values in guess.items()})
    table["region"], table["region_point"] = ["I", "I", "II", "II"], ["I", "II", "II", "II"]
    found = prediction_metrics(table)
    wanted = {n: audmetric.concordance_cc(RIGHT[n], guess[n]) for n in RIGHT}
    for name, value in wanted.items():
        assert COLUMNS[name].extract(found) == pytest.approx(value)
    assert COLUMNS["mean"].extract(found) == pytest.approx(np.mean(list(wanted.values())))
    # 3 of 4 right; F1 of I: 2·1/(2·1 + 0 + 1) = 2/3, of II: 2·2/(2·2 + 1 + 0) = 4/5.
    assert COLUMNS["point_accuracy"].extract(found) == pytest.approx(75)
    assert COLUMNS["point_f1"].extract(found) == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)


def test_missing_metric_is_nan():
    assert math.isnan(COLUMNS["mean"].extract({"mean_ccc": None}))
    assert math.isnan(COLUMNS["head_f1"].extract({}))
    assert math.isnan(COLUMNS["valence"].extract({"valence": None}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6884, ".688"), (0.6886, ".689"), (-0.25, "-.250"), (1.0, "1.000"), (-1.0, "-1.000"),
        (0.0, ".000"), (-0.0001, ".000"), (0.9999, "1.000"), (math.nan, "–"), (None, "–"),
    ],
)  # fmt: skip
def test_ccc_has_no_leading_zero(value, text):
    assert COLUMNS["mean"].format(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(59.51, "59.5"), (0.04, "0.0"), (100, "100.0"), (-0.01, "0.0"), (None, "–")]
)
def test_proportion_is_shown_in_percent(value, text):
    assert COLUMNS["point_accuracy"].format(value) == text


def test_published_scores_have_the_digits_of_the_paper():
    assert COLUMNS["valence"].format_published(0.622) == ".6220"
    assert COLUMNS["head_f1"].format_published(17.9) == "17.90"
