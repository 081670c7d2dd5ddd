"""Your own data: sets, scale, ids, and real speech if available."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.manifest import prepare_manifests, read_manifest
from data_prep.own_data import labels
from data_prep.own_data import reader as own_data
from emosphere_sb.scale import Scale

SCALE = {"label_low": 1, "label_high": 5}
TAVA = Path(
    os.environ.get("EMOSPHERE_TAVA") or Path(__file__).parents[5] / "shared" / "data" / "tava"
)


SPLIT = ["a.wav,1,2,3,s1,train", "b.wav,4,5,1.5,s2,Dev", "c/d.wav,2,2,,s3,test"]


def test_manifests_of_a_small_table(folder, tmp_path, wav, rows_of):
    header = "ID,file,VALENCE,Arousal,dominance,speaker,split,gender,emotion,session,transcript"
    lines = [
        "u1,a.wav,1,2,3,s1,train,f,happy,1,Hello",
        'u2,b.wav,4,5,1.5,s2,validation,M,Sad,2,"Oh, no"',
        ",c/d.wav,2,2.25,,s3,test2,diverse,,,",
    ]
    root = folder(lines, header=header, audio=False)
    for file in ("a.wav", "b.wav", "c/d.wav"):
        wav(root / file)
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    expected = {
        "train": "u1,0.5,$data_root/a.wav,16000,1.0,2.0,3.0,happy,s1,Female,1,Hello",
        "valid": "u2,0.5,$data_root/b.wav,16000,4.0,5.0,1.5,Sad,s2,Male,2,Oh; no",
        "test2": "c-d,0.5,$data_root/c/d.wav,16000,2.0,2.25,,,s3,diverse,,",
    }
    for name, line in expected.items():
        wanted = [value.replace(";", ",") for value in line.split(",")]
        assert rows_of(summary.sets[name])[1:] == [[*wanted, *[""] * 5]]
    assert list(summary.sets) == list(expected)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("train", "train"),
        ("TRAIN", "train"),
        ("valid", "valid"),
        ("dev", "valid"),
        ("Development", "valid"),
        ("validation", "valid"),
        ("test", "test"),
        ("Test1", "test1"),
        ("test12", "test12"),
        ("holdout", ""),
        ("train2", ""),
    ],
)
def test_words_are_converted_to_set_names(word, name):
    assert labels.split_name(word) == name


@pytest.mark.parametrize("scale", [{}, {"label_low": 1}, {"label_high": 7}])
def test_missing_scale_raises(folder, scale):
    with pytest.raises(ValueError, match="Pass, for example, --label_low=1 --label_high=7"):
        own_data.read(folder(SPLIT), **scale)


def test_scale_with_reversed_dimensions(folder):
    root = folder(SPLIT)
    found = own_data.read(root, **SCALE, reversed_dimensions="arousal, dominance")
    assert found.scale == Scale(1, 5, ("arousal", "dominance"))
    assert found.sets["train"][0].arousal == 2.0


def test_label_outside_the_scale_is_rejected(folder, tmp_path, rows_of):
    root = folder([*SPLIT, "e.wav,5.5,1,1,s1,train"])
    prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    reason = "label outside the scale: valence is 5.5; must be from 1 to 5"
    assert rows_of(tmp_path / "out" / "rejected.csv")[1:] == [["e.wav", "train", reason]]


@pytest.mark.parametrize(
    ("line", "rejection"),
    [
        ("e.wav,1,2,3,s1,later", ("e.wav", "unknown split: 'later'", "")),
        ("e.wav,1,2,3,s1,", ("e.wav", "unknown split: ''", "")),
        ("e.wav,1,x,3,s1,train", ("e.wav", "not a number: arousal is 'x'", "train")),
        ("e.wav,1,2,3", ("e.wav", "malformed row: line 5 has 4 values, expected 6", "")),
        (",1,2,3,s1,train", ("labels.csv:5", "no file name: line 5", "train")),
    ],
)
def test_unusable_rows_are_rejected(folder, line, rejection):
    root = folder([*SPLIT, line], audio=False)
    assert own_data.read(root, **SCALE).rejected == [rejection]


@pytest.mark.parametrize("word", ["NaN", "nan", "NA", "n/a", "N/A", "null", "None", ""])
def test_words_for_missing_values_are_accepted(folder, tmp_path, word, rows_of):
    root = folder([*SPLIT, f"e.wav,1,{word},3,s1,train", f"f.wav,{word},{word},{word},s1,train"])
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert rows_of(summary.sets["train"])[2][4:7] == ["1.0", "", "3.0"]
    assert summary.rejected == {"no label": 1}


@pytest.mark.parametrize("word", ["inf", "-Infinity", "-", "?", "missing", "#N/A", "nan nan"])
def test_invalid_values_are_rejected(folder, tmp_path, word):
    root = folder([*SPLIT, f"e.wav,1,{word},3,s1,train"])
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert set(summary.rejected) <= {"label not finite", "not a number"} and summary.rejected


def test_short_row_without_its_file_is_rejected(folder):
    header = "valence,arousal,dominance,split,file"
    root = folder(["1,2,3,train,a.wav", "1,2,3"], header=header, audio=False)
    reason = "malformed row: line 3 has 3 values, expected 5"
    assert own_data.read(root, **SCALE).rejected == [("labels.csv:3", reason, "")]


def test_absolute_paths_inside_and_outside_the_data_folder(folder, tmp_path, wav, rows_of):
    outside = wav(tmp_path / "elsewhere" / "x.wav")
    root = folder(SPLIT)
    lines = [*SPLIT, f"{outside},1,1,1,s1,train", f"{root}/e.wav,1,1,1,s1,train"]
    wav(root / "e.wav")
    summary = prepare_manifests(own_data, folder(lines, audio=False), tmp_path / "out", **SCALE)
    rows = rows_of(summary.sets["train"])[1:]
    assert [row[2] for row in rows] == ["$data_root/a.wav", str(outside), "$data_root/e.wav"]
    assert rows[2][0] == "e"


def test_labels_file_option_is_used(folder, tmp_path):
    root = folder(SPLIT)
    (root / "labels.csv").rename(tmp_path / "mine.csv")
    found = own_data.read(root, **SCALE, labels_file=tmp_path / "mine.csv")
    assert found.sets["train"][0].path == "a.wav"


def test_missing_table_raises(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"--labels_file must be the path of a file.*does not exist"
    ):
        own_data.read(tmp_path, **SCALE)


def test_missing_column_raises(folder):
    root = folder(["a.wav,1,2"], header="file,valence,activation", audio=False)
    with pytest.raises(ValueError, match="missing: arousal, dominance; found: file, valence, act"):
        own_data.read(root, **SCALE)


def test_ids_of_similar_paths_differ():
    ids = labels.unique_ids(["a/b.wav", "a-b.wav", "a-b.flac", "a-b-2.wav"])
    assert len(set(ids.values())) == 4
    assert labels.unique_ids(sorted(ids, reverse=True)) == ids


def many(speakers=10, files=3):
    return [f"s{s}/{k}.wav,1,2,3,s{s}" for s in range(speakers) for k in range(files)]


def test_speakers_are_split_without_a_split_column(folder):
    root = folder(many(), header="file,valence,arousal,dominance,speaker", audio=False)
    found = own_data.read(root, **SCALE, valid_share=0.2, test_share=0.3)
    speakers = {name: {row.speaker for row in rows} for name, rows in found.sets.items()}
    assert {name: len(names) for name, names in speakers.items()} == {
        "train": 5,
        "valid": 2,
        "test": 3,
    }
    assert len(set().union(*speakers.values())) == 10
    assert sum(len(rows) for rows in found.sets.values()) == 30
    assert found.protocol["partition"] == "by_speaker"


def speakers_of(corpus):
    return {name: {row.speaker for row in rows} for name, rows in corpus.sets.items()}


def test_cross_validation_over_speakers(folder):
    root = folder(many(), header="file,valence,arousal,dominance,speaker", audio=False)
    tested = []
    for fold in (1, 2, 3, 4):
        found = own_data.read(root, **SCALE, partition="folds", folds=4, fold=fold)
        sets = speakers_of(found)
        assert list(sets) == ["train", "valid", "test"]
        assert sum(map(len, sets.values())) == len(set().union(*sets.values())) == 10
        facts = {key: found.protocol[key] for key in found.protocol if "drop" not in key}
        assert facts == {
            "partition": "4_folds", "fold": fold, "folds": 4, "partition_seed": 1,
            "divided_by": "speaker", "speakers": {name: len(names) for name, names in sets.items()},
        }  # fmt: skip
        tested.append(sets["test"])
    assert sorted(map(len, tested)) == [2, 2, 3, 3]
    assert set().union(*tested) == {f"s{k}" for k in range(10)}


def test_folds_ignore_a_split_column(folder):
    lines = [f"{line},train" for line in many(6)]
    root = folder(lines, header="file,valence,arousal,dominance,speaker,split", audio=False)
    found = own_data.read(root, **SCALE, partition="folds", folds=3)
    assert [len(names) for names in speakers_of(found).values()] == [2, 2, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"fold": 2},
            "fold must be 1, because the partition 'by_speaker' has no folds; found 2.*=folds",
        ),
        ({"partition": "speaker"}, "one of split, by_speaker, folds, whole; found 'speaker'"),
        ({"partition": "split"}, "requires a column 'split', which .*labels.csv lacks"),
        ({"partition": "folds", "fold": 6}, "integer from 1 to 5; found 6"),
        (
            {"partition": "folds", "folds": 11},
            "11 folds require at least 11 speakers; found 10: s0",
        ),
        ({"partition": "folds", "folds": 2}, "at least 3 folds; found 2"),
    ],
)
def test_invalid_partition_options_raise(folder, options, text):
    root = folder(many(), header="file,valence,arousal,dominance,speaker", audio=False)
    with pytest.raises(ValueError, match=text):
        own_data.read(root, **SCALE, **options)


def test_partition_whole_has_one_test_set(folder, tmp_path):
    """Speakers may be in two splits, because the partition whole ignores the splits."""
    root = folder([*SPLIT, "e.wav,1,1,1,s1,test"])
    summary = prepare_manifests(
        own_data, root, tmp_path / "out", required_sets=(), **SCALE, **own_data.WHOLE
    )
    assert list(summary.sets) == ["test"]
    assert set(read_manifest(summary.sets["test"]).ID) == {"a", "b", "c-d", "e"}


def test_rows_without_a_speaker_are_used_for_training(folder):
    lines = [*many(), "x.wav,1,2,3,", "y.wav,1,2,3,unknown"]
    root = folder(lines, header="file,valence,arousal,dominance,speaker", audio=False)
    found = own_data.read(root, **SCALE)
    assert {"x", "y"} <= {row.id for row in found.sets["train"]}
    assert found.warnings == ["All 2 files without a speaker are used for training."]


def test_missing_speakers_give_a_warning(folder):
    lines = [f"{k}.wav,1,2,3" for k in range(20)]
    root = folder(lines, header="file,valence,arousal,dominance", audio=False)
    found = own_data.read(root, **SCALE)
    assert {name: len(rows) for name, rows in found.sets.items()} == {
        "train": 14,
        "valid": 3,
        "test": 3,
    }
    assert "Sets may share speakers" in found.warnings[0]


def test_too_few_speakers_raise(folder):
    root = folder(many(2), header="file,valence,arousal,dominance,speaker", audio=False)
    with pytest.raises(ValueError, match="at least 3 speakers; found 2: s0, s1"):
        own_data.read(root, **SCALE)


def test_given_split_with_shared_speakers_raises(folder, tmp_path):
    root = folder([*SPLIT, "e.wav,1,1,1,s1,test"])
    with pytest.raises(
        ValueError, match=r"must not share speakers: train and test share 1 speaker .*s1"
    ):
        prepare_manifests(own_data, root, tmp_path / "out", **SCALE)


def test_given_split_of_unknown_speakers_gives_a_warning(folder):
    root = folder([*SPLIT, "e.wav,1,1,1,,test", "f.wav,1,1,1,NA,train"], audio=False)
    assert own_data.read(root, **SCALE).warnings == [
        "2 of 5 files have no speaker, so it cannot be checked whether the sets share speakers."
    ]


def test_excluded_classes_are_counted(folder):
    header = "file,valence,arousal,dominance,split,emotion"
    lines = ["a.wav,1,1,1,train,Happy", "b.wav,1,1,1,train,Other", "c.wav,1,1,1,dev,other"]
    found = own_data.read(folder(lines, header=header), **SCALE, drop_train="other")
    assert [row.id for row in found.sets["train"]] == ["a"]
    assert found.protocol["dropped"] == {"train": {"Other": 1}}
    excluded = [(name, row.path, option) for name, row, option in found.excluded]
    assert (excluded, len(found.sets["valid"])) == ([("train", "b.wav", "--drop_train")], 1)


def test_excluding_a_class_that_the_table_lacks_raises(folder):
    with pytest.raises(
        ValueError, match=r"found other\. Valid emotions: none .the labels contain no emot"
    ):
        own_data.read(folder(SPLIT), **SCALE, drop_train="other")


def test_table_of_a_spreadsheet(folder, tmp_path, rows_of, caplog):
    """Semicolons, decimal commas, Windows-1252, and a speaker with leading zeros."""
    caplog.set_level("INFO")
    root = folder(SPLIT)
    text = "File;Valence;Arousal;Dominance;Speaker;Split\r\n"
    text += "a.wav;1,5;2;3,25;007;train\r\nb.wav;4;5;1,5;Zoë;Dev\r\nc\\d.wav;2;2;;s3;test\r\n"
    (root / "labels.csv").write_bytes(text.encode("cp1252"))
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    train, valid, test = (rows_of(path)[1] for path in summary.sets.values())
    assert (train[4:7], train[8]) == (["1.5", "2.0", "3.25"], "007")
    assert (valid[8], test[0], test[2]) == ("Zoë", "c-d", "$data_root/c/d.wav")
    assert "labels.csv is not UTF-8 and was read as Windows-1252." in summary.warnings[0]
    read = "Read labels.csv: semicolon-separated, decimal comma, Windows-1252 (assumed)"
    assert read in caplog.messages


def test_only_named_files_outside_the_folder_are_examined(folder, tmp_path, wav, monkeypatch):
    outside = wav(tmp_path / "elsewhere" / "x.wav")
    wav(tmp_path / "elsewhere" / "other.wav")
    wav(tmp_path / "above.wav")
    lines = [*SPLIT, f"{outside},1,1,1,s1,train", "/u000.wav,1,1,1,s1,train"]
    root = folder(SPLIT)
    folder([*lines, "../above.wav,2,2,2,s1,train"], audio=False)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert listed and all(path.startswith(str(root)) for path in listed)
    assert summary.counts["train"] == 3
    assert summary.rejected == {"missing audio file": 1}
    warning = "3 audio files are outside the data folder (first: /"
    assert [text for text in summary.warnings if text.startswith(warning)]
    assert prepare_manifests(own_data, root, tmp_path / "out", **SCALE).skipped
    os.utime(outside, ns=(0, 0))
    assert not prepare_manifests(own_data, root, tmp_path / "out", **SCALE).skipped


numbers = st.one_of(st.just(""), st.floats(1, 5).map(repr), st.integers(1, 5).map(str))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=6))
def test_labels_equal_those_in_the_table(tmp_path_factory, labels):
    root = tmp_path_factory.mktemp("own")
    lines = [f"{k}.wav,{','.join(row)},train" for k, row in enumerate(labels)]
    header = "file,valence,arousal,dominance,split"
    (root / "labels.csv").write_text("\n".join([header, *lines]))
    found = [row.vad for row in own_data.read(root, **SCALE).sets["train"]]
    assert found == [tuple(float(text) if text else None for text in row) for row in labels]


@pytest.mark.skipif(not TAVA.is_dir(), reason=f"the TAVA corpus is not at {TAVA}")
def test_real_speech(tmp_path):
    summary = prepare_manifests(own_data, TAVA, tmp_path, label_low=-1, label_high=1)
    assert summary.counts == {"train": 160, "valid": 32, "test": 64}
    assert summary.rejected == {}
    frame = read_manifest(summary.sets["train"], data_root=TAVA).set_index("ID")
    row = frame.loc["wav-s01_happy_audio"]
    # Values from the labels.csv of the corpus.
    assert (row.valence, row.arousal, row.dominance) == (0.30254902, 0.190718954, -0.045555556)
    assert Path(row.wav).is_file()


# --- splits with unknown words, and labels without information ---------------------------------


def test_unknown_word_for_the_test_set_raises(folder):
    rows = [line.replace(",test", ",testing") for line in [*SPLIT, "e.wav,1,2,3,s9,testing"]]
    with pytest.raises(ValueError, match=r"no rows for a test set.*'testing' \(\d rows\)"):
        own_data.read(folder(rows, audio=False), **SCALE)


def test_missing_test_set_and_empty_splits_give_a_warning(folder):
    rows = [line.replace(",test", ",") for line in SPLIT]
    empty = sum(",test" in line for line in SPLIT)
    assert empty > 0
    assert own_data.read(folder(rows, audio=False), **SCALE).warnings == [
        f"There is no test set, and the column 'split' is empty in {empty:,} rows."
    ]


def test_split_without_a_test_set_is_allowed(folder):
    rows = [line for line in SPLIT if ",test" not in line]
    assert own_data.read(folder(rows, audio=False), **SCALE).sets.keys() == {"train", "valid"}
