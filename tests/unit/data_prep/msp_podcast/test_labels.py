"""Consensus labels of MSP-Podcast: parsing, validation, and detection of the release."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.manifest import prepare_manifests
from data_prep.msp_podcast import reader as msp_podcast
from data_prep.msp_podcast.labels import EMOTIONS, read_labels
from data_prep.msp_podcast.reader import recognise_release

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"


@pytest.mark.parametrize("letter", list(EMOTIONS))
def test_emotion_codes_are_converted_to_names(tmp_path, letter):
    path = tmp_path / "labels.csv"
    path.write_text(f"{HEADER}\na.wav,{letter},1,2,3,4,Male,Train\n")
    words = "angry sad happy surprise fear disgust contempt neutral other no_agreement"
    assert next(read_labels(path)).emotion == words.split()["ASHUFDCNOX".index(letter)]


values = st.one_of(st.just(""), st.floats(1, 7).map(repr), st.integers(1, 7).map(str))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(values, values, values), min_size=1, max_size=8))
def test_values_equal_those_in_the_file(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("labels") / "labels_consensus.csv"
    lines = [f"{k}.wav,N,{a},{v},{d},1,Male,Train" for k, (v, a, d) in enumerate(rows)]
    path.write_text("\n".join([HEADER, *lines]))
    read = [(row.valence, row.arousal, row.dominance) for row in read_labels(path)]
    assert read == [tuple(float(text) if text else None for text in row) for row in rows]


@pytest.mark.parametrize(
    ("counts", "release"),
    [
        ({"Train": 84030, "Development": 19815, "Test1": 30647, "Test2": 14815}, "1.11"),
        ({"Train": 84260, "Development": 31961}, "IS2025"),
        ({"Train": 169190, "Development": 34399, "Test1": 46294, "Test2": 14822}, "2.0"),
        ({"Train": 84260, "Development": 31960}, None),
        ({"Train": 84030, "Development": 19815, "Test1": 30647}, None),
    ],
)
def test_release_is_recognised_by_published_numbers_of_rows(counts, release):
    assert recognise_release(counts) == release


@pytest.fixture
def prepared(tmp_path, wav):
    """Return a function that prepares two regular rows and one with given A, V and D."""

    def make(values):
        (tmp_path / "Labels").mkdir()
        rows = ["a.wav,N,4,4,4,1,Male,Train", "b.wav,N,4,4,4,2,Male,Development"]
        text = "\n".join([HEADER, *rows, f"c.wav,N,{values},1,Male,Train", ""])
        (tmp_path / "Labels" / "labels_consensus.csv").write_text(text)
        for name in "abc":
            wav(tmp_path / "Audios" / f"{name}.wav")
        return prepare_manifests(msp_podcast, tmp_path, tmp_path / "out")

    return make


@pytest.mark.parametrize(
    ("values", "vad"),
    [
        ("1,7,1.0", ["7.0", "1.0", "1.0"]),
        ("NaN,2,3", ["2.0", "", "3.0"]),
        ("4,nan,", ["", "4.0", ""]),
    ],
)
def test_ends_of_the_scale_and_missing_values_are_accepted(prepared, rows_of, values, vad):
    assert rows_of(prepared(values).sets["train"])[2][4:7] == vad


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("0,4,4", "label outside the scale: arousal is 0.0; must be from 1 to 7"),
        ("4,0.999,4", "label outside the scale: valence is 0.999; must be from 1 to 7"),
        ("4,4,7.001", "label outside the scale: dominance is 7.001; must be from 1 to 7"),
        ("4,4,inf", "label not finite: EmoDom is inf"),
        ("NaN,nan,NaN", "no label: valence, arousal and dominance are empty"),
        ("NA,4,4", "not a number: EmoAct is 'NA'"),
    ],
)
def test_invalid_labels_are_rejected(prepared, rejected_rows, values, reason):
    summary = prepared(values)
    assert rejected_rows(summary.folder) == [["Audios/c.wav", "train", reason]]
