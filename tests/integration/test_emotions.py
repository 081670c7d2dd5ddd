"""Models with an emotion task: a probability for each emotion in run, release, ONNX and page."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from emosphere_sb.audio.reading import read_audio
from emosphere_sb.demo_page.analysis import analyse
from emosphere_sb.demo_page.result_html import result_view
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.timeline import timeline
from emosphere_sb.lobes.tasks import EMOTIONS
from emosphere_sb.release.release import rebuild, release
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.results.scores import prediction_metrics
from tests.helpers.models import reference

COLUMNS = [f"p_{name}" for name in EMOTIONS]
RUNS = {
    "to the end": ("smoke+emotions", []),
    # The loss of the head is removed after epoch 1; the weights of epoch 3 are tested.
    "ended early": (
        "smoke+categorical", ["--aux_decay_epochs=1", "--number_of_epochs=3", "--test_weights=last"]
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=RUNS)
def trained(request, smoke_corpus, root, tmp_path_factory):
    """Folder of a run, its released model, and its metrics."""
    from emosphere_sb.recipe.run import run_recipe

    preset, options = RUNS[request.param]
    folder = tmp_path_factory.mktemp("emotions")
    words = [
        str(root / "hparams" / "emosphere.yaml"), f"--preset={preset}", "--device=cpu",
        f"--data_folder={smoke_corpus}", f"--results_folder={folder}", "--release=synthetic",
        f"--output_folder={folder / 'run'}", *options,
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        metrics = run_recipe(words, corpus="MSP-Podcast")
        release(folder / "run", folder / "model", resamples=999)
    return folder / "run", folder / "model", metrics


def files_of(table, smoke_corpus):
    return [str(next(smoke_corpus.rglob(f"{one}.wav"))) for one in table["ID"]]


def probabilities(predictions):
    return np.array([[one.probabilities[name] for name in EMOTIONS] for one in predictions])


def test_predictions_of_the_run_have_a_probability_for_each_emotion(trained):
    run, _, metrics = trained
    table = read_predictions(run / "predictions" / "test1.csv")
    assert [column for column in table if column.startswith("p_")] == COLUMNS
    np.testing.assert_allclose(table[COLUMNS].sum(axis=1), 1, atol=1e-9)
    best = np.array(EMOTIONS)[table[COLUMNS].to_numpy().argmax(axis=1)]
    assert table["emotion_head"].tolist() == best.tolist()
    known = table["emotion"].isin(EMOTIONS)
    assert metrics["test1"]["emotion_head"]["n"] == known.sum() > 0
    accuracy = (table["emotion_head"] == table["emotion"])[known].mean()
    assert metrics["test1"]["emotion_head"]["accuracy"] == pytest.approx(accuracy)


def test_probabilities_equal_the_softmax_of_the_head(trained, smoke_corpus, root, monkeypatch):
    monkeypatch.chdir(root)
    run, model, _ = trained
    protocol = json.loads((run / "metrics.json").read_text())["protocol"]
    built = rebuild(run, protocol).built
    table = read_predictions(run / "predictions" / "test1.csv").head(4)
    files = files_of(table, smoke_corpus)
    found = probabilities(EmoSphere.from_pretrained(model, device="cpu").predict(files))
    for file, row, own in zip(files, table[COLUMNS].to_numpy(), found, strict=True):
        signal = torch.from_numpy(read_audio(file, seconds=12.0)).unsqueeze(0)
        _, _, scores = reference(built, signal, torch.tensor([signal.shape[1]]))
        exact = scores[0].double().exp() / scores[0].double().exp().sum()
        np.testing.assert_allclose(row, exact, atol=1e-6)
        np.testing.assert_allclose(own, exact, atol=1e-6)
        assert own.sum() == pytest.approx(1, abs=1e-12)


def test_windows_and_timeline_have_probabilities_that_sum_to_one(trained, smoke_corpus):
    _, folder, _ = trained
    model = EmoSphere.from_pretrained(folder, device="cpu")
    file = str(max(smoke_corpus.rglob("*.wav"), key=lambda path: path.stat().st_size))
    mean = probabilities([model.predict(file, window=1.0)])
    windows = probabilities(list(timeline(model, file, window=1.0, hop=0.5)))
    assert len(windows) > 2
    np.testing.assert_allclose(mean.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(windows.sum(axis=1), 1, atol=1e-12)


def test_page_shows_each_probability(trained, smoke_corpus):
    _, folder, _ = trained
    model = EmoSphere.from_pretrained(folder, device="cpu")
    file = str(next(smoke_corpus.rglob("*.wav")))
    expected = model.predict(file).probabilities
    html = result_view(analyse(model, file), model.info)["html"]
    rows = re.findall(
        r'<th scope="row">(\w+)</th><td class="em-bar">.*?data-value="([\d.e-]+)"', html
    )
    assert {name: float(value) for name, value in rows} == pytest.approx(expected, abs=1e-6)
    assert "Probabilities of the emotion head" in html


def test_card_and_description_name_the_emotions(trained):
    run, folder, metrics = trained
    about = json.loads((folder / "emosphere.json").read_text())["about"]
    assert (about["head"], about["classes"]) == ("emotion", list(EMOTIONS))
    card = " ".join((folder / "README.md").read_text().split())
    assert f"A class head predicts emotion probabilities: {', '.join(EMOTIONS)}." in card
    early = "The head was last trained in epoch 1, before the last tested epoch 3" in card
    assert early is (metrics["protocol"]["auxiliary_head"]["epoch"] == 1)
    scores = prediction_metrics(read_predictions(run / "predictions" / "test1.csv"))["emotion_head"]
    assert f"| test1 | {scores['n']} | {scores['accuracy']:.3f}".replace("0.", ".", 1) in card


def test_onnx_model_has_the_same_probabilities(trained, smoke_corpus, tmp_path):
    pytest.importorskip("onnxscript", reason="the 'onnx' extra is not installed")
    from emosphere_sb.onnx_export.export import export
    from emosphere_sb.onnx_export.predictor import OnnxEmoSphere

    _, folder, _ = trained
    export(folder, tmp_path / "onnx")
    files = [str(path) for path in sorted(smoke_corpus.rglob("*.wav"))[:5]]
    found = probabilities(OnnxEmoSphere.from_pretrained(tmp_path / "onnx").predict(files))
    expected = probabilities(EmoSphere.from_pretrained(folder, device="cpu").predict(files))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_csv_and_jsonl_of_predict_have_all_probabilities(trained, smoke_corpus, tmp_path):
    from emosphere_sb.cli import main

    _, folder, _ = trained
    files = [str(path) for path in sorted(smoke_corpus.rglob("*.wav"))[:2]]
    for name in ("p.csv", "p.jsonl"):
        words = ["predict", str(folder), *files, f"--out={tmp_path / name}", "--quiet"]
        assert main([*words, "--engine=torch"]) == 0
    table = pd.read_csv(tmp_path / "p.csv")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    # Six decimals each: the sum of eight rounded values is 1 up to 8 · 5e-7.
    np.testing.assert_allclose(table[COLUMNS].sum(axis=1), 1, atol=4.1e-6)
    assert [[line[name] for name in COLUMNS] for line in lines] == table[COLUMNS].values.tolist()
