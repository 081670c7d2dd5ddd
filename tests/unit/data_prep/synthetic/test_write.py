"""Synthetic demo corpora: generated scripts, and properties shared by all layouts on disk."""

import dataclasses
import itertools
import json
import math
from collections import defaultdict

import audmetric
import numpy as np
import pytest

from data_prep.synthetic import espeak
from data_prep.synthetic import write as synthetic
from data_prep.synthetic.recording import Recording, write_recordings
from data_prep.synthetic.script import Rating, generate_script, sentence_texts

needs_espeak = pytest.mark.skipif(
    not espeak.is_installed(), reason="espeakng-loader (extra 'demo') is not installed"
)
PODCAST = synthetic.LAYOUTS["MSP-Podcast"]
TINY = {
    "MSP-Podcast": {"Train": 4, "Test3": 1},
    "IEMOCAP": {"1": 4, "5": 2},
    "MSP-IMPROV": {"1": 3, "6": 2},
    "OwnData": {"train": 3, "valid": 1, "test": 1},
}


@pytest.fixture(scope="module")
def scripts():
    """Return the script of the full demo of each corpus."""
    return {name: layout.script(layout.sizes["demo"]) for name, layout in synthetic.LAYOUTS.items()}


@pytest.fixture(params=synthetic.LAYOUTS)
def corpus(request):
    return request.param


# ---- Scripts ----


def test_each_corpus_has_a_layout():
    assert list(synthetic.LAYOUTS) == ["MSP-Podcast", "IEMOCAP", "MSP-IMPROV", "OwnData"]


def test_script_depends_on_the_seed():
    counts = {"Train": 20, "Test1": 4}
    assert PODCAST.script(counts, seed=3) == PODCAST.script(counts, seed=3)
    assert PODCAST.script(counts, seed=3) != PODCAST.script(counts, seed=4)


def test_voices_and_sentences_are_in_only_one_split_or_session(scripts, corpus):
    sentences = scripts[corpus]
    variants, texts = defaultdict(set), defaultdict(set)
    for item in sentences:
        variants[item.voice.variant].add(item.voice.part)
        texts[item.text].add(item.voice.part)
    assert len(texts) == len(sentences)
    assert all(len(parts) == 1 for parts in [*variants.values(), *texts.values()])


def test_every_speaker_has_one_voice(scripts, corpus):
    voices = {item.voice for item in scripts[corpus]}
    assert voices == set(synthetic.LAYOUTS[corpus].voices)
    assert len({voice.variant for voice in voices}) == len(voices)
    speakers = [voice.speaker for voice in voices if voice.speaker != "Unknown"]
    assert len(speakers) == len(set(speakers)) >= 10


def test_corpora_do_not_share_sentences(scripts):
    texts = {name: {item.text for item in sentences} for name, sentences in scripts.items()}
    pairs = list(itertools.combinations(texts, 2))
    assert len(pairs) == 6
    assert [pair for pair in pairs if texts[pair[0]] & texts[pair[1]]] == []


def test_each_split_and_session_has_both_genders(scripts, corpus):
    genders = defaultdict(set)
    for item in scripts[corpus]:
        genders[item.voice.part].add(item.voice.gender)
    assert set(genders) == set(synthetic.LAYOUTS[corpus].sizes["smoke"])
    assert all(found == {"Female", "Male"} for found in genders.values())


def test_sizes_are_as_intended(corpus):
    sizes = synthetic.LAYOUTS[corpus].sizes
    assert list(sizes) == ["demo", "small", "smoke"]
    assert 2900 < sum(sizes["demo"].values()) < 4000
    assert 1100 < sum(sizes["small"].values()) < 1500
    assert 55 < sum(sizes["smoke"].values()) < 95


def test_sentences_never_repeat():
    texts = list(sentence_texts(5))
    assert len(texts) == len(set(texts)) > 50_000


def test_unknown_part_raises():
    with pytest.raises(ValueError, match=r"among Train, Development.*found 'Validation'"):
        generate_script({"Validation": 3}, PODCAST.voices, PODCAST.panel)


def test_latent_dimensions_fill_the_cube_and_are_not_redundant(scripts, corpus):
    vad = np.array([item.vad for item in scripts[corpus]])
    assert np.abs(vad).max() < 1 and (vad.std(axis=0) > 0.4).all()
    octants = {tuple(point) for point in (vad > 0).tolist()}
    assert len(octants) == 8
    correlation = np.corrcoef(vad.T)[np.triu_indices(3, 1)]
    assert (correlation > 0.02).all() and (correlation < 0.45).all()


@pytest.mark.parametrize(
    ("corpus", "raters", "high"),
    [("MSP-Podcast", (5, 7), 7), ("IEMOCAP", (2, 3), 5), ("MSP-IMPROV", (5, 7), 5)],
)
def test_raters_are_distinct_and_use_the_full_scale(scripts, corpus, raters, high):
    votes = set()
    for item in scripts[corpus]:
        workers = {rating.worker for rating in item.ratings}
        assert raters[0] <= len(item.ratings) <= raters[1] and len(workers) == len(item.ratings)
        votes |= {vote for rating in item.ratings for vote in rating.vad if not math.isnan(vote)}
    assert votes == set(range(1, high + 1))


def test_every_class_occurs_including_other_and_no_agreement(scripts, corpus):
    panel = synthetic.LAYOUTS[corpus].panel
    expected = {*panel.classes, panel.other, panel.tie}
    assert {item.emotion for item in scripts[corpus]} == expected


def test_class_is_the_majority_and_ties_have_their_own_class(scripts, corpus):
    for item in scripts[corpus]:
        votes = [rating.emotion for rating in item.ratings]
        count = {code: votes.count(code) for code in votes}
        best = [code for code in count if count[code] == max(count.values())]
        tie = synthetic.LAYOUTS[corpus].panel.tie
        assert item.emotion == (best[0] if len(best) == 1 else tie)


def test_consensus_is_the_mean_of_the_available_votes():
    item = PODCAST.script({"Train": 1})[0]
    votes = [Rating(1, "N", (2, 5, math.nan)), Rating(2, "N", (3, 1, 4)), Rating(3, "N", (3, 3, 1))]
    assert dataclasses.replace(item, ratings=tuple(votes)).consensus == (8 / 3, 3.0, 2.5)
    assert math.isnan(dataclasses.replace(item, ratings=tuple(votes[:1])).consensus[2])


def test_ccc_ceiling_is_about_0_9(scripts, corpus):
    layout = synthetic.LAYOUTS[corpus]
    caps = synthetic.ccc_ceiling(scripts[corpus], hidden=layout.hidden)
    assert list(caps) == [part for part in layout.sizes["demo"] if part not in layout.hidden]
    for part, cap in caps.items():
        assert all(0.86 < value < 0.94 for value in cap.values()), (part, cap)


def test_ccc_ceiling_is_the_ccc_of_the_best_affine_map(scripts):
    items = [item for item in scripts["MSP-Podcast"] if item.voice.part == "Test2"]
    latent = np.array([item.vad[1] for item in items])
    truth = np.array([item.consensus[1] for item in items])
    cap = synthetic.ccc_ceiling(items)["Test2"]["arousal"]
    best = max(
        audmetric.concordance_cc(truth, offset + slope * latent)
        for slope in np.linspace(0.5, 5.0, 91)
        for offset in np.linspace(3.0, 5.0, 41)
    )
    assert cap - 1e-3 < best <= cap + 1e-4


def test_ccc_ceiling_ignores_unrated_utterances(scripts):
    items = [item for item in scripts["MSP-IMPROV"] if item.voice.part == "4"]
    known = [item for item in items if not math.isnan(item.consensus[2])]
    assert 0 < len(items) - len(known) < 0.1 * len(items)
    pearson = audmetric.pearson_cc(
        [item.consensus[2] for item in known], [item.vad[2] for item in known]
    )
    assert synthetic.ccc_ceiling(items)["4"]["dominance"] == pytest.approx(pearson, abs=1e-4)


# ---- Properties shared by all layouts on disk ----


@needs_espeak
def test_number_of_workers_does_not_affect_the_files(demo_corpus, contents, corpus):
    one, two = (contents(demo_corpus(corpus, TINY[corpus], workers=n)) for n in (1, 2))
    assert one == two
    assert sum(name.endswith(".wav") and "/._" not in name for name in one) == sum(
        TINY[corpus].values()
    )


@needs_espeak
def test_readme_and_stamp_describe_the_corpus(demo_corpus, corpus):
    folder = demo_corpus(corpus, TINY[corpus])
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert readme.startswith("SYNTHETIC SPEECH\n") and f"layout of {corpus}," in readme
    facts = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    assert facts["layout"] == corpus and facts["utterances"] == TINY[corpus]
    assert set(facts["cap"]) == {
        part for part, count in TINY[corpus].items() if count > 1 and part != "Test3"
    }


@needs_espeak
def test_complete_corpus_is_reused(tmp_path, corpus):
    folder, counts = tmp_path / "demo", TINY[corpus]
    facts = synthetic.write(corpus, folder, size=counts, workers=1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert synthetic.write(corpus, folder, size=counts, workers=1) == facts
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert facts == json.loads((folder / "demo.json").read_text(encoding="utf-8"))


@needs_espeak
@pytest.mark.parametrize("damage", ["demo.json", "Audios/MSP-PODCAST_0301_0001.wav"])
def test_partially_written_folder_is_replaced(tmp_path, contents, damage):
    folder = tmp_path / "demo"
    synthetic.write("MSP-Podcast", folder, size={"Train": 2}, workers=1)
    before = contents(folder)
    (folder / damage).unlink()
    synthetic.write("MSP-Podcast", folder, size={"Train": 2}, workers=1)
    assert contents(folder) == before


@needs_espeak
def test_different_seed_replaces_the_corpus(tmp_path):
    folder = tmp_path / "demo"
    synthetic.write("MSP-Podcast", folder, size={"Train": 1}, workers=1)
    facts = synthetic.write("MSP-Podcast", folder, size={"Train": 1}, seed=2, workers=1)
    assert facts["seed"] == 2
    text = (folder / "Transcripts" / "MSP-PODCAST_0001_0001.txt").read_text(encoding="utf-8")
    assert text == next(sentence_texts(2)) + "\n"


@needs_espeak
def test_different_layout_replaces_the_corpus(tmp_path):
    folder = tmp_path / "demo"
    synthetic.write("MSP-Podcast", folder, size={"Train": 1}, workers=1)
    synthetic.write("OwnData", folder, size={"train": 1}, workers=1)
    assert {path.name for path in folder.iterdir()} == {
        *("README.txt", "demo.json", "labels.csv", "wav")
    }


def test_folder_with_other_files_is_not_modified(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(FileExistsError, match="contains other files"):
        synthetic.write("MSP-Podcast", tmp_path, size={"Train": 1})
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


@needs_espeak
def test_failed_worker_is_reported_with_its_error_output(tmp_path):
    sentences = PODCAST.script({"Train": 2})
    recordings = [
        Recording(item, str(tmp_path / "missing" / f"{item.turn}.wav")) for item in sentences
    ]
    with pytest.raises(RuntimeError, match="Error opening"):
        write_recordings(recordings, workers=2)


def test_unknown_size_or_layout_error_lists_the_valid_ones(tmp_path):
    with pytest.raises(ValueError, match="one of demo, small, smoke; found 'huge'"):
        synthetic.write("MSP-Podcast", tmp_path / "x", size="huge")
    allowed = "must be one of MSP-Podcast, IEMOCAP, MSP-IMPROV, OwnData; found 'TIMIT'"
    with pytest.raises(ValueError, match=allowed):
        synthetic.write("TIMIT", tmp_path / "x")
