"""Tables of this package are recognised by their columns, as its writers write them."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.inference.output.files import CsvWriter, prediction_columns, row_with_error
from emosphere_sb.results.own_tables import PREDICT_COLUMNS, RUN_COLUMNS, is_own_table
from emosphere_sb.results.predictions import predictions_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.models import tiny_about

FACTS = {"duration": 1.5, "speaker": "a", "gender": "Male", "emotion": "sad", "n_raters": "5"}
ROW = FACTS | dict.fromkeys(DIMENSIONS, "4.0")


@pytest.mark.parametrize("head", [True, False])
def test_tables_of_this_package_are_recognised(tmp_path, head):
    assert is_own_table(prediction_columns(tiny_about(head=head)))
    options = {"scale": Scale(1, 7), "regions": SphericalRegions(90)}
    if head:
        options |= {"probabilities": {"x": np.array([0.5, 0.5])}, "classes": ("a", "b")}
    assert is_own_table(predictions_table({"x": ROW}, {"x": np.zeros(3)}, **options))
    columns = prediction_columns(tiny_about(head=head))
    with CsvWriter(tmp_path / "x.csv", row_with_error, columns) as table:
        table.write_error("a.wav", "not audio")
    assert is_own_table(pd.read_csv(tmp_path / "x.csv"))


@pytest.mark.parametrize("columns", [RUN_COLUMNS, PREDICT_COLUMNS])
def test_tables_that_lack_a_column_are_not_recognised(columns):
    assert is_own_table(columns)
    for name in columns:
        assert not is_own_table(columns - {name})
