"""Tables are put in one order, or refused with what differs."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.alignment import aligned


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


def test_the_order_is_that_of_the_first_and_rows_stay_whole():
    first = table(["b", "a", "c"], valence=[2.0, 1.0, 3.0])
    second = table(["a", "b", "c"], valence=[1.0, 2.0, 3.0], predicted=[10.0, 20.0, 30.0])
    one, two = aligned([first, second])
    assert one["ID"].tolist() == two["ID"].tolist() == ["b", "a", "c"]
    assert two["valence_predicted"].tolist() == [20.0, 10.0, 30.0]
    assert two.index.tolist() == [0, 1, 2]


def test_an_index_of_any_kind_does_not_matter():
    first = table(["a", "b"], valence=[1.0, 2.0])
    first.index = [7, 7]
    assert aligned([first, first])[1]["valence"].tolist() == [1.0, 2.0]


def test_truth_unknown_in_both_is_equal():
    first = table(["a", "b"], valence=[np.nan, 2.0])
    assert len(aligned([first, first.copy(), first.copy()])) == 3


def test_other_utterances_are_refused_with_counts_and_names():
    said = r"table 2 lacks 2 of the first one's 3 \(b, c\) and has 1 of its own \(d\).*same set"
    with pytest.raises(ValueError, match=said):
        aligned([table(["a", "b", "c"]), table(["a", "d"])])


def test_fewer_utterances_are_refused():
    with pytest.raises(
        ValueError, match=r"table 3 lacks 1 of the first one's 2 \(b\) and has 0 of its own"
    ):
        aligned([table(["a", "b"]), table(["a", "b"]), table(["a"])])


@pytest.mark.parametrize("changed", [2.5, np.nan])
def test_another_truth_is_refused_with_both_values(changed):
    said = rf"true valence; it differs .* table 2 for 1 of 2 utterances \(b: 2 and {changed}\)"
    with pytest.raises(ValueError, match=said):
        aligned([table(["a", "b"], valence=[1.0, 2.0]), table(["a", "b"], valence=[1.0, changed])])


def test_double_ids_are_refused():
    with pytest.raises(ValueError, match=r"in table 2 1 stand more than once \(a\)"):
        aligned([table(["a", "b"]), table(["a", "a"])])


def test_no_table_is_refused():
    with pytest.raises(ValueError, match="at least one table"):
        aligned([])
