"""Messages about empty sets name the options or the rejections that left them empty."""

import pytest

from data_prep.corpus import ExcludedRow, Rejection
from data_prep.iemocap import reader as iemocap
from data_prep.manifest import prepare_manifests
from data_prep.msp_improv import reader as msp_improv
from data_prep.own_data import reader as own_data

SCALE = {"label_low": 1, "label_high": 5}
HEADER = "file,valence,arousal,dominance,speaker,split,emotion"
LINES = [
    "a.wav,1,2,3,s1,train,sad",
    "b.wav,1,2,3,s2,dev,sad",
    "c.wav,1,2,3,s2,dev,calm",
    "d.wav,1,2,9,s2,dev,calm",
    "e.wav,1,2,3,s3,test,sad",
    "f.wav,1,2,3,s3,test,calm",
]


def message(module, root, out, **options):
    with pytest.raises(ValueError) as error:
        prepare_manifests(module, root, out, **options)
    return str(error.value)


def test_classes_excluded_by_an_option_are_counted(folder, tmp_path, wav):
    root = folder(LINES, header=HEADER)
    wav(root / "extra.wav")
    text = message(own_data, root, tmp_path / "out", **SCALE, drop_valid="sad,calm")
    assert text == (
        "The 'valid' set of OwnData must contain at least one utterance; found 3 rows for this "
        f"set in the label files, excluded: 3 by --drop_valid. Data folder: {root}."
    )


def test_excluded_and_rejected_rows_are_counted_together(folder, tmp_path, wav):
    root = folder([line for line in LINES if line[0] != "c"], header=HEADER)
    wav(root / "extra.wav")
    text = message(own_data, root, tmp_path / "out", **SCALE, drop_valid="sad")
    assert (
        "found 2 rows for this set in the label files, excluded: 1 by --drop_valid, rejected: "
        "1 x label outside the scale (first: d.wav, label outside the scale: dominance is 9.0; "
        "must be from 1 to 5). Data folder" in text
    )


def test_test_set_emptied_by_an_option(folder, tmp_path, wav):
    root = folder(LINES, header=HEADER)
    wav(root / "extra.wav")
    summary = prepare_manifests(
        own_data, root, tmp_path / "out", **SCALE, drop_test=["calm", "sad"]
    )
    assert summary.warnings == [
        "The 'test' set is empty and was skipped: found 2 rows for this set in the label files, "
        "excluded: 2 by --drop_test."
    ]


@pytest.mark.parametrize("name", ["valid", "test"])
def test_share_of_zero_gives_an_empty_set(folder, tmp_path, wav, name):
    root = folder([f"{k}.wav,1,2,3,s{k}" for k in range(9)], header=HEADER.rsplit(",", 2)[0])
    wav(root / "extra.wav")
    text = message(
        own_data,
        root,
        tmp_path / "out",
        **SCALE,
        **{f"{name}_share": 0},
        required_sets=("train", name),
    )
    assert (
        f"found 0 rows for this set in the label files: --{name}_share=0 assigns no speakers"
        in text
    )


def test_partition_whole_has_no_training_set(folder, tmp_path):
    root = folder(LINES, header=HEADER)
    text = message(own_data, root, tmp_path / "out", **SCALE, partition="whole")
    assert (
        "in the label files: --partition=whole assigns all data to the 'test' set. Data folder"
        in text
    )


def test_unknown_splits_are_listed(folder, tmp_path, wav):
    """Rejected rows of unknown sets are listed; audio without a label is not."""
    lines = [line.replace(",dev,", ",evaluation,") for line in LINES]
    root = folder(lines, header=HEADER)
    wav(root / "extra.wav")
    text = message(own_data, root, tmp_path / "out", **SCALE)
    assert (
        "found 0 rows for this set in the label files, rejected: 3 x unknown split (first: b.wav"
        in text
    )
    assert "audio without a label" not in text


def test_options_are_counted_separately(data, tmp_path, reader, sets_of, utterance):
    excluded = [
        ExcludedRow(name, utterance(id), option)
        for name, id, option in (
            ("valid", "x", "--drop_valid"),
            ("valid", "y", "--conditions"),
            ("valid", "z", "--conditions"),
            ("test", "w", "--conditions"),
        )
    ]
    rejected = [Rejection("v.wav", "malformed row", "valid"), Rejection("?", "no file name")]
    module = reader(sets_of(valid=""), excluded=excluded, rejected=rejected)
    text = message(module, data, tmp_path / "out")
    assert (
        "found 4 rows for this set in the label files, excluded: 2 by --conditions, 1 by "
        "--drop_valid, "
        "rejected: 1 x malformed row (first: v.wav, malformed row). Data folder" in text
    )


def test_conditions_of_msp_improv(tmp_path, wav):
    root, lines = tmp_path / "MSP-IMPROV", []
    for session in "123456":
        name = f"IMPROV-S01A-F0{session}-R-FF01"
        wav(root / f"session{session}/S01A/R/MSP-{name}.wav")
        lines.append(f"UTD-{name}.avi; A; A:2.0; V:3.0; D:4.0; N:3.0;\n\n")
    (root / "Evalution.txt").write_text("".join(lines))
    text = message(msp_improv, root, tmp_path / "out", conditions="P,S")
    assert "'train' set of MSP-IMPROV must contain at least one utterance; found 4 rows" in text
    assert "in the label files, excluded: 4 by --conditions. Data folder" in text


def test_four_classes_of_iemocap(tmp_path, wav):
    root = tmp_path / "IEMOCAP"
    for session in "12345":
        name, code = f"Ses0{session}F_impro01", "xxx" if session == "4" else "neu"
        wav(root / f"Session{session}/sentences/wav/{name}/{name}_F000.wav")
        labels = root / f"Session{session}/dialog/EmoEvaluation"
        labels.mkdir(parents=True)
        turn = f"[0.0 - 1.0]\t{name}_F000\t{code}\t[2.0, 3.0, 4.0]\n"
        (labels / f"{name}.txt").write_text(turn)
    text = message(
        iemocap, root, tmp_path / "out", partition="fixed", four_classes=True, drop_valid="sad"
    )
    assert (
        "found 1 rows for this set in the label files, excluded: 1 by --four_classes. Data folder"
        in text
    )
