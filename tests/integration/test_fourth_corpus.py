"""Test that one reader module and one list entry are enough to add a corpus (CONTRIBUTING.md)."""

import numpy as np
import soundfile

READER = """
from data_prep.corpus import Corpus, Utterance
from emosphere_sb.scale import Scale

NAME = "Fourth"


def read_labels(path):
    for line in path.read_text().splitlines():
        name, split, v, a, d = line.split()
        vad = dict(zip(("valence", "arousal", "dominance"), map(float, (v, a, d))))
        yield split, Utterance(name, f"{name}.wav", **vad, speaker=name)


def read(data_folder):
    corpus = Corpus(NAME, data_folder, {"train": [], "valid": [], "test": []}, Scale(0, 100))
    for split, row in read_labels(data_folder / "labels.txt"):
        corpus.sets[split].append(row)
    corpus.inputs, corpus.audio_folders = [data_folder / "labels.txt"], [data_folder]
    return corpus
"""


def test_recipe_runs_on_an_additional_corpus(root, tmp_path, monkeypatch):
    from emosphere_sb.recipe import corpora
    from emosphere_sb.recipe.run import run_recipe

    (tmp_path / "fourth_corpus.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(corpora.CORPORA, "Fourth", "fourth_corpus")
    data, chance, lines = tmp_path / "data", np.random.default_rng(1), []
    data.mkdir()
    for number in range(30):
        soundfile.write(data / f"u{number}.wav", chance.uniform(-0.3, 0.3, 8000), 16000)
        split = "train" if number < 18 else "valid" if number < 24 else "test"
        lines.append(f"u{number} {split} {' '.join(str(x) for x in chance.integers(0, 101, 3))}")
    (data / "labels.txt").write_text("\n".join(lines))
    options = ["--preset=smoke", "--noprogressbar", "--number_of_epochs=1"]
    options += [f"--data_folder={data}", f"--results_folder={tmp_path}"]
    metrics = run_recipe([str(root / "hparams" / "emosphere.yaml"), *options], corpus="Fourth")
    assert metrics["protocol"]["corpus"] == "Fourth"
    assert metrics["protocol"]["utterances"] == {"train": 18, "valid": 6, "test": 6}
    assert metrics["test"]["utterances"] == 6
