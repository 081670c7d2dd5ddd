"""Published scores in tables.yaml are those of the paper, in the columns of the same metric."""

import pytest

from emosphere_sb.tables.columns import COLUMNS
from emosphere_sb.tables.spec import read_table_spec

REGION_SCORES = {  # Table 3: macro F1 and accuracy of the region classifier on the test set, in %
    "32 (45°)": (4.77, 16.95),
    "18 (60°)": (17.96, 31.95),
    "8 (90°)": (36.27, 59.51),
}
CCC = {  # valence, arousal, dominance, mean
    "paper_table_1": [
        (0.6952, 0.7482, 0.6220, 0.6884),
        (0.6953, 0.7447, 0.6166, 0.6855),
        (0.6908, 0.7456, 0.6192, 0.6852),
        (0.6845, 0.7349, 0.6210, 0.6801),
    ],
    "paper_table_2": [
        (0.6951, 0.7405, 0.6267, 0.6875),
        (0.6912, 0.7342, 0.6281, 0.6845),
        (0.6968, 0.7352, 0.6308, 0.6876),
        (0.6952, 0.7482, 0.6220, 0.6884),
    ],
    "paper_table_3": [
        (0.6833, 0.7385, 0.6204, 0.6808),
        (0.6962, 0.7376, 0.6250, 0.6863),
        (0.6952, 0.7482, 0.6220, 0.6884),
    ],
}


def published(name):
    """Return the published score of each column by row."""
    names = {column: key for key, column in COLUMNS.items()}
    table = read_table_spec(name)
    return {
        row.name: {
            names[column]: score
            for column, score in zip(table.columns, table.published_scores(row), strict=True)
            if score is not None
        }
        for row in table.rows
    }


@pytest.mark.parametrize("row", REGION_SCORES)
def test_region_scores_are_those_of_the_head_on_the_test_set(row):
    f1, accuracy = REGION_SCORES[row]
    found = {key: value for key, value in published("paper_table_3")[row].items() if "_" in key}
    assert found == {
        "head_f1": f1, "head_accuracy": accuracy,
        "head_best_f1": f1, "head_best_accuracy": accuracy,
    }  # fmt: skip
    assert COLUMNS["head_f1"].path == ("head_last", "macro_f1")
    assert COLUMNS["head_best_accuracy"].path == ("head_tested", "accuracy")


@pytest.mark.parametrize("name", CCC)
def test_ccc_values_are_those_of_the_paper(name):
    keys = ("valence", "arousal", "dominance", "mean")
    found = [tuple(row[key] for key in keys) for row in published(name).values()]
    assert found == CCC[name]
