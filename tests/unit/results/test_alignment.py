"""Tests of aligning tables, and of the errors if they differ."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.alignment import align_tables


def table(ids, valence=None, predicted=0.0):
    values = np.arange(len(ids), dtype=float) if valence is None else valence
    return pd.DataFrame(
        {
            "ID": ids,
            "valence": values,
            "arousal": 2.0,
            "dominance": 3.0,
            "valence_predicted": predicted,
        }
    )


def test_rows_are_reordered_to_match_first_table():
    first = table(["b", "a", "c"], valence=[2.0, 1.0, 3.0])
    second = table(["a", "b", "c"], valence=[1.0, 2.0, 3.0], predicted=[10.0, 20.0, 30.0])
    one, two = align_tables([first, second])
    assert one["ID"].tolist() == two["ID"].tolist() == ["b", "a", "c"]
    assert two["valence_predicted"].tolist() == [20.0, 10.0, 30.0]
    assert two.index.tolist() == [0, 1, 2]


def test_index_is_ignored():
    first = table(["a", "b"], valence=[1.0, 2.0])
    first.index = [7, 7]
    assert align_tables([first, first])[1]["valence"].tolist() == [1.0, 2.0]


def test_missing_truth_in_both_tables_is_equal():
    first = table(["a", "b"], valence=[np.nan, 2.0])
    assert len(align_tables([first, first.copy(), first.copy()])) == 3


def test_different_utterances_raise_with_counts_and_names():
    said = r"lacks 2 of the 3 utterances of table 1 \(b, c\); additional utterances: 1 \(d\).*set"
    with pytest.raises(ValueError, match=said):
        align_tables([table(["a", "b", "c"]), table(["a", "d"])])


def test_fewer_utterances_raise():
    with pytest.raises(
        ValueError,
        match=r"table 3 lacks 1 of the 2 utterances of table 1 \(b\); additional utterances: 0",
    ):
        align_tables([table(["a", "b"]), table(["a", "b"]), table(["a"])])


@pytest.mark.parametrize("changed", [2.5, np.nan])
def test_different_truth_raises_with_both_values(changed):
    said = rf"true valence; tables 1 and 2 differ for 1 of 2 utterances \(b: 2 and {changed}\)"
    with pytest.raises(ValueError, match=said):
        align_tables(
            [table(["a", "b"], valence=[1.0, 2.0]), table(["a", "b"], valence=[1.0, changed])]
        )


def test_duplicated_ids_raise():
    with pytest.raises(ValueError, match=r"table 2 has 1 duplicated IDs \(a\)"):
        align_tables([table(["a", "b"]), table(["a", "a"])])


def test_no_table_raises():
    with pytest.raises(ValueError, match="At least one prediction table"):
        align_tables([])
