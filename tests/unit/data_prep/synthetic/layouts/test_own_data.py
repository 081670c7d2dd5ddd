"""The synthetic demo corpus in the layout of your own data."""

import pytest
import soundfile

from data_prep.manifest import prepare_manifests
from data_prep.own_data import reader as own_data
from data_prep.synthetic.layouts.own_data import LAYOUT

TINY = {"train": 4, "valid": 2, "test": 3}


@pytest.fixture(scope="module")
def corpus(demo_corpus):
    """Write a tiny corpus. Tests must not modify it."""
    return demo_corpus("OwnData", TINY)


def test_table_has_one_row_per_utterance(corpus, rows_of):
    header, *rows = rows_of(corpus / "labels.csv")
    assert ",".join(header) == "file,valence,arousal,dominance,speaker,gender,emotion,split"
    drawn = sorted(LAYOUT.script(TINY), key=lambda item: (item.voice.speaker, item.turn))
    assert len(rows) == 9
    words = {"N": "neutral", "H": "happy", "A": "angry", "S": "sad", "U": "surprise", "F": "fear"}
    words |= {"D": "disgust", "C": "contempt", "O": "other", "X": "no_agreement"}
    for row, item in zip(rows, drawn, strict=True):
        voice = item.voice
        assert [float(value) for value in row[1:4]] == [round(v, 6) for v in item.consensus]
        assert row[0] == f"wav/{voice.speaker}_{item.turn + 1:03d}.wav"
        assert row[4:] == [voice.speaker, voice.gender, words[item.emotion], voice.part]


def test_corpus_contains_exactly_the_files_of_the_layout(corpus, contents, rows_of):
    wavs = {row[0] for row in rows_of(corpus / "labels.csv")[1:]}
    assert set(contents(corpus)) == {"README.txt", "demo.json", "labels.csv", *wavs}


def test_audio_is_mono_at_16000_hz(corpus):
    infos = [soundfile.info(path) for path in (corpus / "wav").glob("*.wav")]
    assert len(infos) == 9
    assert {(info.samplerate, info.channels) for info in infos} == {(16000, 1)}


def test_preparation_with_the_layout_options_rejects_nothing(corpus, tmp_path):
    summary = prepare_manifests(own_data, corpus, tmp_path / "manifests", **LAYOUT.options)
    assert summary.counts == TINY
    assert summary.rejected == {} and summary.warnings == []
    assert (summary.scale.low, summary.scale.high) == (1, 7)


def test_every_speaker_is_known():
    names = [voice.speaker for voice in LAYOUT.voices]
    assert names == [f"speaker{number:02d}" for number in range(1, 26)]
