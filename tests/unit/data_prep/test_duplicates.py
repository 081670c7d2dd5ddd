"""Multiple rows for one utterance or file: all rows and real paths are compared."""

import os
import unicodedata

import pytest

from data_prep.corpus import ExcludedRow, Rejection, Utterance
from data_prep.manifest import prepare_manifests
from data_prep.own_data import reader as own_data

SCALE = {"label_low": 1, "label_high": 5}
HEADER = "file,valence,arousal,dominance,speaker,split,emotion"
OTHERS = ["b.wav,4,5,2,s2,dev,sad", "c.wav,2,2,2,s3,test,sad", "d.wav,2,2,2,s4,train,sad"]
TWICE = ["a.wav,1,1,1,s1,train,sad", "a.wav,5,5,5,s1,train,happy"]


def ids_in(summary):
    return {line.split(",")[0] for path in summary.sets.values() for line in open(path)} - {"ID"}


@pytest.mark.parametrize(("dropped", "used"), [("", 2), ("happy", 1), ("sad", 1), ("happy,sad", 0)])
def test_contradictions_do_not_depend_on_excluded_rows(
    folder, tmp_path, rejected_rows, dropped, used
):
    root = folder([*TWICE, *OTHERS, "e.wav,3,3,3,s4,train,calm"], header=HEADER)
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE, drop_train=dropped)
    assert "a" not in ids_in(summary) and {"b", "c", "e"} <= ids_in(summary)
    reason = "duplicate id: 'a' occurs in 2 different rows"
    if used == 1:
        reason += ", 1 of them excluded by --drop_train"
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]] * used


@pytest.mark.parametrize("dropped", ["", "happy"])
def test_file_with_two_ids_one_of_them_excluded(folder, tmp_path, dropped):
    lines = ["x,a.wav,1,1,1,s1,train,sad", "y,a.wav,1,1,1,s1,train,happy"]
    lines += [f"{k},{line}" for k, line in enumerate(OTHERS)]
    root = folder([line.split(",", 1)[1] for line in lines], header=HEADER)
    (root / "labels.csv").write_text("\n".join([f"id,{HEADER}", *lines, ""]))
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE, drop_train=dropped)
    assert ids_in(summary) == {"0", "1", "2"}
    assert summary.rejected == {"duplicate file": 1 if dropped else 2}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.wav,oops,1,1,s1,train,sad", "not a number: valence is 'oops'"),
        ("a.wav,1,1,1,s1,later,sad", "unknown split: 'later'"),
        ("./a.wav,1,1,1,s1,,sad", "unknown split: ''"),
        ("a.wav,1,1", "malformed row: line 6 has 3 values, expected 7"),
    ],
)
def test_row_with_the_same_file_as_a_rejected_row_is_rejected(
    folder, tmp_path, rejected_rows, line, reason
):
    root = folder([TWICE[0], *OTHERS, line], header=HEADER)
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert ids_in(summary) == {"b", "c", "d"}
    (_, first), (_, second) = sorted(
        (name, why) for path, name, why in rejected_rows(tmp_path / "out") if path == "a.wav"
    )
    text = f"duplicate file: 'a.wav' also occurs in a rejected row ({reason})"
    assert {first, second} == {reason, text}


def test_identical_rows_count_once_regardless_of_exclusions(folder, tmp_path):
    root = folder([TWICE[0], TWICE[0], *OTHERS], header=HEADER)
    summary = prepare_manifests(
        own_data, root, tmp_path / "out", **SCALE, drop_valid="sad", required_sets=()
    )
    assert ids_in(summary) == {"a", "c", "d"}
    assert summary.rejected == {"duplicate id": 1}


def test_identical_rows_in_two_sets_are_contradictory(data, tmp_path, reader, sets_of, utterance):
    excluded = [ExcludedRow("test", utterance("a"), "--drop_test")]
    summary = prepare_manifests(reader(sets_of(), excluded=excluded), data, tmp_path / "out")
    assert summary.counts["train"] == 5 and summary.rejected == {"duplicate id": 1}


def test_third_row_of_a_file_is_rejected_with_the_others(data, tmp_path, reader, sets_of):
    """Two rows share the id, and a third one shares only the file: all three are rejected."""
    sets = sets_of()
    sets["train"] += [Utterance("a", "a.wav", 1.0), Utterance("z", "a.wav", 2.0)]
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.counts["train"] == 5
    assert summary.rejected == {"duplicate id": 2, "duplicate file": 1}


# ---- Links --------------------------------------------------------------------------------------


def test_file_and_a_link_to_it_in_two_sets(folder, tmp_path, rejected_rows):
    root = folder(OTHERS, header=HEADER)
    (root / "copy.wav").symlink_to("b.wav")
    lines = [*OTHERS, "copy.wav,4,5,2,s4,train,sad"]
    (root / "labels.csv").write_text("\n".join([HEADER, *lines, ""]))
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE, required_sets=())
    assert ids_in(summary) == {"c", "d"}
    reason = "duplicate file: 'copy.wav' occurs in 2 different rows, also as 'b.wav'"
    assert rejected_rows(tmp_path / "out") == [
        ["copy.wav", "train", reason],
        ["b.wav", "valid", reason],
    ]


def test_real_path_and_linked_path_are_the_same_file(folder, tmp_path):
    """The data folder is a link; the table contains relative paths and real paths."""
    root = folder(OTHERS, header=HEADER)
    lines = [*OTHERS, f"{root}/b.wav,1,1,1,s4,train,sad", f"{root}/c.wav,2,2,2,s3,test,sad"]
    (root / "labels.csv").write_text("\n".join([HEADER, *lines, ""]))
    link = tmp_path / "link"
    link.symlink_to(root)
    summary = prepare_manifests(own_data, link, tmp_path / "out", **SCALE, required_sets=())
    assert ids_in(summary) == {"d"}
    assert summary.rejected == {"duplicate file": 4}


def test_link_outside_all_listed_folders(data, tmp_path, reader, sets_of):
    (data.parent / "x.wav").symlink_to(data / "a.wav")
    sets = sets_of()
    sets["test"].append(Utterance("x", "../x.wav", 1.0, 1.0, 1.0))
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}


@pytest.mark.parametrize("name", ["zlink", "alink"])
def test_folder_with_two_names(folder, tmp_path, name):
    lines = ["x/a.wav,1,1,1,s1,train,sad", *OTHERS]
    root = folder(lines, header=HEADER)
    (root / name).symlink_to("x")
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert summary.rejected == {}


def test_two_links_only_one_of_them_labelled(folder, tmp_path):
    root = folder(OTHERS, header=HEADER)
    (root / "store").mkdir()
    (root / "b.wav").rename(root / "store" / "0.wav")
    (root / "b.wav").symlink_to("store/0.wav")
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert summary.rejected == {} and summary.counts["valid"] == 1


def test_replacing_a_file_with_a_link_triggers_a_new_preparation(folder, tmp_path):
    root = folder([TWICE[0], *OTHERS], header=HEADER)
    for name in "ad":
        os.utime(root / f"{name}.wav", ns=(0, 0))
    prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert prepare_manifests(own_data, root, tmp_path / "out", **SCALE).skipped
    (root / "d.wav").unlink()
    (root / "d.wav").symlink_to("a.wav")
    with pytest.raises(ValueError, match="duplicate file"):
        prepare_manifests(own_data, root, tmp_path / "out", **SCALE)


@pytest.mark.parametrize("path", ["\0.wav", "\udcff/\ud800.wav", "n" * 5000 + ".wav"])
def test_impossible_paths_are_rejected(data, tmp_path, path, reader, sets_of):
    sets = sets_of()
    sets["train"].append(Utterance("odd", path, 1.0, 1.0, 1.0))
    rejected = [Rejection(f"b{path}", "malformed row", "train")]
    summary = prepare_manifests(reader(sets, rejected=rejected), data, tmp_path / "out")
    assert summary.counts["train"] == 6


# ---- Paths that are spelt differently on disk ---------------------------------------------------


@pytest.fixture
def first_row(folder, tmp_path, wav, rows_of, rejected_rows):
    """Prepare a table whose first row has a given path; return the path used, or the rejection."""

    def prepare(written, *there):
        root = folder(OTHERS, header=HEADER)
        for name in there:
            wav(root / name)
        lines = [f"{written},1,1,1,s1,train,sad", *OTHERS]
        (root / "labels.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
        summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
        rejected = [row for row in rejected_rows(tmp_path / "out") if row[2][:5] != "audio"]
        if rejected:
            assert rejected[0][:2] == [written, "train"]
            return rejected[0][2]
        return rows_of(summary.sets["train"])[1][2].removeprefix("$data_root/")

    return prepare


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("wav/A.wav", "wav/a.wav"),
        ("wav/a.wav", "Wav/a.WAV"),
        (r"wav\a.wav", "wav/a.wav"),
        (r".\Wav\a.wav", "wav/a.wav"),
        (unicodedata.normalize("NFC", "é.wav"), unicodedata.normalize("NFD", "é.wav")),
        (unicodedata.normalize("NFD", "é.wav"), unicodedata.normalize("NFC", "É.wav")),
        ("wav/a", "wav/a.wav"),
        (r"WAV\a.1", "wav/a.1.flac"),
    ],
)
def test_path_is_resolved_if_one_file_matches(first_row, written, there):
    assert first_row(written, there) == there


def test_exact_path_is_preferred(first_row):
    assert first_row("wav/a.wav", "wav/A.wav", "wav/a.wav") == "wav/a.wav"


@pytest.mark.parametrize(
    ("written", "there", "reason"),
    [
        (
            "wav/a.wav",
            ["wav/A.wav", "Wav/a.wav"],
            "several files match: Wav/a.wav or wav/A.wav; specify one of them",
        ),
        (
            "wav/a",
            ["wav/a.wav", "wav/a.flac"],
            "several files match: wav/a.flac or wav/a.wav; specify one of them",
        ),
        (r"C:\data\a.wav", ["wav/a.wav"], "did you mean wav/a.wav?"),
        ("/home/me/a.wav", ["wav/a.wav"], "did you mean wav/a.wav?"),
        ("wav/a.mp3", ["wav/a.wav"], "did you mean wav/a.wav?"),
    ],
)
def test_ambiguous_or_other_paths_are_rejected_with_a_hint(first_row, written, there, reason):
    assert first_row(written, *there) == f"missing audio file: {reason}"


@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE://"])
def test_file_urls(folder, tmp_path, wav, rows_of, start):
    root = folder(OTHERS, header=HEADER)
    wav(root / "my wav" / "é.wav")
    url = f"{root.as_uri()}/my%20wav/%C3%A9.wav".replace("file://", start)
    lines = [f"{url},1,1,1,s1,train,sad", *OTHERS]
    (root / "labels.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    summary = prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    row = rows_of(summary.sets["train"])[1]
    assert (row[0], row[2]) == ("my wav-é", "$data_root/my wav/é.wav")


def test_rows_that_resolve_to_the_same_file_are_contradictory(folder, tmp_path, wav, rejected_rows):
    root = folder(OTHERS, header=HEADER)
    wav(root / "a.wav")
    lines = ["a.wav,1,1,1,s1,train,sad", "A.wav,5,5,5,s1,train,happy", *OTHERS]
    (root / "labels.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    reason = "duplicate file: 'a.wav' occurs in 2 different rows"
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]] * 2


def test_missing_file_without_a_similar_name(folder, tmp_path, rejected_rows):
    root = folder([TWICE[0], *OTHERS], header=HEADER)
    (root / "a.wav").unlink()
    prepare_manifests(own_data, root, tmp_path / "out", **SCALE)
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", "missing audio file"]]
