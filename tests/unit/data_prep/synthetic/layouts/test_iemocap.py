"""The synthetic demo corpus in the layout of IEMOCAP."""

import dataclasses
import math
import re

import pytest
import soundfile

from data_prep.iemocap import reader as iemocap
from data_prep.manifest import prepare_manifests
from data_prep.synthetic.layouts.iemocap import (
    LAYOUT,
    Turn,
    dialogues,
    evaluation_lines,
    transcription_lines,
)
from data_prep.synthetic.script import Rating

TINY = {"1": 6, "5": 12}
NEUTRAL = (Rating(2, "neu", (3, 2, 2)), Rating(3, "neu", (3, 3, 2)), Rating(4, "hap", (4, 2, 1)))


@pytest.fixture(scope="module")
def corpus(demo_corpus):
    """Write a tiny corpus. Tests must not modify it."""
    return demo_corpus("IEMOCAP", TINY)


@pytest.fixture(scope="module")
def smoke(demo_corpus):
    """Write the corpus of the smoke preset. Tests must not modify it."""
    return demo_corpus("IEMOCAP", "smoke", workers=2)


@pytest.fixture
def turn():
    """Return a turn whose expected lines can be written by hand."""
    item = LAYOUT.script({"1": 1})[0]
    item = dataclasses.replace(item, text="Excuse me.", emotion="neu", ratings=NEUTRAL)
    return Turn("Ses01F_impro01_F000", item, 6.2901, 8.2357)


def lines_of(turn, own=(3, 2, 1)):
    return list(evaluation_lines([turn], {turn.id: own}))


def test_label_file_matches_the_real_format(turn):
    assert lines_of(turn) == [
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
        "",
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[3.3333, 2.3333, 1.6667]",
        "C-E2:\tNeutral;\t()",
        "C-E3:\tNeutral;\t()",
        "C-E4:\tHappiness;\t()",
        "C-F1:\tNeutral;\t()",
        "A-E2:\tval 3; act 2; dom  2;\t()",
        "A-E3:\tval 3; act 3; dom  2;\t()",
        "A-E4:\tval 4; act 2; dom  1;\t()",
        "A-F1:\tval 3; act 2; dom  1;\t()",
        "",
    ]


def test_missing_votes_are_nan_in_the_label_and_empty_in_the_ratings(turn):
    ratings = tuple(dataclasses.replace(r, vad=(*r.vad[:2], math.nan)) for r in NEUTRAL)
    lines = lines_of(turn._replace(item=dataclasses.replace(turn.item, ratings=ratings)))
    assert lines[2].endswith("\tneu\t[3.3333, 2.3333, NaN]")
    assert lines[7] == "A-E2:\tval 3; act 2; dom  ;\t()"


def test_missing_votes_are_excluded_from_the_mean(turn):
    skipped = dataclasses.replace(NEUTRAL[2], vad=(4, 2, math.nan))
    ratings = (*NEUTRAL[:2], skipped)
    lines = lines_of(turn._replace(item=dataclasses.replace(turn.item, ratings=ratings)))
    assert lines[2].endswith("[3.3333, 2.3333, 2.0000]")


def test_other_has_a_comment_that_may_contain_non_ascii_characters(turn):
    said = set()
    for number in range(3):
        ratings = (Rating(1, "oth", (3, 3, 3)),)
        item = dataclasses.replace(turn.item, number=number, ratings=ratings)
        said.add(lines_of(turn._replace(item=item))[3])
    assert said == {"C-E1:\tOther;\t()", "C-E1:\tOther;\t(puzzled)", "C-E1:\tOther;\t(blasé)"}


def test_transcriptions_match_the_real_format_including_stray_lines(turn):
    assert list(transcription_lines([turn])) == [
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.",
        "M: [LAUGHTER]",
        "Ses01F_impro01_FXX0 [008.3357-008.5357]: Hm.",
    ]


def test_each_demo_dialogue_has_a_woman_and_a_man():
    script = LAYOUT.script(LAYOUT.sizes["demo"])
    found = dialogues(script)
    assert len(found) == 100
    assert sum(map(len, found.values())) == len(script) == 3000
    for name, turns in found.items():
        session = name[:5]
        assert {turn.item.voice.speaker for turn in turns} == {f"{session}F", f"{session}M"}
        for turn in turns:
            assert turn.id.rpartition("_")[0] == name
            letter = turn.id.rpartition("_")[2][0]
            assert turn.item.voice.speaker == session + letter


def test_women_also_speak_when_the_man_wears_the_markers():
    ids = [turn.id for turns in dialogues(LAYOUT.script({"5": 600})).values() for turn in turns]
    assert len(ids) == len(set(ids))
    assert "Ses05M_script01_1b_F012" in ids


def test_corpus_contains_exactly_the_files_of_the_layout(corpus, contents):
    expected = {"README.txt", "demo.json"}
    for dialog, turns in dialogues(LAYOUT.script(TINY)).items():
        session = f"Session{dialog[4]}"
        labels, wavs = f"{session}/dialog/EmoEvaluation", f"{session}/sentences/wav/{dialog}"
        expected |= {
            *(f"{wavs}/{turn.id}.wav" for turn in turns),
            *(f"{labels}/{dialog}.txt", f"{session}/dialog/transcriptions/{dialog}.txt"),
            *(f"{labels}/Self-evaluation/{dialog}.txt",),
            *(f"{labels}/Attribute/{dialog}_e1_atr.txt",),
            *(f"{labels}/Categorical/{dialog}_e1_cat.txt",),
        }
        if dialog.endswith("F_impro01"):
            expected |= {f"{labels}/._{dialog}.txt", f"{wavs}/._{turns[0].id}.wav"}
    assert set(contents(corpus)) == expected


def test_audio_is_mono_at_16000_hz(corpus):
    wavs = [path for path in corpus.rglob("*.wav") if not path.name.startswith(".")]
    kinds = {(i.samplerate, i.channels, i.subtype) for i in map(soundfile.info, wavs)}
    assert len(wavs) == 18 and kinds == {(16000, 1, "PCM_16")}


def test_times_match_the_audio_and_turns_do_not_overlap(corpus):
    file = corpus / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    times = re.findall(r"^\[(\S+) - (\S+)\]\t(\w+)", file.read_text("latin-1"), re.MULTILINE)
    assert len(times) == 4
    before = 0.0
    for start, end, name in times:
        wav = corpus / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / f"{name}.wav"
        assert float(end) - float(start) == pytest.approx(soundfile.info(wav).duration, abs=2e-4)
        assert float(start) > before
        before = float(end)


def test_decoys_in_the_subfolders_differ_from_the_labels(corpus):
    folder = corpus / "Session5" / "dialog" / "EmoEvaluation"
    own, decoy = (
        re.findall(r"^\[.*", (folder / part / "Ses05F_impro01.txt").read_text("latin-1"), re.M)
        for part in (".", "Self-evaluation")
    )
    assert len(own) == len(decoy) == 4
    turns, fakes = ([line.rpartition("\t")[0] for line in lines] for lines in (own, decoy))
    assert turns == fakes
    assert own != decoy


def test_preparation_rejects_nothing_and_confirms_the_means(smoke, tmp_path):
    summary = prepare_manifests(iemocap, smoke, tmp_path / "manifests", fold=3)
    assert summary.counts == {"train": 36, "valid": 12, "test": 12}
    assert summary.rejected == {} and summary.warnings == []


def test_reader_returns_the_generated_labels(smoke):
    drawn = {
        turn.id: turn.item
        for turns in dialogues(LAYOUT.script(LAYOUT.sizes["smoke"])).values()
        for turn in turns
    }
    rows = {row.id: row for _, row in iemocap.read(smoke).utterances()}
    assert rows.keys() == drawn.keys() and len(rows) == 60
    for name, row in rows.items():
        vad = [math.nan if value is None else value for value in row.vad]
        assert vad == pytest.approx(drawn[name].consensus, abs=5e-5, nan_ok=True)
        assert (row.speaker, row.gender) == (drawn[name].voice.speaker, drawn[name].voice.gender)
        assert row.transcript == drawn[name].text
    assert any(row.dominance is None for row in rows.values())
