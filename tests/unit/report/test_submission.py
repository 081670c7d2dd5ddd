"""Tests of challenge submissions: columns, scale, file list, and reported problems."""

import math

import pandas as pd
import pytest

from emosphere_sb.report.submission import check_submission, count_clipped, submission_table
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import Scale

HEADER = "FileName,EmoAct,EmoVal,EmoDom"
IDS = ["a.wav", "b.wav", "c.wav"]


def table_of(vad):
    table = pd.DataFrame({"ID": list(vad)})
    table[list(PREDICTED)] = list(vad.values())
    return table


def problems(folder, *lines, header=HEADER, ids=IDS, start=""):
    path = folder / "submission.csv"
    path.write_bytes((start + "\n".join([header, *lines]) + "\n").encode("utf-8"))
    return check_submission(path, ids)


def test_columns_are_in_challenge_order():
    table = submission_table(table_of({"a": [2.0, 3.0, 5.0]}), Scale(1, 7))
    assert list(table.columns) == HEADER.split(",")
    assert table.values.tolist() == [["a.wav", 3.0, 2.0, 5.0]]


def test_other_scale_is_converted_and_reversed_dimension_inverted():
    """On 1..5, 2 is a quarter of the way up: 1 + 6/4 = 2.5; upside down three quarters: 5.5."""
    scale = Scale(1, 5, reversed=("arousal",))
    table = submission_table(table_of({"a": [2.0, 2.0, 5.0]}), scale)
    assert table.values.tolist() == [["a.wav", 5.5, 2.5, 7.0]]


def test_values_outside_scale_are_clipped_and_counted():
    predicted = table_of({"a": [0.5, 7.5, 7.0], "b": [1.0, 8.0, 4.0]})
    table = submission_table(predicted, Scale(1, 7))
    assert table.values.tolist() == [["a.wav", 7.0, 1.0, 7.0], ["b.wav", 7.0, 1.0, 4.0]]
    assert count_clipped(predicted, Scale(1, 7)) == 3


def test_list_defines_names_and_order_for_any_id_format():
    predicted = table_of({"a": [2.0] * 3, "x/b.wav": [3.0] * 3, "c": [4.0] * 3})
    table = submission_table(predicted, Scale(1, 7), names=["b.wav", "Audio/a.wav"])
    assert table.iloc[:, :2].values.tolist() == [["b.wav", 3.0], ["Audio/a.wav", 2.0]]


def test_suffix_is_not_added_twice():
    assert submission_table(table_of({"a.wav": [2.0] * 3}), Scale(1, 7))["FileName"][0] == "a.wav"


def test_file_without_prediction_raises_with_counts():
    with pytest.raises(
        ValueError, match=r"missing: 1 \(z\.wav\)\. The list contains 2 files; found 1 "
    ):
        submission_table(table_of({"a": [2.0] * 3}), Scale(1, 7), names=["a.wav", "z.wav"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_prediction_raises(value):
    with pytest.raises(ValueError, match=r"must be finite; NaN or infinite: 1 \(b\)"):
        submission_table(table_of({"a": [2.0] * 3, "b": [2.0, value, 2.0]}), Scale(1, 7))


def test_duplicated_id_raises():
    with pytest.raises(ValueError, match=r"duplicate files: 1 \(a\)"):
        submission_table(table_of({"a": [2.0] * 3, "y/a.wav": [3.0] * 3}), Scale(1, 7))


def test_written_submission_is_valid(tmp_path):
    predicted = table_of({name: [1 / 3 + n, 5.0, 7.0] for n, name in enumerate("abc")})
    submission_table(predicted, Scale(1, 7)).to_csv(tmp_path / "s.csv", index=False)
    assert check_submission(tmp_path / "s.csv", IDS) == []
    first = (tmp_path / "s.csv").read_text().splitlines()[:2]
    assert first == [HEADER, "a.wav,5.0,1.0,7.0"]


GOOD = ("a.wav,1,7,4.5", "b.wav,2,2,2", "c.wav,3,3,3")


def test_valid_file_has_no_problems(tmp_path):
    assert problems(tmp_path, *GOOD) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("a.wav,1,7,4.5", "b.wav,2,2,2"), ["Missing files that are in the list: 1 (c.wav)"]),
        ((*GOOD, "d.wav,1,1,1"), ["not in the list: 1 (d.wav)"]),
        ((*GOOD, "b.wav,2,2,2"), ["Duplicate files: 1 (b.wav)"]),
        ((GOOD[1], GOOD[0], GOOD[2]), ["file 1 must be a.wav; found b.wav"]),
        (("a.wav,nan,7,4", *GOOD[1:]), ["EmoAct must be a number; invalid: 1 (a.wav)"]),
        (("a.wav,1,inf,4", *GOOD[1:]), ["EmoVal must be a number; invalid: 1 (a.wav)"]),
        (("a.wav,1,7,high", *GOOD[1:]), ["EmoDom must be a number; invalid: 1 (a.wav)"]),
        (("a.wav,1,7,", *GOOD[1:]), ["EmoDom must be a number; invalid: 1 (a.wav)"]),
        (("a.wav,0.99,7,4", *GOOD[1:]), ["EmoAct must be in [1, 7]; out of range: 1 (a.wav)"]),
        (("a.wav,1,7.01,4", *GOOD[1:]), ["EmoVal must be in [1, 7]; out of range: 1 (a.wav)"]),
        (
            ("a,1,7,4", *GOOD[1:]),
            [
                "Missing files that are in the list: 1 (a.wav)",
                "not in the list: 1 (a)",
                "spelt as in the list",
            ],
        ),
        (
            ("a.wav,1,7", *GOOD[1:]),
            ["4 entries; invalid: 1 (a.wav,1,7)", "Missing files that are in the list: 1 (a.wav)"],
        ),
        (("a.wav,9,7,x", *GOOD[1:]), ["EmoAct must be in", "EmoDom must be a number"]),
    ],
)
def test_each_problem_is_reported(tmp_path, lines, said):
    found = problems(tmp_path, *lines)
    assert len(found) == len(said)
    assert all(part in problem for part, problem in zip(said, found, strict=True))


@pytest.mark.parametrize(
    "header", ["FileName,EmoVal,EmoAct,EmoDom", "filename,EmoAct,EmoVal,EmoDom", "FileName,EmoAct"]
)
def test_header_must_match_exactly(tmp_path, header):
    assert problems(tmp_path, *GOOD, header=header) == [
        f"The header must be {HEADER}; found {header}."
    ]


def test_byte_order_mark_is_reported(tmp_path):
    (found,) = problems(tmp_path, *GOOD, start="\ufeff")
    assert "byte order mark" in found


def test_empty_file_reports_header_and_missing_names(tmp_path):
    (tmp_path / "s.csv").write_text("")
    found = check_submission(tmp_path / "s.csv", IDS)
    assert found[0].endswith("found an empty file.")
    assert found[1].endswith("list: 3 (a.wav, b.wav, c.wav).")


def test_names_with_same_prediction_raise():
    predicted = table_of({"a": [2.0] * 3, "b": [3.0] * 3})
    with pytest.raises(ValueError, match=r"the folder and suffix; duplicates: 1 \(a\)"):
        submission_table(predicted, Scale(1, 7), names=["x/a.wav", "y/a.wav", "b.wav"])


def test_malformed_table_is_reported(tmp_path):
    """The csv module takes fields of up to 131,072 letters."""
    (found,) = problems(tmp_path, "x" * 131_073 + ",1,2,3")
    assert found.startswith("The file is not a valid comma-separated table: field larger")


@pytest.mark.parametrize("text", ["0_3", "٣"])
def test_python_only_number_format_is_reported(tmp_path, text):
    assert problems(tmp_path, f"a.wav,{text},2,3", "b.wav,1,2,3", "c.wav,1,2,3") == [
        "EmoAct must be a number; invalid: 1 (a.wav)."
    ]
