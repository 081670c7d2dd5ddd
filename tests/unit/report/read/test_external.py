"""Tests of reading external CSV files: columns, joining by ID, scales."""

import math

import pytest

from emosphere_sb.inference.output.files import CsvWriter, prediction_columns
from emosphere_sb.report.read.external import read_external
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale
from tests.helpers.models import tiny_about

SEVEN = Scale(1, 7)
CONSENSUS = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP_1.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP_2.wav,H,5.5,6.5,4.0,Unknown,Female,Test1
"""
CHALLENGE = "FileName,EmoAct,EmoVal,EmoDom\nMSP_2.wav,5,6,3\nMSP_1.wav,2,4,3\n"


def written(folder, text, name="predictions.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def read(folder, text, labels=None, **options):
    if labels is not None:
        options["labels"] = written(folder, labels, "labels.csv")
    return read_external(written(folder, text), **{"scale": SEVEN, **options})


def test_single_file_with_truth_and_predictions(tmp_path):
    text = "file;v;a;d;pred_v;pred_a;pred_d\nx;1,5;2;3;4;5;6,25\n"
    table, notes = read(tmp_path, text)
    assert table["ID"].tolist() == ["x"]
    assert table.loc[0, list(DIMENSIONS)].tolist() == [1.5, 2.0, 3.0]
    assert table.loc[0, list(PREDICTED)].tolist() == [4.0, 5.0, 6.25]
    assert notes == []


def test_challenge_file_with_corpus_labels(tmp_path):
    """Columns are reordered from A, V, D to V, A, D; the row order is unchanged."""
    table, notes = read(tmp_path, CHALLENGE, CONSENSUS)
    assert table["ID"].tolist() == ["MSP_2.wav", "MSP_1.wav"]
    assert table[list(DIMENSIONS)].values.tolist() == [[6.5, 5.5, 4.0], [4.0, 2.2, 2.6]]
    assert table[list(PREDICTED)].values.tolist() == [[6.0, 5.0, 3.0], [4.0, 2.0, 3.0]]
    assert table["speaker"].tolist() == ["Unknown", "30"]
    assert table["gender"].tolist() == ["Female", "Male"]
    assert table["emotion"].tolist() == ["H", "N"]
    assert notes == []


def test_octants_of_truth_and_prediction(tmp_path):
    """Signs of V, A, D around 4: + + + is I, - - - is VII; neutral counts as +."""
    text = "id,valence,arousal,dominance,valence_pred,arousal_pred,dominance_pred\n"
    table, _ = read(tmp_path, text + "x,5,5,5,3,3,3\ny,4,4,4,6,6,6\nz,,4,4,1,1,1\n")
    assert table["region"].tolist() == ["I", "I", ""]
    assert table["region_point"].tolist() == ["VII", "I", "VII"]
    assert math.isnan(table.loc[2, "valence"])


def test_mapping_overrides_recognition(tmp_path):
    text = "clip,id,V0,A0,D0,V1,A1,D1\nx,9,1,2,3,4,5,6\n"
    columns = {"ID": "clip", "valence": "V0", "arousal": "A0", "dominance": "D0"}
    columns |= {f"{name}_predicted": f"{name[0].upper()}1" for name in DIMENSIONS}
    table, _ = read(tmp_path, text, columns=columns)
    assert table["ID"].tolist() == ["x"]
    assert table.loc[0, [*DIMENSIONS, *PREDICTED]].tolist() == [1, 2, 3, 4, 5, 6]


def test_prediction_mapping_does_not_affect_labels(tmp_path):
    columns = {f"{name}_predicted": f"Emo{name[:3].title()}" for name in DIMENSIONS}
    columns["arousal_predicted"] = "EmoAct"
    table, _ = read(tmp_path, CHALLENGE, CONSENSUS, columns=columns)
    assert table["valence"].tolist() == [6.5, 4.0]
    assert table["valence_predicted"].tolist() == [6.0, 4.0]


def test_predictions_in_labels_file_are_ignored(tmp_path):
    header = ",".join(["ID", *DIMENSIONS, *PREDICTED])
    labels = f"{header}\nMSP_1,1,2,3,7,7,7\nMSP_2,4,5,6,7,7,7\n"
    table, _ = read(tmp_path, CHALLENGE, labels)
    assert table[[*DIMENSIONS, *PREDICTED]].values.tolist() == [
        [4, 5, 6, 6, 5, 3], [1, 2, 3, 4, 2, 3],
    ]  # fmt: skip


def test_labels_file_overrides_truth_with_note(tmp_path):
    header = ",".join(["ID", *DIMENSIONS, *PREDICTED])
    labels = "ID,valence,arousal,dominance\nx,1,2,3\n"
    table, notes = read(tmp_path, f"{header}\nx,7,7,7,4,5,6\n", labels)
    assert table.loc[0, [*DIMENSIONS, *PREDICTED]].tolist() == [1, 2, 3, 4, 5, 6]
    (note,) = notes
    assert "Ignored valence, arousal, dominance" in note


def test_predictions_on_other_scale_are_converted(tmp_path):
    """0, .5, 1 of [0, 1] are 1, 4, 7."""
    text = "FileName,EmoAct,EmoVal,EmoDom\nMSP_1.wav,0,0.5,1\nMSP_2.wav,0.25,0.75,0.5\n"
    table, _ = read(tmp_path, text, CONSENSUS, predicted_scale=Scale(0, 1))
    assert table[list(PREDICTED)].values.tolist() == [[4.0, 1.0, 7.0], [5.5, 2.5, 4.0]]
    assert table["valence"].tolist() == [4.0, 6.5]


def test_predictions_are_inverted_for_reversed_labels(tmp_path):
    text = "FileName,EmoAct,EmoVal,EmoDom\nx,5,2,2\n"
    labels = "FileName,EmoAct,EmoVal,EmoDom\nx,1,2,2\n"
    table, _ = read(
        tmp_path,
        text,
        labels,
        scale=Scale(1, 5, reversed=("arousal",)),
        predicted_scale=Scale(1, 5),
    )
    assert table.loc[0, list(PREDICTED)].tolist() == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("name", ["MSP_1", "wavs/MSP_1.flac", "C:\\wavs\\MSP_1.WAV"])
def test_folders_and_suffixes_are_ignored_when_matching_ids(tmp_path, name):
    other = name.replace("_1", "_2")
    text = f"FileName,EmoAct,EmoVal,EmoDom\n{name},2,4,3\n{other},5,6,3\n"
    table, _ = read(tmp_path, text, CONSENSUS)
    assert table["ID"].tolist() == [name, other]
    assert table["valence"].tolist() == [4.0, 6.5]


def test_folders_distinguish_otherwise_equal_ids(tmp_path):
    head = "FileName,EmoAct,EmoVal,EmoDom\n"
    table, _ = read(tmp_path, head + "a/1,2,2,2\nb/1,3,3,3\n", head + "b/1,5,5,5\na/1,4,4,4\n")
    assert table["valence"].tolist() == [4.0, 5.0]


def test_unmatched_ids_raise_with_counts(tmp_path):
    text = CHALLENGE + "MSP_3.wav,1,1,1\n"
    labels = CONSENSUS + "MSP_4.wav,A,1,1,1,3,Male,Test1\n"
    said = (
        r"2 IDs in both files, 1 \(MSP_3\.wav\) only in predictions\.csv, "
        r"1 \(MSP_4\.wav\) only in labels\.csv\. Use --only_common"
    )
    with pytest.raises(ValueError, match=said):
        read(tmp_path, text, labels)


def test_only_common_keeps_shared_ids_and_counts_others(tmp_path):
    text = CHALLENGE + "MSP_3.wav,1,1,1\n"
    labels = CONSENSUS + "MSP_4.wav,A,1,1,1,3,Male,Test1\nMSP_5.wav,A,1,1,1,3,Male,Test1\n"
    table, notes = read(tmp_path, text, labels, only_common=True)
    assert table["ID"].tolist() == ["MSP_2.wav", "MSP_1.wav"]
    assert [note.partition(": ")[2] for note in notes] == [
        "1 (MSP_3.wav) only in predictions.csv.", "2 (MSP_4.wav, MSP_5.wav) only in labels.csv.",
    ]  # fmt: skip


def test_no_common_ids_always_raise(tmp_path):
    labels = "FileName,EmoAct,EmoVal,EmoDom\nother,1,1,1\n"
    with pytest.raises(ValueError, match=r"0 IDs in both files.*belong to the same set"):
        read(tmp_path, CHALLENGE, labels, only_common=True)


def test_duplicated_ids_raise_with_names(tmp_path):
    with pytest.raises(
        ValueError, match=r"in .*labels\.csv must be unique; duplicates: 1 \(MSP_1\.wav\)"
    ):
        read(tmp_path, CHALLENGE, CONSENSUS + "MSP_1.wav,A,1,1,1,3,Male,Test1\n")
    text = "id,v,a,d,v_pred,a_pred,d_pred\n" + "x,1,1,1,1,1,1\n" * 2
    with pytest.raises(
        ValueError, match=r"in .*predictions\.csv must be unique; duplicates: 1 \(x\)"
    ):
        read(tmp_path, text)


def test_file_without_truth_suggests_labels_option(tmp_path):
    said = "no column for valence_predicted, .*recognised: ID, valence, .*--labels=FILE"
    with pytest.raises(ValueError, match=said):
        read(tmp_path, CHALLENGE)


def test_labels_without_dimension_raise(tmp_path):
    with pytest.raises(ValueError, match=r"labels\.csv has no column for dominance;"):
        read(tmp_path, CHALLENGE, "FileName,EmoAct,EmoVal\nMSP_1,1,1\nMSP_2,1,1\n")


def test_ambiguous_columns_raise(tmp_path):
    text = "file,v,val,a,d,v_pred,a_pred,d_pred\nx,1,2,3,4,5,6,7\n"
    with pytest.raises(ValueError, match=r"several columns for valence: v, val\. Choose one"):
        read(tmp_path, text)
    table, _ = read(tmp_path, text, columns={"valence": "val"})
    assert table["valence"].tolist() == [2.0]


def test_unknown_mapping_names_raise(tmp_path):
    with pytest.raises(ValueError, match="found pleasure"):
        read(tmp_path, CHALLENGE, CONSENSUS, columns={"pleasure": "EmoVal"})
    with pytest.raises(ValueError, match="column 'EmoVall' for valence not found"):
        read(tmp_path, CHALLENGE, CONSENSUS, columns={"valence": "EmoVall"})


def test_invalid_number_raises(tmp_path):
    with pytest.raises(ValueError, match=r"arousal_predicted of MSP_2\.wav in .* found 'five'"):
        read(tmp_path, CHALLENGE.replace("5,6,3", "five,6,3"), CONSENSUS)


def test_octant_column_is_not_valence(tmp_path):
    """In the processed labels of the official code, ``V`` is the fifth octant."""
    octants = "I,II,III,IV,V,VI,VII,VIII"
    labels = f"FileName,Angry,Sad,{octants},EmoAct,EmoVal,EmoDom,Split_Set\n" + "".join(
        f"MSP_{k}.wav,0.0,1.0,0,0,0,0,1,0,0,0,2.2,{k}.5,2.6,Test1\n" for k in (1, 2)
    )
    table, _ = read(tmp_path, CHALLENGE, labels)
    assert table["valence"].tolist() == [2.5, 1.5]
    with pytest.raises(ValueError, match=r"labels\.csv has no column for valence"):
        read(tmp_path, CHALLENGE, labels.replace("EmoVal", "Other"))


def test_class_columns_are_not_dimensions(tmp_path):
    labels = "FileName,A,S,H,U,F,D,C,N,EmoAct,EmoVal,EmoDom\n" + "".join(
        f"MSP_{k},1,0,0,0,0,0,0,0,2,3,4\n" for k in (1, 2)
    )
    table, _ = read(tmp_path, CHALLENGE, labels)
    assert table[list(DIMENSIONS)].values.tolist() == [[3, 2, 4], [3, 2, 4]]


def test_tables_of_a_spreadsheet(tmp_path):
    """Semicolons and decimal commas, a byte order mark, a pandas index, and Windows paths."""
    predictions = "\ufeffFileName;EmoAct;EmoVal;EmoDom\r\nC:\\wav\\msp_1.WAV;2,5;4;3,125\r\n"
    labels = ",FileName,EmoAct,EmoVal,EmoDom,SpkrID\n0,MSP_1.wav,1.5,2,3,007\n"
    table, notes = read(tmp_path, predictions, labels)
    assert table.loc[0, list(PREDICTED)].tolist() == [4.0, 2.5, 3.125]
    assert table.loc[0, list(DIMENSIONS)].tolist() == [2.0, 1.5, 3.0]
    assert (table.loc[0, "speaker"], notes) == ("007", [])


def test_assumed_encoding_is_a_note(tmp_path):
    text = "file,v,a,d,pred_v,pred_a,pred_d\nZoë,1,2,3,4,5,6\n"
    (tmp_path / "x.csv").write_bytes(text.encode("cp1252"))
    table, (note,) = read_external(tmp_path / "x.csv", scale=SEVEN)
    assert table["ID"].tolist() == ["Zoë"]
    assert note.startswith("x.csv is not UTF-8 and was read as Windows-1252.")


NAMES = ("clips\\x41.wav", "clips\\xab_1.wav", "'=1+1.wav", "\\x1b.wav")
"""File names, two of them on Windows, that look like escaped text."""


def test_names_in_tables_of_other_programs_are_never_changed(tmp_path):
    lines = "".join(f"{name},2,3,4\n" for name in NAMES)
    header = "FileName,EmoAct,EmoVal,EmoDom\n"
    table, notes = read(tmp_path, header + lines, header + lines)
    assert (tuple(table["ID"]), notes) == (NAMES, [])
    lines = "".join(f"{name},2,3,4,2,3,4,{name}\n" for name in NAMES)
    table, _ = read(tmp_path, f"file,v,a,d,pred_v,pred_a,pred_d,speaker\n{lines}")
    assert (tuple(table["ID"]), tuple(table["speaker"])) == (NAMES, NAMES)


def test_names_in_tables_of_this_package_are_restored(tmp_path):
    """The labels have the names of the files as they are."""
    columns = prediction_columns(tiny_about())
    with CsvWriter(tmp_path / "own.csv", lambda row: row, columns) as file:
        for name in (*NAMES, "=2.wav"):
            values = dict.fromkeys(columns, 0.5) | {"file": name, "region": "I", "error": ""}
            file.write(values)
    assert "clips\\x5cx41.wav" in (tmp_path / "own.csv").read_text(encoding="utf-8")
    lines = "".join(f"{name},2,3,4\n" for name in (*NAMES, "=2.wav"))
    labels = written(tmp_path, "FileName,EmoAct,EmoVal,EmoDom\n" + lines, "labels.csv")
    columns = {f"{name}_predicted": f"{name}_on_scale" for name in DIMENSIONS}
    table, _ = read_external(
        tmp_path / "own.csv", scale=SEVEN, labels=labels, columns={"ID": "file", **columns}
    )
    assert tuple(table["ID"]) == (*NAMES, "=2.wav")
