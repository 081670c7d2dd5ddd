"""Test released models of trained runs: same predictions without the corpus and the network."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from emosphere_sb.audio.reading import read_audio
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.recipe.training_files import find_training_files
from emosphere_sb.release.release import MIN_UTTERANCES_PER_WORD, NO_WORD, rebuild, release
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.models import reference

ISOLATED = """
import json, socket, sys

def block_network(*_):
    raise OSError("unexpected network access")

socket.socket.connect = socket.getaddrinfo = block_network
from emosphere_sb import EmoSphere
import torch

def block_pickle(*_, **__):
    raise AssertionError("torch.load was called")

torch.load = block_pickle
torch.set_num_threads(1)
folder, paths = sys.argv[1], json.load(open(sys.argv[2]))
model = EmoSphere.from_pretrained(folder, device="cpu")
found = model.predict(paths, batch_size=5, max_seconds="evaluation")
rows = [item.to_dict(embedding=True) for item in found]
assert not any(name.startswith("data_prep") for name in sys.modules), "the corpora were imported"
print(json.dumps(rows))
"""

KILLED = """
import sys, time
from pathlib import Path
from emosphere_sb.release import write
from emosphere_sb.release.release import release

def wait(model, path):
    path.write_bytes(b"half")
    Path(sys.argv[3]).touch()
    time.sleep(600)

write.save_weights = wait
release(sys.argv[1], sys.argv[2], resamples=999)
"""


@pytest.fixture(scope="module")
def trained(smoke_corpus, save_any, root, tmp_path_factory):
    """A run with a backbone that is deleted afterwards, its released folder, and its components."""
    from emosphere_sb.recipe.run import run_recipe

    folder = tmp_path_factory.mktemp("trained")
    backbone = shutil.copytree(save_any("wavlm"), folder / "backbone")
    run_recipe(
        [
            str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--noprogressbar",
            "--device=cpu", f"--data_folder={smoke_corpus}", f"--results_folder={folder}",
            f"--output_folder={folder / 'run'}", "--release=synthetic", f"--backbone={backbone}",
            "--freeze=feature_encoder", "--layers=weighted", "--max_seconds=1.0",
        ],
        corpus="MSP-Podcast",
    )  # fmt: skip
    out = release(folder / "run", folder / "out", resamples=999)
    built = rebuild(folder / "run", {"best_epoch": best_epoch(folder / "run")}).built
    shutil.rmtree(backbone)
    return folder / "run", out, built


def best_epoch(run):
    return json.loads((run / "metrics.json").read_text())["protocol"]["best_epoch"]


def paths_of(run, smoke_corpus, name):
    table = read_predictions(run / "predictions" / f"{name}.csv")
    paths = [str(next(smoke_corpus.rglob(f"{one}.wav"))) for one in table["ID"]]
    return table, paths


def assert_equal_predictions(found, table):
    """Compare values on the label scale; batches of other sizes are rounded differently."""
    expected = table[list(PREDICTED)].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def predict_isolated(folder, paths, tmp_path):
    """Predict files in a process without network access, with a moved copy of the folder."""
    moved = shutil.copytree(folder, tmp_path / "moved to an öther place")
    (tmp_path / "paths.json").write_text(json.dumps(paths))
    (tmp_path / "empty").mkdir()
    environment = {
        **os.environ, "HF_HOME": str(tmp_path / "empty"), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    environment.pop("TRANSFORMERS_CACHE", None)
    words = [sys.executable, "-c", ISOLATED, str(moved), str(tmp_path / "paths.json")]
    found = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr
    assert not list((tmp_path / "empty").rglob("*.safetensors"))
    return json.loads(found.stdout.splitlines()[-1])


def test_isolated_predictions_match_the_run(trained, smoke_corpus, tmp_path):
    run, out, built = trained
    table, paths = paths_of(run, smoke_corpus, "test1")
    rows = predict_isolated(out, paths, tmp_path)
    assert len(rows) == len(table) == 16
    found = np.array([[row[f"{d}_on_scale"] for d in DIMENSIONS] for row in rows])
    assert_equal_predictions(found, table)
    assert [row["region"] for row in rows] == table["region_point"].tolist()
    scores = table[[name for name in table if name.startswith("p_")]]
    assert len(scores.columns) == 8
    probabilities = np.array([[row[name] for name in scores] for row in rows])
    np.testing.assert_allclose(probabilities, scores.to_numpy(), atol=1e-6)
    for path, row in zip(paths, rows, strict=True):
        signal_ = torch.from_numpy(read_audio(path, seconds=1.0)).unsqueeze(0)
        _, embedding, _ = reference(built, signal_, torch.tensor([signal_.shape[1]]))
        np.testing.assert_allclose(row["embedding"], embedding[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["valid", "test2", "test3"])
def test_predictions_match_the_run_for_each_set(trained, smoke_corpus, name):
    run, out, _ = trained
    table, paths = paths_of(run, smoke_corpus, name)
    model = EmoSphere.from_pretrained(out, device="cpu")
    found = np.stack([item.on_scale for item in model.predict(paths, max_seconds="evaluation")])
    assert_equal_predictions(found, table)


def test_training_files_of_a_run_are_found(trained):
    run, _, _ = trained
    utterances = json.loads((run / "metrics.json").read_text())["protocol"]["utterances"]
    found = find_training_files(run)
    assert len(found.paths) == len(found.durations) == utterances["train"] > 10
    assert all(os.path.isfile(path) for path in found.paths) and found.channel == "mix"


def test_emotion_words_are_class_means_of_the_training_set(trained):
    run, out, _ = trained
    (manifest,) = run.parent.glob("MSP-Podcast/manifests/*/train.csv")
    table = pd.read_csv(manifest, keep_default_na=False)
    table[list(DIMENSIONS)] = (
        table[list(DIMENSIONS)].astype(float) - 4
    ) / 3  # from [1, 7] to [-1, 1]
    counts = table.groupby("emotion").size()
    names = [
        word
        for word in counts.index
        if counts[word] >= MIN_UTTERANCES_PER_WORD and word not in NO_WORD
    ]
    expected = table.groupby("emotion")[list(DIMENSIONS)].mean().loc[names]
    words = EmoSphere.from_pretrained(out, device="cpu").info.words
    assert sorted(words) == sorted(names) and names
    for word in names:
        np.testing.assert_allclose(words[word], expected.loc[word], atol=1e-6)


def test_model_card_contains_scores_and_command_of_the_run(trained):
    run, out, _ = trained
    card = (out / "README.md").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    line = next(line for line in card.splitlines() if line.startswith("| test1 |"))
    for cell, dimension in zip(line.split("|")[2:5], DIMENSIONS, strict=True):
        value = float(cell.split()[0])
        assert value == pytest.approx(metrics["test1"][dimension]["ccc"], abs=5.1e-4)
    assert "--preset=smoke" in card and "--backbone=…" in card and "**SYNTHETIC SPEECH.**" in card


def test_released_files_contain_no_local_paths(trained):
    run, out, _ = trained
    for path in out.iterdir():
        assert str(run.parent).encode() not in path.read_bytes(), path.name


def test_release_succeeds_after_a_killed_release(smoke_corpus, root, tmp_path):
    from emosphere_sb.recipe.run import run_recipe

    run_recipe(
        [
            str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--noprogressbar",
            "--device=cpu", f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}",
            f"--output_folder={tmp_path / 'run'}", "--number_of_epochs=1",
        ],
        corpus="MSP-Podcast",
    )  # fmt: skip
    words = [str(tmp_path / name) for name in ("run", "out", "sign")]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *words], cwd=root)
    while not (tmp_path / "sign").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert not list(tmp_path.glob(".*.partial"))
    table, paths = paths_of(tmp_path / "run", smoke_corpus, "test1")
    model = EmoSphere.from_pretrained(tmp_path / "out", device="cpu")
    found = np.stack([item.on_scale for item in model.predict(paths, max_seconds="evaluation")])
    assert_equal_predictions(found, table)
