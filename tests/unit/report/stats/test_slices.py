"""Tests of subgroups: assignment, order, missing columns."""

import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.stats.slices import SUBGROUP_COLUMNS, subgroup_masks


def members(column, values):
    """Numbers of the utterances in each slice by one column."""
    (name,) = [name for name, of in SUBGROUP_COLUMNS.items() if of == column]
    masks, missing = subgroup_masks(pd.DataFrame({column: values}))
    assert set(missing) == set(SUBGROUP_COLUMNS) - {name}
    return {value: np.flatnonzero(mask).tolist() for value, mask in masks[name].items()}


def test_duration_edges_belong_to_upper_bin_except_last():
    found = members("duration", [1.999, 2.0, 4.0, 5.9, 6.0, 8.0, 12.0, 12.001, math.nan])
    assert found == {
        "<2": [0], "2-4": [1], "4-6": [2, 3], "6-8": [4], "8-12": [5, 6], ">12": [7],
        "unknown": [8],
    }  # fmt: skip
    assert list(found) == ["<2", "2-4", "4-6", "6-8", "8-12", ">12", "unknown"]


@pytest.mark.parametrize("nobody", ["", "Unknown", "unknown", "nan", " "])
def test_unknown_values_form_separate_subgroup(nobody):
    found = members("gender", ["Male", nobody, "Female", "Male"])
    assert found == {"Female": [2], "Male": [0, 3], "unknown": [1]}
    assert list(found)[-1] == "unknown"


def test_largest_speakers_are_listed_and_others_pooled():
    """Speaker n has n utterances; 32 speakers: 1 and 2 are the rest. Two are not known."""
    values = [f"s{n}" for n in range(1, 33) for _ in range(n)] + ["Unknown", ""]
    found = members("speaker", values)
    assert list(found) == [*(f"s{n}" for n in range(32, 2, -1)), "2 others", "unknown"]
    assert [len(found[name]) for name in ("s32", "s3", "2 others", "unknown")] == [32, 3, 3, 2]


def test_speakers_of_equal_size_are_sorted_by_name():
    assert list(members("speaker", ["b", "c", "a"])) == ["a", "b", "c"]


def test_rater_counts_are_sorted_and_large_ones_pooled():
    found = members("n_raters", ["10", "9", "11", "5", "", "25", "9.0"])
    assert found == {"5": [3], "9": [1, 6], "10": [0], ">10": [2, 5], "unknown": [4]}
    assert list(found) == ["5", "9", "10", ">10", "unknown"]


@pytest.mark.parametrize("column", ["emotion", "region"])
def test_classes_are_sorted_by_name(column):
    assert list(members(column, ["sad", "angry", "", "sad"])) == ["angry", "sad", "unknown"]


def test_each_utterance_is_in_one_subgroup_per_kind():
    chance = np.random.default_rng(2)
    table = pd.DataFrame({"duration": chance.uniform(0, 15, 200)})
    for name in ("gender", "emotion", "region", "speaker"):
        table[name] = chance.choice(["", *(f"v{n}" for n in range(50))], 200)
    table["n_raters"] = chance.choice(["", "3", "12"], 200)
    masks, missing = subgroup_masks(table)
    assert (list(masks), missing) == (list(SUBGROUP_COLUMNS), [])
    for parts in masks.values():
        assert np.sum(list(parts.values()), axis=0).tolist() == [1] * 200


@pytest.mark.parametrize("empty", ["", "Unknown"])
def test_empty_column_counts_as_missing(empty):
    masks, missing = subgroup_masks(
        pd.DataFrame({"gender": ["Male"], "speaker": [empty], "duration": [math.nan]})
    )
    assert list(masks) == ["gender"]
    assert missing == ["speaker", "duration", "emotion", "region", "raters"]


def test_invalid_rater_count_raises():
    with pytest.raises(ValueError, match="n_raters must be a number or empty; found 'five'"):
        subgroup_masks(pd.DataFrame({"n_raters": ["5", "five"]}))
