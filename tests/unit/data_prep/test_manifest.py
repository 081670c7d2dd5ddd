"""Preparation as a whole: what is written, what is rejected, when it is skipped."""

import csv
import json
import os
import types

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from speechbrain.dataio.dataio import load_data_csv

from data_prep.audio_check import Header
from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.manifest import (
    COLUMNS,
    load_summary,
    prepare,
    read_manifest,
    replacements,
    summary_lines,
    validate,
)
from data_prep.schema import manifest_row
from emosphere_sb.scale import Scale


def reader(sets, **facts):
    """A corpus module that hands over the given sets and counts how often it is asked."""
    module = types.SimpleNamespace(NAME="Tiny", calls=0)

    def read(data_folder, **options):
        module.calls += 1
        inputs = [data_folder / "labels.csv"]
        given = {"audio_folders": [data_folder], "inputs": inputs, **facts}
        return Corpus("Tiny", data_folder, sets, Scale(1, 7), **given)

    module.read = read
    return module


def utterance(name, **fields):
    """An utterance with ordinary labels and a speaker of its own."""
    defaults = {"valence": 4.0, "arousal": 2.5, "dominance": 3.0, "speaker": name}
    return Utterance(name, f"{name}.wav", **{**defaults, **fields})


@pytest.fixture
def data(tmp_path, wav):
    """A folder with a label file and ten audio files, a.wav to j.wav."""
    folder = tmp_path / "data"
    for name in "abcdefghij":
        wav(folder / f"{name}.wav")
    (folder / "labels.csv").write_text("labels")
    return folder


def sets_of(train="abcdef", valid="gh", test="ij"):
    """Three sets of one-letter utterances."""
    names = {"train": train, "valid": valid, "test": test}
    return {name: [utterance(letter) for letter in letters] for name, letters in names.items()}


def rejected_rows(folder):
    """Rows of ``rejected.csv`` without its header."""
    with open(folder / "rejected.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"valence": 7.01}, "label outside the scale: valence is 7.01, allowed is 1 to 7"),
        ({"arousal": 0.99}, "label outside the scale: arousal is 0.99, allowed is 1 to 7"),
        ({"dominance": float("nan")}, "label not finite: dominance is nan"),
        ({"dominance": float("inf")}, "label not finite: dominance is inf"),
        (
            {"valence": None, "arousal": None, "dominance": None},
            "no label: valence, arousal and dominance are empty",
        ),
        (
            {"transcript": "costs $data_root"},
            "reserved word: a path or text holds '$data_root', which manifests replace",
        ),
        ({"transcript": "a\0b"}, "not text: a path or text holds a zero byte"),
        ({"speaker": "\udce4"}, "not text: a path or text is not valid Unicode"),
    ],
)
def test_labels_that_are_rejected(data, tmp_path, fields, reason):
    sets = sets_of()
    sets["train"][0] = utterance("a", **fields)
    summary = prepare(reader(sets), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]]
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {reason.partition(": ")[0]: 1}


def test_ends_of_the_scale_and_missing_values_are_kept(data, tmp_path):
    sets = sets_of()
    sets["train"][0] = utterance("a", valence=1.0, arousal=7.0, dominance=None)
    summary = prepare(reader(sets), data, tmp_path / "out")
    row = read_manifest(summary.sets["train"]).iloc[0]
    assert (row.valence, row.arousal) == (1.0, 7.0) and np.isnan(row.dominance)
    assert summary.facts["sets"]["train"]["missing"] == {"valence": 0, "arousal": 0, "dominance": 1}


def damage(path, kind):
    """Breaks an audio file."""
    if kind == "missing":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not audio at all, " * 10)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        soundfile.write(path, np.zeros(int(kind)), 16000)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "missing audio file"),
        ("empty", "empty audio file"),
        ("text", "not audio: "),
        ("truncated", "truncated audio: the header promises 16000 bytes, 15900 are there"),
        ("399", "shorter than 0.025 s: 0.0249375 s"),
        ("960001", "longer than 60 s: 60.0001 s"),
    ],
)
def test_audio_that_is_rejected(data, tmp_path, kind, reason):
    damage(data / "b.wav", kind)
    summary = prepare(reader(sets_of()), data, tmp_path / "out")
    ((path, name, found),) = rejected_rows(tmp_path / "out")
    assert (path, name) == ("b.wav", "train")
    # What libsndfile says of a file that is no audio differs between its releases.
    assert found.startswith(reason) if kind == "text" else found == reason
    assert list(read_manifest(summary.sets["train"]).ID) == list("acdef")


@pytest.mark.parametrize("frames", [400, 960000])
def test_shortest_and_longest_allowed_audio(data, tmp_path, frames):
    damage(data / "b.wav", frames)
    summary = prepare(reader(sets_of()), data, tmp_path / "out")
    assert summary.rejected == {}


def test_stereo_and_other_rates_are_accepted_and_counted(data, tmp_path, wav):
    wav(data / "a.wav", rate=44100, channels=2)
    summary = prepare(reader(sets_of()), data, tmp_path / "out")
    facts = summary.facts["sets"]["train"]
    assert facts["sample_rates"] == {"16000": 5, "44100": 1}
    assert facts["channels"] == {"1": 5, "2": 1}
    assert "1 not mono, 5 at 16000 Hz and 1 at 44100 Hz" in "\n".join(summary_lines(summary))


def test_audio_without_a_label_is_listed(data, tmp_path, wav):
    wav(data / "sub" / "extra.wav")
    wav(data / "dropped.wav")
    summary = prepare(reader(sets_of(), left_out={"dropped.wav"}), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [["sub/extra.wav", "", "audio without a label"]]
    assert summary.rejected == {"audio without a label": 1}


def test_rejections_of_the_reader_come_first(data, tmp_path):
    damage(data / "a.wav", "missing")
    rejection = Rejection("z.wav", "damaged row: line 7", "train")
    prepare(reader(sets_of(), rejected=[rejection]), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [
        ["z.wav", "train", "damaged row: line 7"],
        ["a.wav", "train", "missing audio file"],
    ]


def test_of_equal_rows_the_first_is_kept(data, tmp_path):
    summary = prepare(reader(sets_of(train="abcdefa")), data, tmp_path / "out")
    assert list(read_manifest(summary.sets["train"]).ID) == list("abcdef")
    assert rejected_rows(tmp_path / "out") == [
        ["a.wav", "train", "duplicate id: 'a', an equal row stands before"]
    ]


def test_of_different_rows_with_one_id_none_is_kept(data, tmp_path):
    sets = sets_of()
    sets["train"].append(utterance("a", valence=1.0))
    summary = prepare(reader(sets), data, tmp_path / "out")
    assert list(read_manifest(summary.sets["train"]).ID) == list("bcdef")
    reason = "duplicate id: 'a' occurs in 2 different rows"
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]] * 2


def test_one_id_in_two_sets_is_kept_in_none(data, tmp_path):
    summary = prepare(reader(sets_of(test="ija")), data, tmp_path / "out")
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {"duplicate id": 2}


def test_one_file_under_two_ids_is_kept_under_none(data, tmp_path):
    sets = sets_of()
    sets["test"].append(Utterance("other", "a.wav", 1.0, 1.0, 1.0))
    summary = prepare(reader(sets), data, tmp_path / "out")
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {"duplicate file": 2}


@pytest.mark.parametrize("name", ["train", "valid"])
def test_empty_set_is_an_error_that_says_why(data, tmp_path, name):
    for letter in {"train": "abcdef", "valid": "gh"}[name]:
        (data / f"{letter}.wav").unlink()
    with pytest.raises(
        ValueError, match=f"'{name}' of Tiny must hold .* x missing audio file"
    ) as e:
        prepare(reader(sets_of()), data, tmp_path / "out")
    assert "first: " in str(e.value)


def test_corpus_without_a_validation_set(data, tmp_path):
    sets = sets_of()
    del sets["valid"]
    with pytest.raises(ValueError, match=r"'valid' of Tiny must hold.*found 0 rows for it"):
        prepare(reader(sets), data, tmp_path / "out")


def test_empty_test_set_is_left_out_with_a_warning(data, tmp_path):
    (data / "i.wav").unlink()
    (data / "j.wav").unlink()
    summary = prepare(reader(sets_of()), data, tmp_path / "out")
    assert list(summary.sets) == ["train", "valid"]
    assert "'test' is left out because it is empty" in summary.warnings[0]


def test_shared_speakers_are_refused(data, tmp_path):
    sets = sets_of()
    sets["valid"][0] = utterance("g", speaker="a")
    with pytest.raises(ValueError, match=r"train and valid share 1 \(speaker a\)"):
        prepare(reader(sets), data, tmp_path / "out")
    assert not (tmp_path / "out" / "summary.json").exists()


def test_shared_speakers_of_an_official_split_are_a_warning(data, tmp_path):
    sets = sets_of()
    sets["valid"][0] = utterance("g", speaker="a")
    summary = prepare(reader(sets, official_split=True), data, tmp_path / "out")
    assert summary.warnings == [
        "Speakers are shared, as this division of the corpus has it: "
        "train and valid share 1 (speaker a)."
    ]


@pytest.mark.parametrize("speaker", ["Unknown", "unknown", ""])
def test_unknown_speakers_are_not_shared(data, tmp_path, speaker):
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker=speaker)
    sets["valid"][0] = utterance("g", speaker=speaker)
    summary = prepare(reader(sets), data, tmp_path / "out")
    assert summary.warnings == []
    assert read_manifest(summary.sets["valid"]).speaker[0] == speaker


def test_predict_only_sets_need_no_labels(data, tmp_path):
    sets = {**sets_of(test=""), "test3": [Utterance("i", "i.wav"), Utterance("j", "j.wav")]}
    del sets["test"]
    summary = prepare(reader(sets, predict_only=("test3",)), data, tmp_path / "out")
    assert summary.labelled == ("train", "valid")
    assert summary.counts["test3"] == 2


def test_summary_of_counts(data, tmp_path):
    sets = sets_of()
    sets["train"][0] = utterance("a", emotion="happy", gender="Female", speaker="b")
    summary = prepare(reader(sets, release="3"), data, tmp_path / "out")
    assert summary.facts == load_summary(tmp_path / "out")
    facts = summary.facts["sets"]["train"]
    assert (facts["utterances"], facts["speakers"]) == (6, 5)
    assert facts["hours"] == pytest.approx(6 * 0.5 / 3600, abs=1e-12)
    assert facts["emotions"] == {"": 5, "happy": 1}
    assert facts["genders"] == {"": 5, "Female": 1}
    assert (summary.release, summary.scale) == ("3", Scale(1, 7))


def test_lines_for_the_screen(data, tmp_path):
    damage(data / "a.wav", "missing")
    corpus = reader(
        sets_of(),
        release="3",
        warnings=["Take care."],
        protocol={"dropped": {"train": {"other": 4}}},
    )
    lines = summary_lines(prepare(corpus, data, tmp_path / "out"))
    assert lines == [
        f"Tiny 3 prepared: manifests in {tmp_path / 'out'}",
        "  train: 5 utterances, 0.00 h, 5 known speakers",
        "  valid: 2 utterances, 0.00 h, 2 known speakers",
        "  test: 2 utterances, 0.00 h, 2 known speakers",
        "  rejected: 1 (listed in rejected.csv)",
        "    1 missing audio file",
        "  left out of train by the protocol: 4 other",
        "  warning: Take care.",
    ]


def test_second_start_does_nothing(data, tmp_path):
    corpus = reader(sets_of())
    first = prepare(corpus, data, tmp_path / "out", fold=1)
    second = prepare(corpus, str(data) + "/", tmp_path / "out", fold=1)
    assert (corpus.calls, first.skipped, second.skipped) == (1, False, True)
    assert second.facts == first.facts


def change_label_file(data, out):
    (data / "labels.csv").write_text("labelz")


def change_label_file_keeping_its_time(data, out):
    status = (data / "labels.csv").stat()
    (data / "labels.csv").write_text("labelz")
    os.utime(data / "labels.csv", ns=(status.st_atime_ns, status.st_mtime_ns))


def change_audio(data, out):
    soundfile.write(data / "a.wav", np.zeros(9000), 16000)


def add_audio(data, out):
    soundfile.write(data / "z.wav", np.zeros(9000), 16000)


def remove_audio(data, out):
    (data / "a.wav").unlink()


def remove_manifest(data, out):
    (out / "valid.csv").unlink()


def edit_manifest(data, out):
    text = (out / "valid.csv").read_text()
    (out / "valid.csv").write_text(text.replace("4.0", "5.0"))


def damage_summary(data, out):
    (out / "summary.json").write_text('{"sets": ')


def empty_summary(data, out):
    (out / "summary.json").write_text("{}")


CHANGES = [
    change_label_file,
    change_label_file_keeping_its_time,
    change_audio,
    add_audio,
    remove_audio,
    remove_manifest,
    edit_manifest,
    damage_summary,
    empty_summary,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_means_a_new_preparation(data, tmp_path, change):
    corpus = reader(sets_of())
    prepare(corpus, data, tmp_path / "out")
    change(data, tmp_path / "out")
    again = prepare(corpus, data, tmp_path / "out")
    assert (corpus.calls, again.skipped) == (2, False)
    assert set(read_manifest(again.sets["valid"]).valence) == {4.0}
    assert prepare(corpus, data, tmp_path / "out").skipped


@pytest.mark.parametrize("options", [{"fold": 2}, {"min_duration": 0.1}, {"skip": False}])
def test_other_options_mean_a_new_preparation(data, tmp_path, options):
    corpus = reader(sets_of())
    prepare(corpus, data, tmp_path / "out", fold=1)
    assert not prepare(corpus, data, tmp_path / "out", **{"fold": 1, **options}).skipped


def test_input_that_appears_means_a_new_preparation(data, tmp_path):
    corpus = reader(sets_of(), inputs=[data / "Partitions.txt"])
    prepare(corpus, data, tmp_path / "out")
    (data / "Partitions.txt").write_text("Test3; x.wav")
    assert not prepare(corpus, data, tmp_path / "out").skipped


def test_manifest_of_a_set_that_is_gone_is_removed(data, tmp_path):
    prepare(reader(sets_of()), data, tmp_path / "out")
    sets = sets_of(train="abcdefij")
    del sets["test"]
    prepare(reader(sets), data, tmp_path / "out", fold=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "rejected.csv",
        "summary.json",
        "train.csv",
        "valid.csv",
    ]


def test_interrupted_preparation_is_not_taken_for_a_finished_one(data, tmp_path, monkeypatch):
    corpus = reader(sets_of())
    prepare(corpus, data, tmp_path / "out")
    monkeypatch.setattr("data_prep.manifest.file_digest", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(reader(sets_of(), inputs=[]), data, tmp_path / "out", fold=1)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="--skip_prep=False"):
        load_summary(tmp_path / "out")


NAMES = ["a b", "a:b", "ä ß 語", "a,b", 'a "b"', "$", "$data", "$data_rooted", "50$", "é=?#%&'"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_survive_speechbrain(data, tmp_path, wav, name):
    path = wav(data / name / f"{name}.wav")
    sets = sets_of()
    sets["train"].append(
        Utterance(name, f"{name}/{name}.wav", 1.0, 2.0, 3.0, transcript=f"'{name}'")
    )
    summary = prepare(reader(sets), data, tmp_path / "out")
    row = load_data_csv(summary.sets["train"], replacements(summary.data_root))[name]
    assert row["wav"] == str(path) and row["transcript"] == f"'{name}'"
    frame = read_manifest(summary.sets["train"], data_root=summary.data_root)
    assert frame.set_index("ID").wav[name] == str(path)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_data_folder_survive(data, tmp_path, name):
    folder = data.rename(tmp_path / name)
    summary = prepare(reader(sets_of()), folder, tmp_path / "out put")
    rows = load_data_csv(summary.sets["train"], replacements(summary.data_root))
    assert rows["a"]["wav"] == str(folder / "a.wav")
    assert prepare(reader(sets_of()), folder, tmp_path / "out put").skipped


def test_file_named_like_the_variable_is_refused(data, tmp_path, wav):
    wav(data / "$data_root" / "x.wav")
    sets = sets_of()
    sets["train"].append(Utterance("x", "$data_root/x.wav", 1.0, 2.0, 3.0))
    summary = prepare(reader(sets), data, tmp_path / "out")
    assert summary.rejected == {"reserved word": 1}


def test_speaker_called_na_stays_text(data, tmp_path):
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker="NA", emotion="null")
    frame = read_manifest(prepare(reader(sets), data, tmp_path / "out").sets["train"])
    assert (frame.speaker[0], frame.emotion[0]) == ("NA", "null")


@given(st.integers(1, 10**8), st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]))
def test_duration_gives_back_the_frames(frames, rate):
    row = manifest_row(Utterance("a", "a.wav", 1.0), Header(frames, rate, 1))
    assert round(float(row[1]) * row[3]) == frames


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(*[st.none() | st.floats(1, 7)] * 3), min_size=1, max_size=6))
def test_labels_that_are_kept_are_exact(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("data")
    rows = [Utterance(str(k), f"{k}.wav", *vad) for k, vad in enumerate([(1.0,) * 3, *labels])]
    for row in rows:
        soundfile.write(folder / row.path, np.zeros(800), 16000)
    sets = {"train": rows, "valid": [Utterance("v", "v.wav", 1.0)]}
    soundfile.write(folder / "v.wav", np.zeros(800), 16000)
    summary = prepare(reader(sets), folder, folder / "out")
    frame = read_manifest(summary.sets["train"]).set_index("ID")
    expected = {row.id: row.vad for row in rows if row.vad != (None,) * 3}
    assert list(frame.index) == list(expected)
    for name, vad in expected.items():
        found = frame.loc[name, ["valence", "arousal", "dominance"]]
        assert [None if np.isnan(value) else value for value in found] == list(vad)


def test_missing_column_in_a_manifest(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("ID,duration,wav\n")
    with pytest.raises(
        ValueError, match=r"Manifest train.csv has no column 'sample_rate', 'valence'"
    ):
        read_manifest(path)


def test_extra_column_in_a_manifest():
    with pytest.raises(ValueError, match=r"has the unknown column 'mood'; found ID, .*skip_prep=F"):
        validate([*COLUMNS, "mood"], name="train.csv")


def test_column_twice_in_a_manifest():
    with pytest.raises(ValueError, match="names a column twice"):
        validate([*COLUMNS, "wav"], name="train.csv")


def test_missing_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match="Run the preparation first"):
        read_manifest(tmp_path / "train.csv")


@pytest.mark.parametrize("content", ["no json", "[1]", "{}"])
def test_damaged_summary(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(ValueError, match="Delete it and prepare again"):
        load_summary(tmp_path)


@pytest.mark.parametrize("limits", [(-1, 60), (2, 1), (1, 1), (float("nan"), 60)])
def test_impossible_limits(data, tmp_path, limits):
    low, high = limits
    with pytest.raises(ValueError, match="0 <= min_duration < max_duration must hold"):
        prepare(reader(sets_of()), data, tmp_path, min_duration=low, max_duration=high)


def test_data_folder_that_is_a_file(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be a folder; .*labels.csv is a file"):
        prepare(reader(sets_of()), data / "labels.csv", tmp_path)


def test_summary_is_plain_json(data, tmp_path):
    prepare(reader(sets_of()), data, tmp_path / "out", drop={"x"}, folder=data)
    text = (tmp_path / "out" / "summary.json").read_text(encoding="ascii")
    assert json.loads(text)["fingerprint"]["request"]["options"]["drop"] == ["x"]
