"""Test trained models on every other corpus, on the label scale of that corpus."""

import json
import shutil

import pandas as pd
import pytest

from emosphere_sb.recipe.corpora import CORPORA
from emosphere_sb.scale import DIMENSIONS

SCALE_OPTIONS = ["--label_low=1", "--label_high=7"]  # only own data needs them


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from data_prep.synthetic import write as synthetic

    folder = tmp_path_factory.mktemp("demo")
    for corpus in CORPORA:
        synthetic.write(corpus, folder / corpus, size="smoke")
    return folder


def command(root, corpora, trained, results):
    return [
        str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--noprogressbar",
        "--number_of_epochs=1", "--normalisation=none", f"--data_folder={corpora / trained}",
        f"--results_folder={results}", f"--output_folder={results}/run",
        *(SCALE_OPTIONS if trained == "OwnData" else []),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained_on(corpora, root, tmp_path_factory):
    """The command and metrics of a run of one epoch on each corpus."""
    from emosphere_sb.recipe.run import run_recipe

    found = {}
    for trained in CORPORA:
        words = command(root, corpora, trained, tmp_path_factory.mktemp(trained))
        found[trained] = (words, run_recipe(words, corpus=trained))
    return found


@pytest.mark.parametrize("trained", CORPORA)
def test_model_is_tested_on_each_other_corpus(trained, trained_on, corpora):
    from emosphere_sb.recipe.run import run_recipe

    words, plain = trained_on[trained]
    folder = corpora_folder(words)
    for other in (name for name in CORPORA if name != trained):
        more = [f"--test_corpus={other.lower()}", f"--test_data_folder={corpora / other}"]
        if other == "OwnData":
            more.append("--test_options={label_low: 1, label_high: 7}")
        metrics = run_recipe([*words, *more], corpus=trained)
        names = [name for name in metrics if name.startswith(f"{other}-")]
        assert names
        assert {name: metrics[name] for name in plain if name != "run"} == {
            name: plain[name] for name in plain if name != "run"
        }
        saved = json.loads((folder / f"metrics_on_{other}.json").read_text())
        assert saved[names[0]]["utterances"] == metrics[names[0]]["utterances"]
        assert saved["protocol"]["trained_on"] == trained
        assert saved["protocol"]["tested_on"]["corpus"] == other
        assert set(saved["protocol"]["tested_on"]["utterances"]) >= set(names)
    own = json.loads((folder / "metrics.json").read_text())
    assert not [name for name in own if "-" in name]


def corpora_folder(words):
    from pathlib import Path

    return Path(next(w for w in words if w.startswith("--output_folder=")).partition("=")[2])


def test_predictions_are_on_the_scale_of_the_tested_corpus(trained_on, corpora, tmp_path):
    """Predictions for the same audio on two scales differ only by the mapping of the scales."""
    from emosphere_sb.recipe.run import run_recipe

    words, _ = trained_on["IEMOCAP"]
    tables = []
    options = ("{label_low: 1, label_high: 7}", "{label_low: 0, label_high: 70, %s}")
    reverse = "reversed_dimensions: [arousal], labels_file: mine.csv"
    for number, text in enumerate(options):
        copy = tmp_path / str(number)
        shutil.copytree(corpora / "OwnData", copy)
        if number:
            (copy / "labels.csv").rename(copy / "mine.csv")
            text %= reverse
        more = ["--test_corpus=OwnData", f"--test_data_folder={copy}", f"--test_options={text}"]
        run_recipe([*words, *more], corpus="IEMOCAP")
        path = corpora_folder(words) / "predictions" / "OwnData-test.csv"
        tables.append(pd.read_csv(next(path.parent.glob("OwnData-*.csv"))).set_index("ID"))
    for name in DIMENSIONS:
        one = (tables[0][f"{name}_predicted"] - 1) / 6 * 70
        expected = 70 - one if name == "arousal" else one
        assert (tables[1][f"{name}_predicted"] - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--test_corpus=IEMOCAP"], "must be given together; found IEMOCAP and None"),
        (["--test_data_folder=/x"], "must be given together; found None and /x"),
        (["--test_corpus=X", "--test_data_folder=/x"], "Unknown corpus 'X'. Allowed: MSP-Pod"),
        (
            ["--test_corpus=MSP-IMPROV", "--test_data_folder=/nowhere"],
            "--test_data_folder=/nowhere is not a folder. Set it to the folder of MSP-IMPROV",
        ),
        (
            ["--test_corpus=IEMOCAP", "--test_data_folder={corpora}/IEMOCAP"],
            "--test_data_folder must not be the training corpus; found",
        ),
        (
            ["--test_corpus=OwnData", "--test_data_folder={corpora}/OwnData"],
            "label scale are required",
        ),
        (
            ["--test_corpus=OwnData", "--test_data_folder={corpora}/OwnData", "--label_low=1"],
            r"--label_low is a setting of OwnData .* belong in --test_options\)",
        ),
        (
            [
                "--test_corpus=OwnData", "--test_data_folder={corpora}/OwnData",
                "--test_options={{label_lwo: 1}}",
            ],
            "test_options: Unknown key 'label_lwo'. Did you mean 'label_low'",
        ),
        (
            [
                "--test_corpus=MSP-IMPROV", "--test_data_folder={corpora}/MSP-IMPROV",
                "--test_options={{flip_arousal: no}}",
            ],
            "test_options: .*flip_arousal must be true or false; found 'no'",
        ),
        (
            [
                "--test_corpus=OwnData", "--test_data_folder={corpora}/OwnData",
                "--test_options=label_low",
            ],
            "test_options must be a mapping such as",
        ),
    ],
)  # fmt: skip
def test_invalid_test_corpus_raises_before_training(more, text, corpora, root, tmp_path):
    from emosphere_sb.recipe.run import run_recipe

    words = command(root, corpora, "IEMOCAP", tmp_path)
    with pytest.raises((ValueError, OSError), match=text):
        run_recipe([*words, *(word.format(corpora=corpora) for word in more)], corpus="IEMOCAP")
    assert not (tmp_path / "run").exists()
