"""The synthetic demo corpus: what is drawn, and how it lies on disk."""

import csv
import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import audmetric
import numpy as np
import pytest
import soundfile

from data_prep import demo, espeak, msp_podcast
from data_prep.demo_script import CLASSES, Rating, script, sentences, voices
from data_prep.demo_studio import Take, record

needs_espeak = pytest.mark.skipif(
    not espeak.installed(), reason="espeakng-loader (extra 'demo') is not installed"
)
TINY = {"Train": 20, "Development": 4, "Test1": 4, "Test2": 3, "Test3": 2}
LABELLED = sum(TINY.values()) - TINY["Test3"]


@pytest.fixture(scope="module")
def spoken():
    return script(demo.SIZES["demo"], seed=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A tiny corpus; tests only read it."""
    if not espeak.installed():
        pytest.skip("espeakng-loader (extra 'demo') is not installed")
    folder = tmp_path_factory.mktemp("demo corpus") / 'Größe: $5, "tiny"'
    demo.write_msp_podcast(folder, utterances=TINY, workers=1)
    return folder


def consensus_rows(folder):
    with open(folder / "Labels" / "labels_consensus.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# ---- What is said and how ----


def test_the_same_seed_draws_the_same_records_and_another_seed_others():
    assert script(TINY, seed=3) == script(TINY, seed=3)
    assert script(TINY, seed=3) != script(TINY, seed=4)


def test_no_voice_and_no_sentence_is_in_two_splits(spoken):
    variants, texts = defaultdict(set), defaultdict(set)
    for item in spoken:
        variants[item.voice.name.split("+")[1]].add(item.voice.split)
        texts[item.text].add(item.voice.split)
    assert len(variants) == 32 and len(texts) == len(spoken)
    assert all(len(splits) == 1 for splits in [*variants.values(), *texts.values()])


def test_sentences_never_repeat():
    texts = list(sentences(5))
    assert len(texts) == len(set(texts)) > 50_000


def test_unknown_speakers_are_heard_in_train_alone():
    splits = {voice.split for voice in voices() if voice.speaker == "Unknown"}
    assert splits == {"Train"}
    known = [voice.speaker for voice in voices() if voice.speaker != "Unknown"]
    assert len(known) == len(set(known))


def test_every_split_hears_both_genders():
    for split in ("Train", "Development", "Test1", "Test2", "Test3"):
        assert {voice.gender for voice in voices() if voice.split == split} == {"Female", "Male"}


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="found 'Validation'"):
        script({"Validation": 3})


def test_latent_dimensions_fill_the_cube_and_none_is_a_copy_of_another(spoken):
    vad = np.array([item.vad for item in spoken])
    assert np.abs(vad).max() < 1 and (vad.std(axis=0) > 0.4).all()
    octants = {tuple(point) for point in (vad > 0).tolist()}
    assert len(octants) == 8
    correlation = np.corrcoef(vad.T)[np.triu_indices(3, 1)]
    assert (correlation > 0.05).all() and (correlation < 0.45).all()


def test_raters_are_five_to_seven_different_workers_on_the_scale(spoken):
    for item in spoken:
        workers = {rating.worker for rating in item.ratings}
        assert 5 <= len(item.ratings) <= 7 and len(workers) == len(item.ratings)
        assert {value for rating in item.ratings for value in rating.vad} <= set(range(1, 8))


def test_every_class_occurs_other_and_no_agreement_included(spoken):
    assert {item.emotion for item in spoken} == {*CLASSES, "O", "X"}


def test_the_class_is_the_one_named_most_often_and_x_for_a_tie(spoken):
    for item in spoken:
        votes = [rating.emotion for rating in item.ratings]
        count = {letter: votes.count(letter) for letter in votes}
        best = [letter for letter in count if count[letter] == max(count.values())]
        assert item.emotion == (best[0] if len(best) == 1 else "X")


def test_the_cap_is_about_nine_tenths(spoken):
    caps = demo.cap(spoken)
    assert list(caps) == ["Train", "Development", "Test1", "Test2"]
    for split, cap in caps.items():
        assert all(0.86 < value < 0.94 for value in cap.values()), (split, cap)


def test_the_cap_is_the_ccc_of_the_best_affine_map(spoken):
    items = [item for item in spoken if item.voice.split == "Test2"]
    latent = np.array([item.vad[1] for item in items])
    truth = np.array([item.consensus[1] for item in items])
    cap = demo.cap(items)["Test2"]["arousal"]
    best = max(
        audmetric.concordance_cc(truth, offset + slope * latent)
        for slope in np.linspace(0.5, 5.0, 91)
        for offset in np.linspace(3.0, 5.0, 41)
    )
    assert cap - 1e-3 < best <= cap + 1e-4


# ---- How it lies on disk ----


def test_every_file_of_the_layout_is_there_and_nothing_else(corpus):
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


def test_the_readme_says_that_the_speech_is_synthetic(corpus):
    assert (corpus / "README.txt").read_text(encoding="utf-8").startswith("SYNTHETIC SPEECH\n")


def test_the_consensus_file_has_the_real_header_and_one_row_an_utterance(corpus):
    lines = (corpus / "Labels" / "labels_consensus.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    item = min((i for i in script(TINY) if i.voice.split != "Test3"), key=demo.file_name)
    valence, arousal, dominance = (round(value, 6) for value in item.consensus)
    assert lines[1] == (
        f"{demo.file_name(item)},{item.emotion},{arousal},{valence},{dominance},"
        f"{item.voice.speaker},{item.voice.gender},{item.voice.split}"
    )


def test_the_consensus_is_the_mean_of_the_rater_rows(corpus):
    blocks = (corpus / "Labels" / "labels.txt").read_text(encoding="utf-8").strip().split("\n\n")
    rows = {row["FileName"]: row for row in consensus_rows(corpus)}
    assert len(blocks) == len(rows)
    for block in blocks:
        header, *raters = block.split("\n")
        row = rows[header.split(";")[0]]
        # From the right end: what follows "Other-" may hold a semicolon.
        values = [[float(p.split(":")[1]) for p in line.split(";")[-4:-1]] for line in raters]
        means = [round(sum(column) / len(raters), 6) for column in zip(*values, strict=True)]
        assert means == [float(row[name]) for name in ("EmoAct", "EmoVal", "EmoDom")]
        assert header.split("; ")[1] == row["EmoClass"]


def test_a_rater_row_reads_as_in_the_real_file():
    item = dataclasses.replace(
        script({"Train": 1})[0],
        emotion="X",
        ratings=(Rating(8, "H", (6, 5, 4)), Rating(12, "O", (5, 5, 5))),
    )
    assert list(demo._rater_lines([item])) == [
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


def test_the_reader_of_msp_podcast_finds_every_set(corpus):
    sets = msp_podcast.read(corpus).sets
    counts = {name: len(utterances) for name, utterances in sets.items()}
    assert counts == {"train": 20, "valid": 4, "test1": 4, "test2": 3, "test3": 2}


@needs_espeak
def test_the_number_of_workers_changes_no_byte(corpus, tmp_path):
    demo.write_msp_podcast(tmp_path / "again", utterances=TINY, workers=3)
    assert contents(tmp_path / "again") == contents(corpus)


@needs_espeak
def test_the_same_corpus_is_left_as_it_is_and_its_facts_are_returned(tmp_path):
    folder = tmp_path / "demo"
    facts = demo.write_msp_podcast(folder, utterances={"Train": 2}, workers=1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert demo.write_msp_podcast(folder, utterances={"Train": 2}, workers=1) == facts
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert facts == json.loads((folder / "demo.json").read_text(encoding="utf-8"))


@needs_espeak
@pytest.mark.parametrize("damage", ["demo.json", "Audios/MSP-PODCAST_0301_0001.wav"])
def test_a_half_written_folder_is_made_anew(tmp_path, damage):
    folder = tmp_path / "demo"
    demo.write_msp_podcast(folder, utterances={"Train": 2}, workers=1)
    before = contents(folder)
    (folder / damage).unlink()
    demo.write_msp_podcast(folder, utterances={"Train": 2}, workers=1)
    assert contents(folder) == before


@needs_espeak
def test_another_seed_replaces_the_corpus(tmp_path):
    folder = tmp_path / "demo"
    demo.write_msp_podcast(folder, utterances={"Train": 1}, workers=1)
    facts = demo.write_msp_podcast(folder, utterances={"Train": 1}, seed=2, workers=1)
    assert facts["seed"] == 2
    text = (folder / "Transcripts" / "MSP-PODCAST_0001_0001.txt").read_text(encoding="utf-8")
    assert text == next(sentences(2)) + "\n"


def test_a_folder_with_something_else_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(FileExistsError, match="something else"):
        demo.write_msp_podcast(tmp_path, utterances={"Train": 1})
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


@needs_espeak
def test_a_failing_worker_is_reported_with_its_words(tmp_path):
    takes = [Take(number, str(tmp_path / "missing" / f"{number}.wav")) for number in range(2)]
    with pytest.raises(RuntimeError, match="Error opening"):
        record(takes, {"Train": 2}, workers=2)


def test_an_unknown_size_or_layout_says_what_is_allowed(tmp_path):
    with pytest.raises(ValueError, match="one of demo, smoke; found 'huge'"):
        demo.write("MSP-Podcast", tmp_path / "x", size="huge")
    with pytest.raises(ValueError, match="layout of MSP-Podcast; found 'TIMIT'"):
        demo.write("TIMIT", tmp_path / "x")
