"""Manifests: rows are unchanged when read by this package and by SpeechBrain."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from speechbrain.dataio.dataio import load_data_csv

from data_prep.corpus import Utterance
from data_prep.manifest import (
    MANIFEST_COLUMNS,
    check_manifest_columns,
    prepare_manifests,
    read_manifest,
    read_manifest_rows,
    replacements,
)
from data_prep.schema import manifest_row, write_csv
from emosphere_sb.audio.check import AudioInfo

NAMES = ["a b", "a:b", "ä ß 語", "a,b", 'a "b"', "$", "$data", "$data_rooted", "50$", "é=?#%&'"]


@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_unchanged_by_speechbrain(data, tmp_path, wav, name, reader, sets_of):
    path = wav(data / name / f"{name}.wav")
    sets = sets_of()
    sets["train"].append(
        Utterance(name, f"{name}/{name}.wav", 1.0, 2.0, 3.0, transcript=f"'{name}'")
    )
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    row = load_data_csv(summary.sets["train"], replacements(summary.data_root))[name]
    assert row["wav"] == str(path) and row["transcript"] == f"'{name}'"
    own = read_manifest_rows(summary.sets["train"], data_root=summary.data_root)[name]
    assert own == {key: row[key] for key in MANIFEST_COLUMNS[1:]} and type(own["duration"]) is float
    frame = read_manifest(summary.sets["train"], data_root=summary.data_root)
    assert frame.set_index("ID").wav[name] == str(path)


@pytest.mark.parametrize("name", NAMES)
def test_data_folder_names_are_unchanged(data, tmp_path, name, reader, sets_of):
    folder = data.rename(tmp_path / name)
    summary = prepare_manifests(reader(sets_of()), folder, tmp_path / "out put")
    rows = load_data_csv(summary.sets["train"], replacements(summary.data_root))
    assert rows["a"]["wav"] == str(folder / "a.wav")
    assert prepare_manifests(reader(sets_of()), folder, tmp_path / "out put").skipped


def test_file_named_like_the_variable_is_rejected(data, tmp_path, wav, reader, sets_of):
    wav(data / "$data_root" / "x.wav")
    sets = sets_of()
    sets["train"].append(Utterance("x", "$data_root/x.wav", 1.0, 2.0, 3.0))
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.rejected == {"reserved word": 1}


def test_speaker_named_na_remains_text(data, tmp_path, reader, sets_of, utterance):
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker="NA", emotion="null")
    frame = read_manifest(prepare_manifests(reader(sets), data, tmp_path / "out").sets["train"])
    assert (frame.speaker[0], frame.emotion[0]) == ("NA", "null")


def test_only_the_word_at_the_beginning_is_replaced(tmp_path):
    row = ["a", "1.25", "$data_root/x/$data_root.wav", *[""] * (len(MANIFEST_COLUMNS) - 3)]
    (tmp_path / "m.csv").write_text(f"{','.join(MANIFEST_COLUMNS)}\n{','.join(row)}\n")
    expected = {"duration": 1.25, "wav": "/corpus/x/$data_root.wav"}
    rows = read_manifest_rows(tmp_path / "m.csv", data_root="/corpus")
    assert rows == {"a": {**dict.fromkeys(MANIFEST_COLUMNS[1:], ""), **expected}}


@given(st.integers(1, 10**8), st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]))
def test_duration_determines_the_frames(frames, rate):
    row = manifest_row(Utterance("a", "a.wav", 1.0), AudioInfo(frames, rate, 1))
    assert round(float(row[1]) * row[3]) == frames


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(*[st.none() | st.floats(1, 7)] * 3), min_size=1, max_size=6))
def test_accepted_labels_are_exact(tmp_path_factory, reader, labels):
    folder = tmp_path_factory.mktemp("data")
    rows = [Utterance(str(k), f"{k}.wav", *vad) for k, vad in enumerate([(1.0,) * 3, *labels])]
    for row in rows:
        soundfile.write(folder / row.path, np.zeros(800), 16000)
    sets = {"train": rows, "valid": [Utterance("v", "v.wav", 1.0)]}
    soundfile.write(folder / "v.wav", np.zeros(800), 16000)
    summary = prepare_manifests(reader(sets), folder, folder / "out")
    frame = read_manifest(summary.sets["train"]).set_index("ID")
    expected = {row.id: row.vad for row in rows if row.vad != (None,) * 3}
    assert list(frame.index) == list(expected)
    for name, vad in expected.items():
        found = frame.loc[name, ["valence", "arousal", "dominance"]]
        assert [None if np.isnan(value) else value for value in found] == list(vad)


@pytest.mark.parametrize("reader_of_it", [read_manifest, read_manifest_rows])
def test_missing_column_in_a_manifest_raises(reader_of_it, tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("ID,duration,wav\n")
    with pytest.raises(
        ValueError, match=r"Manifest train.csv has no column 'sample_rate', 'valence'"
    ):
        reader_of_it(path)


def test_extra_column_in_a_manifest_raises():
    with pytest.raises(
        ValueError, match=r"has the unknown column 'mood'; found ID, .*reuse_manifests=F"
    ):
        check_manifest_columns([*MANIFEST_COLUMNS, "mood"], name="train.csv")


def test_duplicate_column_in_a_manifest_raises():
    with pytest.raises(ValueError, match="has duplicate columns"):
        check_manifest_columns([*MANIFEST_COLUMNS, "wav"], name="train.csv")


def test_missing_manifest_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="Run data preparation first"):
        read_manifest(tmp_path / "train.csv")


def test_rows_share_equal_values(tmp_path):
    path = tmp_path / "test1.csv"
    lines = [["1.25", f"{n}.wav", "16000", *["3.5"] * 3, "happy", "speaker 12"] for n in range(2)]
    empty = [""] * (len(MANIFEST_COLUMNS) - 9)
    write_csv(path, MANIFEST_COLUMNS, [[f"u{n}", *line, *empty] for n, line in enumerate(lines)])
    first, second = read_manifest_rows(path).values()
    assert first["wav"] == "0.wav" and second["wav"] == "1.wav"
    for name in ("sample_rate", "valence", "dominance", "emotion", "speaker"):
        assert first[name] is second[name] is not None
    assert (first["valence"], first["speaker"]) == ("3.5", "speaker 12")
