"""Tests of resampling units for speaker names of various corpora."""

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.stats.units import resampling_units


def named(names):
    return pd.DataFrame({"ID": range(len(names)), "speaker": names})


def test_ten_speakers_are_units_sorted_by_name():
    names = [f"s{number}" for number in (3, 1, 0, 2, 9, 8, 7, 6, 5, 4, 1, 3)]
    units = resampling_units(named(names))
    assert (units.kind, units.count, units.note) == ("speakers", 10, None)
    assert units.codes.tolist() == [3, 1, 0, 2, 9, 8, 7, 6, 5, 4, 1, 3]


def test_nine_speakers_are_too_few_with_note():
    units = resampling_units(named([f"s{number % 9}" for number in range(30)]))
    assert (units.kind, units.count) == ("utterances", 30)
    assert units.codes.tolist() == list(range(30))
    assert "only 9 speakers are known" in units.note


@pytest.mark.parametrize("unknown", ["Unknown", "UNKNOWN", "", " ", "nan", "NaN", None, np.nan])
def test_unknown_speakers_are_not_pooled(unknown):
    units = resampling_units(named([f"s{number}" for number in range(9)] + [unknown] * 5))
    assert units.kind == "utterances"
    assert "only 9 speakers are known" in units.note


def test_utterances_without_speaker_are_separate_units():
    names = ["Unknown", *(f"s{number}" for number in range(10)), "", "s0"]
    units = resampling_units(named(names))
    assert (units.kind, units.count) == ("speakers", 12)
    assert units.codes.tolist() == [10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 0]
    assert units.note.startswith("2 utterances have no known speaker")
    assert "10 speakers" in units.note


@pytest.mark.parametrize(
    ("names", "said"), [(["a"], "only 1 speaker is known"), ([""], "because no speakers are known")]
)
def test_note_uses_correct_number(names, said):
    assert said in resampling_units(named(names)).note


def test_table_without_speakers_uses_utterances():
    units = resampling_units(pd.DataFrame({"ID": ["a", "b"]}))
    assert (units.kind, units.count) == ("utterances", 2)
    assert "no speakers are known" in units.note


def test_spaces_around_speaker_names_are_ignored():
    names = [f"s{number}" for number in range(10)] + ["s3 "]
    assert resampling_units(named(names)).count == 10
