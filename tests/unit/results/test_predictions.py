"""Tests of prediction tables: content, and exact reading."""

import logging
import math

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results import predictions
from emosphere_sb.results.own_tables import is_own_table
from emosphere_sb.results.predictions import (
    MANIFEST_COLUMNS,
    PREDICTED,
    RATERS,
    predictions_table,
    read_predictions,
    region_names,
    write_predictions,
)
from emosphere_sb.results.text_table import read_text_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

REGIONS = SphericalRegions(90)
ONE, SEVEN = REGIONS.names[0], REGIONS.names[6]


def row(valence="4.0", arousal="4.0", dominance="4.0", **known):
    facts = {"duration": 1.5, "speaker": "NA", "gender": "Female", "emotion": "happy"}
    return {**facts, "valence": valence, "arousal": arousal, "dominance": dominance, **known}


def table_of(rows, vad, **options):
    options = {"scale": Scale(1, 7), "regions": REGIONS, **options}
    return predictions_table(rows, {name: np.array(v) for name, v in vad.items()}, **options)


def test_columns_without_a_head():
    table = table_of({"a": row()}, {"a": [0.0, 0.0, 0.0]})
    expected = ["ID", *MANIFEST_COLUMNS, *DIMENSIONS, *PREDICTED, "region", "region_point"]
    assert list(table.columns) == expected


def test_rater_count_is_copied_from_manifest(tmp_path):
    rows = {"a": row(n_raters="7"), "b": row(n_raters=""), "c": row()}
    table = table_of(rows, {name: [0.0] * 3 for name in rows})
    assert list(table.columns)[: len(MANIFEST_COLUMNS) + 2] == ["ID", *MANIFEST_COLUMNS, RATERS]
    write_predictions(table, tmp_path / "test.csv")
    assert read_predictions(tmp_path / "test.csv")[RATERS].tolist() == ["7", "", ""]


def test_unknown_rater_count_adds_no_column():
    rows = {"a": row(n_raters=""), "b": row(n_raters="")}
    assert RATERS not in table_of(rows, {name: [0.0] * 3 for name in rows})


def test_truth_is_raw_and_prediction_is_unclipped_on_corpus_scale():
    table = table_of({"a": row("2.2", "3.777778", "7.0")}, {"a": [-0.5, 0.25, 1.5]})
    assert table.loc[0, list(DIMENSIONS)].tolist() == [2.2, 3.777778, 7.0]
    assert table.loc[0, list(PREDICTED)].tolist() == [2.5, 4.75, 8.5]


def test_reversed_dimension_is_restored_to_corpus_scale():
    scale = Scale(1, 5, reversed=("arousal",))
    table = table_of({"a": row("4.0", "2.0", "4.0")}, {"a": [0.5, 0.5, 0.5]}, scale=scale)
    assert table.loc[0, list(PREDICTED)].tolist() == [4.0, 2.0, 4.0]
    assert table.loc[0, "region"] == ONE


def test_regions_of_truth_and_prediction():
    rows = {"a": row("5.0", "5.0", "5.0"), "b": row("4.0", "4.0", "4.0")}
    table = table_of(rows, {"a": [-0.1, -0.1, -0.1], "b": [-1.0, -1.0, -1.0]})
    assert table["region"].tolist() == [ONE, ONE]  # neutral lies in the first octant
    assert table["region_point"].tolist() == [SEVEN, SEVEN]


def test_region_is_decided_in_float64():
    """In float32 both would be exactly neutral, which counts as +."""
    below, above = "3.99999999", "4.00000001"
    rows = {"a": row(below, below, below), "b": row(above, above, above)}
    table = table_of(rows, {"a": [0.0, 0.0, 0.0], "b": [0.0, 0.0, 0.0]})
    assert table["region"].tolist() == [SEVEN, ONE]


@pytest.mark.parametrize("missing", DIMENSIONS)
def test_unknown_dimension_has_no_region(missing):
    table = table_of({"a": row(**{missing: ""})}, {"a": [0.1, 0.1, 0.1]})
    assert math.isnan(table.loc[0, missing])
    assert table.loc[0, "region"] == ""
    assert table.loc[0, "region_point"] == ONE


@pytest.mark.parametrize("head", ["region", "emotion"])
def test_head_has_class_and_probability_columns(head):
    probabilities = {"b": np.array([0.7, 0.3]), "a": np.array([0.2, 0.8])}
    table = table_of(
        {"a": row(), "b": row()}, {"a": [0.0] * 3, "b": [0.0] * 3},
        probabilities=probabilities, classes=["x", "y"], head=head,
    )  # fmt: skip
    assert list(table.columns[-3:]) == [f"{head}_head", "p_x", "p_y"]
    assert table[f"{head}_head"].tolist() == ["y", "x"]
    assert table[["p_x", "p_y"]].to_numpy().tolist() == [[0.2, 0.8], [0.7, 0.3]]


def test_rows_are_in_manifest_order():
    rows = {name: row(duration=number) for number, name in enumerate("cab")}
    table = table_of(rows, {name: [0.0] * 3 for name in "abc"})
    assert table["ID"].tolist() == ["c", "a", "b"]
    assert table["duration"].tolist() == [0, 1, 2]


def test_utterances_without_prediction_are_logged(caplog):
    with caplog.at_level(logging.WARNING):
        table = table_of({"a": row(), "b": row()}, {"b": [0.0, 0.0, 0.0]})
    assert table["ID"].tolist() == ["b"]
    assert "1 of 2 utterances were not predicted." in caplog.text


def test_region_names_of_finer_partition():
    regions = SphericalRegions(45)
    assert region_names(np.array([[0.1, 0.2, 0.3]]), regions)[0] in regions.names
    assert region_names(np.array([[np.nan, 0.2, 0.3]]), regions) == [""]


@pytest.fixture
def numbers():
    """Doubles of every size, with the awkward ones."""
    chance = np.random.default_rng(3)
    values = chance.normal(size=300) * 10.0 ** chance.integers(-300, 300, 300)
    return np.concatenate(
        [values, [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, np.nan]]
    )


def test_round_trip_is_bit_exact(numbers, tmp_path):
    table = pd.DataFrame({"ID": [f"u{n}" for n in range(len(numbers))]})
    for name in (*DIMENSIONS, *PREDICTED, "duration", "p_I"):
        table[name] = np.random.default_rng(len(name)).permutation(numbers)
    write_predictions(table, tmp_path / "deep" / "test.csv")
    again = read_predictions(tmp_path / "deep" / "test.csv")
    for name in table.columns[1:]:
        assert again[name].to_numpy().tobytes() == table[name].to_numpy().tobytes(), name


def test_text_columns_are_unchanged(tmp_path):
    texts = ["NA", "007", "", "nan", 'a,"b"', "ü", "two\nlines", "None"]
    table = table_of({f"u{n}": row(speaker=t, emotion=t) for n, t in enumerate(texts)},
                     {f"u{n}": [0.0] * 3 for n in range(len(texts))})  # fmt: skip
    table["ID"] = texts
    write_predictions(table, tmp_path / "test.csv")
    again = read_predictions(tmp_path / "test.csv")
    for name in ("ID", "speaker", "emotion"):
        assert again[name].tolist() == texts


def test_writing_leaves_single_complete_file(tmp_path):
    for length in (3, 1):
        table = table_of(
            {str(n): row() for n in range(length)}, {str(n): [0.0] * 3 for n in range(length)}
        )
        write_predictions(table, tmp_path / "test.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["test.csv"]
    assert len(read_predictions(tmp_path / "test.csv")) == 1


def test_missing_column_raises_with_found_columns(tmp_path):
    (tmp_path / "test.csv").write_text("ID,valence,arousal,valence_predicted\na,1,2,3\n")
    with pytest.raises(
        ValueError, match=r"no column dominance, arousal_predicted.*found ID, valence"
    ):
        read_predictions(tmp_path / "test.csv")


HEADER = ",".join(["ID", *DIMENSIONS, *PREDICTED])


def test_invalid_number_raises_with_column_and_id(tmp_path):
    (tmp_path / "test.csv").write_text(f"{HEADER}\na,1,2,3,4,5,6\nb,1,2,3,4,high,6\n")
    with pytest.raises(ValueError, match=r"arousal_predicted of b in .*test.csv.*'high'"):
        read_predictions(tmp_path / "test.csv")


def test_missing_value_markers_are_nan(tmp_path):
    (tmp_path / "test.csv").write_text(f"{HEADER}\na,NA,,3,4,5,6\n")
    table = read_predictions(tmp_path / "test.csv")
    assert table[["valence", "arousal"]].isna().all(axis=None)
    assert table["dominance"].tolist() == [3.0]


def test_empty_file_raises(tmp_path):
    (tmp_path / "test.csv").write_text("")
    with pytest.raises(ValueError, match=r"test.csv is empty"):
        read_predictions(tmp_path / "test.csv")


def test_ids_that_spreadsheets_execute_are_neutralised_and_restored(tmp_path):
    ids = ["=1+1", "+a", "-b", "@c", "\x1b[2Jd", "'=e", "-0.5", "f"]
    table = pd.DataFrame({"ID": ids, "duration": 1.0, "speaker": ids[::-1], "gender": "Female"})
    table["emotion"] = "happy"
    table[[*DIMENSIONS, *PREDICTED]] = -0.25
    table[["region", "region_point"]] = ONE
    path = tmp_path / "test.csv"
    write_predictions(table, path)
    text = path.read_text(encoding="utf-8")
    assert [line.partition(",")[0] for line in text.splitlines()[1:]] == [
        "'=1+1", "'+a", "'-b", "'@c", r"\x1b[2Jd", "''=e", "-0.5", "f",
    ]  # fmt: skip
    assert ",-0.25" in text
    for found in (read_predictions(path), read_text_table(path, is_escaped=is_own_table)):
        assert found["ID"].tolist() == ids
        assert found["speaker"].tolist() == ids[::-1]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
def test_table_in_several_parts_equals_the_table_in_one_part(tmp_path, monkeypatch, rows):
    rng = np.random.default_rng(rows)
    known = {f"=u{n}": row(valence="" if n % 3 == 1 else "2.5") for n in range(rows)}
    table = table_of(known, {name: rng.normal(size=3) for name in known})
    write_predictions(table, tmp_path / "whole.csv")
    whole = read_predictions(tmp_path / "whole.csv")
    monkeypatch.setattr(predictions, "CHUNK_ROWS", 3)
    write_predictions(table, tmp_path / "parts.csv")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "parts.csv"), whole)
    assert list(whole["ID"]) == list(known) and whole.index.tolist() == list(range(rows))


def test_empty_table_keeps_its_columns(tmp_path):
    table = table_of({"a": row()}, {"a": [0.0] * 3}).iloc[:0]
    write_predictions(table, tmp_path / "a.csv")
    assert list(read_predictions(tmp_path / "a.csv").columns) == list(table.columns)


def test_invalid_number_in_a_later_part_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK_ROWS", 1)
    table = table_of({n: row() for n in "ab"}, {n: [0.0] * 3 for n in "ab"})
    write_predictions(table, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text().splitlines()
    columns = text[2].split(",")
    columns[list(table.columns).index("arousal_predicted")] = "high"
    (tmp_path / "a.csv").write_text("\n".join([*text[:2], ",".join(columns)]) + "\n")
    with pytest.raises(
        ValueError, match=r"arousal_predicted of b .*must be a number; found 'high'"
    ):
        read_predictions(tmp_path / "a.csv")
