"""The synthetic demo corpus in the layout of MSP-Podcast."""

import csv
import dataclasses
from pathlib import Path

import pytest
import soundfile

from data_prep.msp_podcast import reader as msp_podcast
from data_prep.synthetic.layouts.msp_podcast import LAYOUT, _rater_lines, file_name, voices
from data_prep.synthetic.script import Rating

TINY = {"Train": 20, "Development": 4, "Test1": 4, "Test2": 3, "Test3": 2}
LABELLED = sum(TINY.values()) - TINY["Test3"]


@pytest.fixture(scope="module")
def corpus(demo_corpus):
    """Write a tiny corpus. Tests must not modify it."""
    return demo_corpus("MSP-Podcast", TINY)


def consensus_rows(folder):
    with open(folder / "Labels" / "labels_consensus.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_are_32_voices_and_unknown_speakers_only_in_train():
    assert len({voice.variant for voice in voices()}) == 32
    assert {voice.part for voice in voices() if voice.speaker == "Unknown"} == {"Train"}


def test_corpus_contains_exactly_the_files_of_the_layout(corpus, contents):
    names = set(contents(corpus))
    wavs = {f"{Path(name).stem}" for name in names if name.startswith("Audios/")}
    assert len(wavs) == sum(TINY.values())
    labelled = {Path(row["FileName"]).stem for row in consensus_rows(corpus)}
    assert len(labelled) == LABELLED
    assert {name for name in wavs if "test3" in name} == wavs - labelled
    assert names == {
        *(f"Audios/{stem}.wav" for stem in wavs),
        *(f"Transcripts/{stem}.txt" for stem in labelled),
        *("Labels/labels_consensus.csv", "Labels/labels.txt", "Partitions.txt"),
        *("Speaker_ids.txt", "README.txt", "demo.json"),
    }


def test_consensus_file_has_the_real_header_and_one_row_per_utterance(corpus):
    lines = (corpus / "Labels" / "labels_consensus.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    item = min((i for i in LAYOUT.script(TINY) if i.voice.part != "Test3"), key=file_name)
    valence, arousal, dominance = (round(value, 6) for value in item.consensus)
    assert lines[1] == (
        f"{file_name(item)},{item.emotion},{arousal},{valence},{dominance},"
        f"{item.voice.speaker},{item.voice.gender},{item.voice.part}"
    )


def test_consensus_is_the_mean_of_the_rater_rows(corpus):
    blocks = (corpus / "Labels" / "labels.txt").read_text(encoding="utf-8").strip().split("\n\n")
    rows = {row["FileName"]: row for row in consensus_rows(corpus)}
    assert len(blocks) == len(rows)
    for block in blocks:
        header, *raters = block.split("\n")
        row = rows[header.split(";")[0]]
        # Split from the right: the text after "Other-" may contain a semicolon.
        values = [[float(p.split(":")[1]) for p in line.split(";")[-4:-1]] for line in raters]
        means = [round(sum(column) / len(raters), 6) for column in zip(*values, strict=True)]
        assert means == [float(row[name]) for name in ("EmoAct", "EmoVal", "EmoDom")]
        assert header.split("; ")[1] == row["EmoClass"]


def test_rater_row_matches_the_real_format():
    item = dataclasses.replace(
        LAYOUT.script({"Train": 1})[0],
        emotion="X",
        ratings=(Rating(8, "H", (6, 5, 4)), Rating(12, "O", (5, 5, 5))),
    )
    assert list(_rater_lines([item])) == [
        "MSP-PODCAST_0001_0001.wav; X; A:5.000000; V:5.500000; D:4.500000;",
        "WORKER00000008; Happy; Happy; A:5.000000; V:6.000000; D:4.000000;",
        "WORKER00000012; Other-confused; Other; A:5.000000; V:5.000000; D:5.000000;",
        "",
    ]


def test_partitions_and_speakers_list_every_file(corpus):
    rows = consensus_rows(corpus)
    partitions = (corpus / "Partitions.txt").read_text(encoding="utf-8").splitlines()
    assert len(partitions) == sum(TINY.values())
    assert {f"{row['Split_Set']}; {row['FileName']}" for row in rows} < set(partitions)
    assert sum(line.startswith("Test3; MSP-PODCAST_test3_") for line in partitions) == 2
    speakers = (corpus / "Speaker_ids.txt").read_text(encoding="utf-8").splitlines()
    for row in rows:
        unknown = row["SpkrID"] == "Unknown"
        assert f"{row['FileName']}; {'' if unknown else 'Speaker_'}{row['SpkrID']}" in speakers
        assert unknown or f"Speaker_{row['SpkrID']}; {row['Gender']}" in speakers


def test_one_file_is_stereo_at_44100_hz_and_the_others_mono_at_16000(corpus):
    infos = [soundfile.info(path) for path in (corpus / "Audios").glob("*.wav")]
    kinds = sorted((info.samplerate, info.channels, info.subtype) for info in infos)
    mono = [(16000, 1, "PCM_16")] * (sum(TINY.values()) - 1)
    assert kinds == [*mono, (44100, 2, "PCM_16")]


def test_reader_finds_every_set(corpus):
    sets = msp_podcast.read(corpus).sets
    counts = {name: len(utterances) for name, utterances in sets.items()}
    assert counts == {"train": 20, "valid": 4, "test1": 4, "test2": 3, "test3": 2}
