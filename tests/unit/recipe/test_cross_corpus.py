"""Cross-corpus tests: settings of the test corpus and checks of its audio files."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe.cross_corpus import metrics_file, parse_options, prepare_other_corpus
from emosphere_sb.recipe.folds import is_tested_on
from emosphere_sb.recipe.workspace import prepare_corpus
from emosphere_sb.results.scores import write_json

CODES = ("neu", "xxx")


@pytest.mark.parametrize(
    ("text", "corpus", "options"),
    [
        ("{release: 1.10}", "MSP-Podcast", {"release": "1.10"}),
        ("{labels_file: 007}", "OwnData", {"labels_file": "007"}),
        ("{labels_file: 2020-01-01}", "OwnData", {"labels_file": "2020-01-01"}),
        ("{flip_arousal: false}", "MSP-IMPROV", {"flip_arousal": False}),
        ("{flip_arousal: 'False'}", "MSP-IMPROV", {"flip_arousal": False}),
        ("{conditions: [P, S]}", "MSP-IMPROV", {"conditions": ["P", "S"]}),
        ("{label_low: -1.5, label_high: 2}", "OwnData", {"label_low": -1.5, "label_high": 2}),
        ("{partition: }", "IEMOCAP", {"partition": None}),
        (None, "IEMOCAP", {}),
    ],
)
def test_options_are_read_as_on_the_command_line(text, corpus, options):
    assert parse_options({"test_options": text}, corpus) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{flip_arousal: no}", "flip_arousal must be true or false; found 'no'"),
        ("{flip_arousal: 0}", "flip_arousal must be true or false; found '0'"),
        ("{flip_arousal: }", "flip_arousal must be true or false; found null"),
        ("{conditions: P}", r"conditions must be a list; found 'P'\. Use '\[P\]'"),
        ("{conditions: {P: 1}}", "conditions must be a list"),
        ("{1: 2}", "Unknown key '1'"),
        ("{drop_train: [other]}", "Unknown key 'drop_train'. Did you mean 'drop_t"),
        ("{conditions: [P}", "must be a mapping"),
    ],
)
def test_invalid_options(text, message):
    with pytest.raises(ValueError, match=f"test_options.*{message}"):
        parse_options({"test_options": text}, "MSP-IMPROV")


@pytest.fixture
def iemocap(tmp_path):
    """Corpus with a neutral turn and a turn without majority in each of five sessions."""
    root, chance = tmp_path / "IEMOCAP", np.random.default_rng(1)
    for session in "12345":
        name, lines = f"Ses0{session}F_impro01", []
        labels = root / f"Session{session}" / "dialog" / "EmoEvaluation"
        audio = root / f"Session{session}" / "sentences" / "wav" / name
        labels.mkdir(parents=True)
        audio.mkdir(parents=True)
        for speaker, code in zip("FM", CODES, strict=True):
            turn = f"{name}_{speaker}000"
            lines.append(f"[0.0 - 1.0]\t{turn}\t{code}\t[2.0, 3.0, 4.0]\n\n")
            soundfile.write(audio / f"{turn}.wav", chance.uniform(-0.1, 0.1, 800), 16000)
        (labels / f"{name}.txt").write_text("".join(lines))
    return root


@pytest.fixture
def own(tmp_path):
    """Own data with two files, one for training and one for validation."""
    root, chance = tmp_path / "own", np.random.default_rng(2)
    root.mkdir()
    for name in "ab":
        soundfile.write(root / f"{name}.wav", chance.uniform(-0.1, 0.1, 800), 16000)
    lines = ["file,valence,arousal,dominance,speaker,split", "a.wav,1,2,3,s1,train"]
    (root / "labels.csv").write_text("\n".join([*lines, "b.wav,3,2,1,s2,valid"]))
    return root


@pytest.fixture
def settings(root, tmp_path):
    """Function that returns the settings of a run on own data, with changes."""

    def make(**changes):
        found = scalars(read_tree(root / "hparams" / "emosphere.yaml"))
        ends = {"label_low": 1, "label_high": 5}
        return {**found, **ends, "results_folder": str(tmp_path / "results"), **changes}

    return make


def test_dropped_class_is_dropped_from_all_sessions(iemocap, own, settings):
    words = settings(data_folder=str(own), test_corpus="IEMOCAP", test_data_folder=str(iemocap))
    summary = prepare_corpus(words, "OwnData")
    rows = prepare_other_corpus(words, summary).rows["IEMOCAP-all"]
    assert len(rows) == 10
    words["test_options"] = "{drop_test: [no_agreement]}"
    rows = prepare_other_corpus(words, summary).rows["IEMOCAP-all"]
    assert sorted(rows) == [f"Ses0{session}F_impro01_F000" for session in "12345"]


def test_copy_of_the_training_corpus_is_rejected(iemocap, settings, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(iemocap, copy)
    words = settings(data_folder=str(iemocap), test_corpus="IEMOCAP", test_data_folder=str(copy))
    summary = prepare_corpus(words, "IEMOCAP")
    with pytest.raises(
        ValueError, match=r"copy of the training corpus; .*copy.*wav is identical to"
    ):
        prepare_other_corpus(words, summary)


def test_different_files_with_equal_names_are_not_a_copy(own, settings, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(own, other)
    for name in "ab":
        silence = np.zeros(800)
        soundfile.write(other / f"{name}.wav", silence, 16000)
    words = settings(data_folder=str(own), test_corpus="OwnData", test_data_folder=str(other))
    words["test_options"] = "{label_low: 1, label_high: 5}"
    summary = prepare_corpus(words, "OwnData")
    assert list(prepare_other_corpus(words, summary).rows["OwnData-all"]) == ["a", "b"]


def test_corpus_without_a_test_set_is_rejected(own, settings, tmp_path):
    podcast = tmp_path / "podcast"
    (podcast / "Audios").mkdir(parents=True)
    shutil.copy(own / "a.wav", podcast / "Audios" / "c.wav")
    header = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    (podcast / "labels_consensus.csv").write_text(f"{header}\nc.wav,N,2,3,4,1,Male,Train\n")
    words = settings(data_folder=str(own), test_corpus="MSP-Podcast", test_data_folder=str(podcast))
    summary = prepare_corpus(words, "OwnData")
    with pytest.raises(
        ValueError, match="must contain a test set of MSP-Podcast; found only train in"
    ):
        prepare_other_corpus(words, summary)


def test_metrics_on_other_data_or_settings_are_not_reused(iemocap, own, settings, tmp_path):
    words = settings(data_folder=str(own), test_corpus="IEMOCAP", test_data_folder=str(iemocap))
    summary = prepare_corpus(words, "OwnData")
    other = prepare_other_corpus(words, summary)
    assert not is_tested_on(tmp_path, other)
    facts = {"protocol": {"tested_on": other.metadata()}}
    write_json(facts, metrics_file(tmp_path, "IEMOCAP"))
    assert is_tested_on(tmp_path, prepare_other_corpus(words, summary))
    assert json.loads(metrics_file(tmp_path, "IEMOCAP").read_text()) == facts
    joined = {**words, "test_options": "{four_classes: True}"}
    assert not is_tested_on(tmp_path, prepare_other_corpus(joined, summary))
    labels = iemocap / "Session3/dialog/EmoEvaluation/Ses03F_impro01.txt"
    labels.write_text(labels.read_text().replace("[2.0, 3.0", "[3.0, 2.0"))
    assert not is_tested_on(tmp_path, prepare_other_corpus(words, summary))
