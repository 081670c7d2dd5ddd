"""The synthetic demo corpus in the layout of MSP-IMPROV."""

import dataclasses
import math
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from data_prep.manifest import prepare_manifests
from data_prep.msp_improv import reader as msp_improv
from data_prep.synthetic.layouts.msp_improv import LAYOUT, evaluation_lines, sentences_by_name
from data_prep.synthetic.script import Rating

TINY = {"1": 6, "6": 4}
NAME = re.compile(r"IMPROV-S(\d\d)([AHNS])-([FM])0([1-6])-([PRST])-([FM])([FM])(\d\d)")
ANGRY = (
    Rating(8, "A", (2, 3, 3)),
    Rating(12, "A", (3, 2, 3)),
    Rating(7, "O", (2, 3, 3)),
)


@pytest.fixture(scope="module")
def corpus(demo_corpus):
    """Write a tiny corpus. Tests must not modify it."""
    return demo_corpus("MSP-IMPROV", TINY)


@pytest.fixture(scope="module")
def smoke(demo_corpus):
    """Write the corpus of the smoke preset. Tests must not modify it."""
    return demo_corpus("MSP-IMPROV", "smoke", workers=2)


@pytest.fixture(scope="module")
def demo_names():
    return sentences_by_name(LAYOUT.script(LAYOUT.sizes["demo"]))


@pytest.fixture
def lines_of(monkeypatch):
    """Return a function that returns the lines of one utterance with fixed naturalness."""
    item = LAYOUT.script({"2": 1})[0]
    monkeypatch.setattr(
        "data_prep.synthetic.layouts.msp_improv._naturalness", lambda item, seed: [4.0, 4.0, 3.0]
    )

    def lines(number=1, ratings=ANGRY):
        item_ = dataclasses.replace(item, number=number, emotion="A", ratings=ratings)
        return list(evaluation_lines({"IMPROV-S01A-F02-R-FF01": item_}))

    return lines


def test_label_file_matches_the_real_format_with_reversed_activation(lines_of):
    assert lines_of() == [
        "UTD-IMPROV-S01A-F02-R-FF01.avi; A; A:3.333333; V:2.333333; D:3.000000 ; N:3.666667;",
        "WORKER00000008; Angry; Angry,Frustrated; A:3.000000; V:2.000000; D:3.000000; N:4.000000;",
        "WORKER00000012; Angry; Angry,Frustrated; A:4.000000; V:3.000000; D:3.000000; N:4.000000;",
        "WORKER00000007; Other; Other; A:3.000000; V:2.000000; D:3.000000; N:3.000000;",
        "",
    ]


def test_repeated_rater_lines_count_once_in_the_mean(lines_of):
    single, double = lines_of(number=1), lines_of(number=9)
    assert double == [*single[:-1], single[-2], ""]


def test_unrated_dominance_is_nan_everywhere(lines_of):
    ratings = tuple(dataclasses.replace(r, vad=(*r.vad[:2], math.nan)) for r in ANGRY)
    lines = lines_of(ratings=ratings)
    assert lines[0].endswith("; A:3.333333; V:2.333333; D:NaN ; N:3.666667;")
    assert lines[1].endswith("; A:3.000000; V:2.000000; D:NaN; N:4.000000;")


def test_about_one_utterance_in_twenty_has_no_dominance(demo_names):
    missing = [math.isnan(item.consensus[2]) for item in demo_names.values()]
    assert 0.045 < np.mean(missing) < 0.06


def test_naturalness_is_sometimes_nan(demo_names):
    text = "\n".join(evaluation_lines(demo_names))
    assert len(re.findall(r"\.avi; .*; N:NaN;$", text, re.MULTILINE)) == 96  # every 31st of 3000


def test_names_contain_sentence_target_speaker_condition_and_turn(demo_names):
    assert len(demo_names) == 3000
    for name, item in demo_names.items():
        sentence, _, gender, session, condition, first, second, turn = NAME.fullmatch(name).groups()
        assert 1 <= int(sentence) <= 20 and int(turn) >= 1
        assert (gender, session) == (item.voice.gender[0], item.voice.part)
        assert item.voice.speaker == f"{gender}0{session}"
        assert (first == second == gender) if condition in "RT" else (first != second)


def test_conditions_have_approximately_the_real_proportions(demo_names):
    count = Counter(name.split("-")[3] for name in demo_names)
    shares = {condition: count[condition] / 3000 for condition in "PRST"}
    real = {"P": 2785 / 8438, "R": 620 / 8438, "S": 4381 / 8438, "T": 652 / 8438}
    assert shares == pytest.approx(real, abs=0.03)


def test_smoke_corpus_contains_every_condition():
    assert {
        name.split("-")[3] for name in sentences_by_name(LAYOUT.script(LAYOUT.sizes["smoke"]))
    } == {*"PRST"}


def test_corpus_contains_exactly_the_files_of_the_layout(corpus, contents):
    expected = {"README.txt", "demo.json", "Evalution.txt"}
    texts = 0
    for name, item in sentences_by_name(LAYOUT.script(TINY)).items():
        _, sentence, speaker, condition, _ = name.split("-")
        expected.add(f"Audio/session{speaker[-1]}/{sentence}/{condition}/MSP-{name}.wav")
        if item.number % 7:
            texts += 1
            expected.add(f"Human_transcriptions/All_human_transcriptions/MSP-{name}.txt")
    assert set(contents(corpus)) == expected
    assert 0 < texts < 10  # some have no transcription


def test_audio_is_mono_at_48000_hz(corpus):
    infos = [soundfile.info(path) for path in corpus.rglob("*.wav")]
    kinds = {(info.samplerate, info.channels, info.subtype) for info in infos}
    assert len(infos) == 10 and kinds == {(48000, 1, "PCM_16")}
    assert all(0.8 < info.duration < 8.0 for info in infos)


def test_preparation_rejects_nothing_and_confirms_the_means(smoke, tmp_path):
    summary = prepare_manifests(msp_improv, smoke, tmp_path / "manifests", fold=2)
    assert summary.counts == {"train": 40, "valid": 10, "test": 10}
    assert summary.rejected == {}
    assert summary.warnings == ["8 of 60 utterances have no transcript."]


def test_reader_returns_the_generated_labels_with_reversed_arousal(smoke):
    corpus = msp_improv.read(smoke)
    drawn = {
        f"MSP-{k}": v for k, v in sentences_by_name(LAYOUT.script(LAYOUT.sizes["smoke"])).items()
    }
    rows = {row.id: row for _, row in corpus.utterances()}
    assert rows.keys() == drawn.keys() and len(rows) == 60
    used = [(row.arousal - 3) / -2 for row in rows.values()]
    assert corpus.scale.reversed == ("arousal",)
    latent = [drawn[name].vad[1] for name in rows]
    assert np.corrcoef(used, latent)[0, 1] > 0.8
    for name, row in rows.items():
        valence, arousal, dominance = drawn[name].consensus
        vad = [math.nan if value is None else value for value in row.vad]
        assert vad == pytest.approx((valence, 6 - arousal, dominance), abs=1e-6, nan_ok=True)
        assert (row.speaker, row.session) == (drawn[name].voice.speaker, drawn[name].voice.part)
