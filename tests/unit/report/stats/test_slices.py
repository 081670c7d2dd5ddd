"""Which slice an utterance is in, in which order slices come, and which are missing."""

import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.stats.slices import SLICES, slice_masks


def members(column, values):
    """Numbers of the utterances in each slice by one column."""
    (name,) = [name for name, of in SLICES.items() if of == column]
    masks, missing = slice_masks(pd.DataFrame({column: values}))
    assert set(missing) == set(SLICES) - {name}
    return {value: np.flatnonzero(mask).tolist() for value, mask in masks[name].items()}


def test_duration_borders_belong_to_the_bin_above_but_for_the_last():
    found = members("duration", [1.999, 2.0, 4.0, 5.9, 6.0, 8.0, 12.0, 12.001, math.nan])
    assert found == {
        "<2": [0], "2-4": [1], "4-6": [2, 3], "6-8": [4], "8-12": [5, 6], ">12": [7],
        "unknown": [8],
    }  # fmt: skip
    assert list(found) == ["<2", "2-4", "4-6", "6-8", "8-12", ">12", "unknown"]


@pytest.mark.parametrize("nobody", ["", "Unknown", "unknown", "nan", " "])
def test_who_is_not_known_makes_up_a_slice_of_its_own(nobody):
    found = members("gender", ["Male", nobody, "Female", "Male"])
    assert found == {"Female": [2], "Male": [0, 3], "unknown": [1]}
    assert list(found)[-1] == "unknown"


def test_thirty_largest_speakers_and_a_line_for_the_rest():
    """Speaker n has n utterances; 32 speakers: 1 and 2 are the rest. Two are not known."""
    values = [f"s{n}" for n in range(1, 33) for _ in range(n)] + ["Unknown", ""]
    found = members("speaker", values)
    assert list(found) == [*(f"s{n}" for n in range(32, 2, -1)), "2 others", "unknown"]
    assert [len(found[name]) for name in ("s32", "s3", "2 others", "unknown")] == [32, 3, 3, 2]


def test_speakers_of_equal_size_go_by_the_alphabet():
    assert list(members("speaker", ["b", "c", "a"])) == ["a", "b", "c"]


def test_raters_go_by_number_and_many_are_one_slice():
    found = members("n_raters", ["10", "9", "11", "5", "", "25", "9.0"])
    assert found == {"5": [3], "9": [1, 6], "10": [0], ">10": [2, 5], "unknown": [4]}
    assert list(found) == ["5", "9", "10", ">10", "unknown"]


@pytest.mark.parametrize("column", ["emotion", "region"])
def test_classes_go_by_the_alphabet(column):
    assert list(members(column, ["sad", "angry", "", "sad"])) == ["angry", "sad", "unknown"]


def test_every_utterance_is_in_one_slice_of_each_kind():
    chance = np.random.default_rng(2)
    table = pd.DataFrame({"duration": chance.uniform(0, 15, 200)})
    for name in ("gender", "emotion", "region", "speaker"):
        table[name] = chance.choice(["", *(f"v{n}" for n in range(50))], 200)
    table["n_raters"] = chance.choice(["", "3", "12"], 200)
    masks, missing = slice_masks(table)
    assert (list(masks), missing) == (list(SLICES), [])
    for parts in masks.values():
        assert np.sum(list(parts.values()), axis=0).tolist() == [1] * 200


@pytest.mark.parametrize("empty", ["", "Unknown"])
def test_column_that_holds_nothing_is_missing_as_one_that_is_not_there(empty):
    masks, missing = slice_masks(
        pd.DataFrame({"gender": ["Male"], "speaker": [empty], "duration": [math.nan]})
    )
    assert list(masks) == ["gender"]
    assert missing == ["speaker", "duration", "emotion", "region", "raters"]


def test_number_of_raters_that_is_none_is_said():
    with pytest.raises(ValueError, match="n_raters must be a number or empty; found 'five'"):
        slice_masks(pd.DataFrame({"n_raters": ["5", "five"]}))
