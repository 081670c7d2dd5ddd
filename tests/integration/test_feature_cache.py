"""Test the feature cache: same predictions as without it, and rejected settings."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emosphere_sb import EmoSphere
from emosphere_sb.release.release import release
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.run import Runs, assert_same_results, checkpoints

PREDICTED = ["valence_predicted", "arousal_predicted", "dominance_predicted"]


def start(root, smoke_corpus, results, *options, freeze="--freeze=all"):
    from emosphere_sb.recipe.run import run_recipe

    preset = [] if any(word.startswith("--preset=") for word in options) else ["--preset=smoke"]
    words = [
        str(root / "hparams" / "emosphere.yaml"), *preset, "--noprogressbar", freeze,
        f"--data_folder={smoke_corpus}", f"--results_folder={results}", *options,
    ]  # fmt: skip
    return run_recipe(words, corpus="MSP-Podcast")


def predictions(metrics):
    table = pd.read_csv(f"{metrics['run']['folder']}/predictions/test1.csv").set_index("ID")
    return table[PREDICTED].sort_index()


@pytest.mark.parametrize("layers", ["last", "weighted", "1"])
def test_cached_run_matches_run_without_cache(layers, root, smoke_corpus, tmp_path):
    uncached = start(root, smoke_corpus, tmp_path / "uncached", f"--layers={layers}")
    runs = {
        precision: start(
            root, smoke_corpus, tmp_path / "cached", f"--layers={layers}", "--feature_cache=True",
            f"--feature_cache_precision={precision}", f"--output_folder={tmp_path}/{precision}",
        )
        for precision in ("fp32", "fp16")
    }  # fmt: skip
    error = (predictions(uncached) - predictions(runs["fp32"])).abs().max().max()
    assert error < 1e-4  # 2 epochs of training on a scale of 6; features differ by rounding
    error = (predictions(uncached) - predictions(runs["fp16"])).abs().max().max()
    assert 0 < error < 0.05


MEAN_POOLING = "--preset=smoke+mean_pooling"


@pytest.mark.parametrize("normalisation", ["none", "standardise", "layer_norm"])
@pytest.mark.parametrize("layers", ["weighted", "[1, 0]", "0"])
def test_run_on_averages_matches_run_without_cache(
    layers, normalisation, root, smoke_corpus, tmp_path
):
    words = [MEAN_POOLING, f"--layers={layers}", f"--layer_normalisation={normalisation}"]
    uncached = start(root, smoke_corpus, tmp_path / "uncached", *words)
    cached = start(root, smoke_corpus, tmp_path, *words, "--feature_cache=averages")
    error = (predictions(uncached) - predictions(cached)).abs().max().max()
    assert error < 1e-4  # 2 epochs of training on a scale of 6; features differ by rounding


@pytest.mark.parametrize("normalisation", ["none", "standardise", "layer_norm"])
@pytest.mark.parametrize("kind", ["frames", "averages"])
def test_released_model_equals_the_run_on_cached_features(
    kind, normalisation, root, smoke_corpus, tmp_path, save_any
):
    """The released model computes all features from audio, of each file alone and of batches."""
    run = start(
        root, smoke_corpus, tmp_path, "--preset=frozen+smoke", f"--backbone={save_any('whisper')}",
        "--normalisation=as_checkpoint", f"--feature_cache={kind}",
        f"--layer_normalisation={normalisation}",
    )  # fmt: skip
    folder = Path(run["run"]["folder"])
    release(folder, tmp_path / "model", resamples=999)
    table = read_predictions(folder / "predictions" / "test1.csv")
    paths = {path.stem: path for path in smoke_corpus.rglob("*.wav")}
    files = [paths[name] for name in table["ID"]]
    model = EmoSphere.from_pretrained(tmp_path / "model", device="cpu")
    alone = [model.predict(file, max_seconds="evaluation") for file in files[:8]]
    together = model.predict(files, batch_size=5, max_seconds="evaluation")
    expected = table[PREDICTED].to_numpy()
    for found in (alone, together):
        on_scale = [[getattr(one, name) for name in DIMENSIONS] for one in found]
        # 4 ± 3 on the scale of the corpus; the file has 10 digits.
        np.testing.assert_allclose(on_scale, (expected[: len(found)] - 4) / 3, atol=1e-5)


def test_run_on_cached_features_resumes_bit_identically(root, smoke_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    runs = Runs(
        smoke_corpus, tmp_path, "--freeze=all", "--feature_cache=frames", "--layers=weighted",
        "--layer_normalisation=standardise", "--standardise_labels=True", "--test_weights=last",
        "--number_of_epochs=3", "--schedule_name=cosine", "--ckpt_interval_steps=2",
    )  # fmt: skip
    runs.run_in_process(tmp_path / "uninterrupted")
    runs.start_and_kill(tmp_path / "resumed", "saving", 14)  # in the second of three epochs
    assert checkpoints(tmp_path / "resumed")
    runs.run_in_process(tmp_path / "resumed")
    # Pooling and heads: the weights of a frozen backbone are not saved.
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "resumed", more_than=20)


@pytest.fixture
def computed(monkeypatch):
    """Ids of the utterances that the backbone has processed, in the order of the calls."""
    from emosphere_sb.training import feature_extraction

    ids, compute = [], feature_extraction.hidden_states
    monkeypatch.setattr(
        feature_extraction,
        "hidden_states",
        lambda brain, batch: ids.extend(batch.ids) or compute(brain, batch),
    )
    return ids


@pytest.fixture
def backbone_rows(monkeypatch):
    """Number of utterances in each forward pass of the hidden states, in training and tests."""
    from emosphere_sb.backbones.layer_mix import HiddenStates

    rows, forward = [], HiddenStates.forward
    monkeypatch.setattr(
        HiddenStates,
        "forward",
        lambda self, signals, lengths: rows.append(len(signals)) or forward(self, signals, lengths),
    )
    return rows


def test_second_run_reuses_features_unless_settings_change(root, smoke_corpus, tmp_path, computed):
    start(root, smoke_corpus, tmp_path, "--feature_cache=True")
    ids = sorted(computed)
    assert len(ids) > 50 and len(set(ids)) == len(ids)
    other_heads = ["--feature_cache=True", "--seed=8", "--head_width=8"]
    start(root, smoke_corpus, tmp_path, "--number_of_epochs=1", *other_heads)
    # Another seed gives another random backbone; a pretrained one would be the same.
    assert sorted(computed) == sorted(2 * ids)
    for more in (
        "--max_seconds=0.5",
        "--normalisation=utterance",
        "--layers=0",
        "--eval_precision=bf16",
        "--feature_cache_precision=fp16",
    ):
        del computed[:]
        folder = f"--output_folder={tmp_path}/{more.strip('-')}"
        start(root, smoke_corpus, tmp_path, "--feature_cache=True", more, folder)
        assert sorted(computed) == ids, more
        start(root, smoke_corpus, tmp_path, "--feature_cache=frames", more, folder + "2")
        assert sorted(computed) == ids, more
    assert json.loads((tmp_path / "max_seconds=0.5/metrics.json").read_text())


def test_runs_on_some_states_use_the_features_of_all_states(
    root, smoke_corpus, save_any, tmp_path, computed
):
    """Layers above those that a run needs are deleted, but that does not change their states."""
    words = [f"--backbone={save_any('wavlm')}", "--normalisation=utterance", MEAN_POOLING]
    cached_words = [*words, "--feature_cache=frames"]
    start(root, smoke_corpus, tmp_path, *cached_words, "--layers=weighted")
    count = len(computed)
    for number, (layers, more) in enumerate(
        [
            ("last", []),
            ("1", []),
            ("[0, 2]", []),
            ("[1, 0]", ["--layer_normalisation=standardise"]),
            ("weighted", ["--feature_cache=averages"]),
        ]
    ):
        settings = [*more, f"--layers={layers}", f"--output_folder={tmp_path}/{number}"]
        cached = start(root, smoke_corpus, tmp_path, *cached_words, *settings)
        assert len(computed) == count, layers
        settings = [word for word in settings if "cache" not in word]
        settings[-1] += "-uncached"
        uncached = start(root, smoke_corpus, tmp_path, *words, *settings)
        error = (predictions(uncached) - predictions(cached)).abs().max().max()
        assert error < 1e-4, layers
    normalised = ["--layer_normalisation=layer_norm", "--feature_cache=averages"]
    start(root, smoke_corpus, tmp_path, *cached_words, "--layers=weighted", *normalised,
          f"--output_folder={tmp_path}/normalised")  # fmt: skip
    assert len(computed) == 2 * count  # averages of normalised frames are different features


def test_folds_seeds_and_presets_extract_features_once(
    root, save_any, tmp_path, computed, backbone_rows
):
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from emosphere_sb.recipe.run import run_recipe

    words = [
        str(root / "hparams" / "emosphere.yaml"), "--noprogressbar", "--fold=all",
        f"--backbone={save_any('wavlm')}", "--freeze=all", "--normalisation=utterance",
        "--layers=weighted", "--feature_cache=averages", f"--results_folder={tmp_path}",
        # Averages are taken after layer_norm, so both presets must use it to share them.
        "--layer_normalisation=layer_norm", "--number_of_epochs=1", "--check_memory=False",
    ]  # fmt: skip
    results = [
        run_recipe([*words, f"--preset={preset}", f"--seed={seed}"], corpus="IEMOCAP")
        for preset in ("frozen+smoke", "mean_pooling+smoke")
        for seed in (1, 2, 3)
    ]
    utterances = results[0]["by_fold"]["test"]["utterances"]
    assert all(len(result["by_fold"]["test"]["folds"]) == 5 for result in results)
    assert len(set(computed)) >= utterances
    assert len(computed) == len(set(computed)) == sum(backbone_rows)
    assert len(list((tmp_path / "feature_cache").glob("*/store.json"))) == 1


def test_only_new_audio_is_computed(root, smoke_corpus, tmp_path, computed):
    """Labels, file names and file times do not matter."""
    corpus = Path(shutil.copytree(smoke_corpus, tmp_path / "MSP-Podcast"))
    words = ["--feature_cache=True", "--normalisation=utterance"]
    start(root, corpus, tmp_path, *words)
    del computed[:]
    files = sorted(corpus.rglob("*.wav"))
    os.utime(files[0], ns=(1, 1))
    shutil.copy2(files[1], files[2])
    changed = bytearray(files[3].read_bytes())
    changed[-1] ^= 1
    files[3].write_bytes(changed)
    start(root, corpus, tmp_path, *words, "--shuffle_labels=True", "--reuse_manifests=False",
          f"--output_folder={tmp_path}/second")  # fmt: skip
    assert len(computed) == 1 and files[3].stem in computed[0]


def test_damaged_features_are_computed_again(root, smoke_corpus, tmp_path, computed):
    words = ["--feature_cache=averages", MEAN_POOLING]
    first = start(root, smoke_corpus, tmp_path, *words)
    del computed[:]
    (path,) = (tmp_path / "feature_cache").glob("*/*.bin")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    second = start(root, smoke_corpus, tmp_path, *words, f"--output_folder={tmp_path}/second")
    assert len(computed) == 1
    assert (predictions(first) - predictions(second)).abs().max().max() < 1e-4


def test_other_folder_and_old_format(root, smoke_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("emosphere_sb.training.feature_extraction.LOG_SECONDS", 0.0)
    old = tmp_path / "MSP-Podcast" / "features"
    old.mkdir(parents=True)
    start(root, smoke_corpus, tmp_path, "--feature_cache=True",
          f"--feature_cache_folder={tmp_path}/elsewhere")  # fmt: skip
    assert list((tmp_path / "elsewhere").glob("*/store.json"))
    assert not (tmp_path / "feature_cache").exists()
    text = (next(tmp_path.rglob("log.txt"))).read_text()
    assert text.count(f"{old} contains features in the format of an older version") == 1
    assert "delete this folder" in text
    # The progress of the extraction is logged, because there is no progress bar
    assert "Computing features of train: 48 utterances, 0.04 h" in text
    done = re.findall(r"Computing features of train: (\d+) of 48 utterances, 0 min left", text)
    assert done and list(map(int, done)) == sorted(set(map(int, done))) and 0 < int(done[-1]) < 48


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--freeze=feature_encoder", "the backbone is trained"),
        ("--freeze_schedule={1: all, 2: none}", "the backbone is trained"),
        ("--crop=random", "random crops differ between epochs"),
        ("--lora_rank=2", "LoRA changes the features"),
    ],
)
def test_settings_with_changing_features_raise(option, reason, root, smoke_corpus, tmp_path):
    if "lora" in option:
        pytest.importorskip("peft")
    with pytest.raises(ValueError, match=f"feature_cache cannot be used: {reason}"):
        options = {} if option.startswith("--crop") else {"freeze": option}
        start(root, smoke_corpus, tmp_path, "--feature_cache=True", option, **options)


@pytest.mark.parametrize("pooling", ["StylePooling", "AttentiveStatsPooling"])
def test_averages_require_mean_pooling(pooling, root, smoke_corpus, tmp_path):
    option = [] if pooling == "StylePooling" else ["--preset=smoke+attentive_statistics"]
    with pytest.raises(ValueError, match=f"requires MeanPooling; found {pooling}, which needs all"):
        start(root, smoke_corpus, tmp_path, "--feature_cache=averages", *option)


def test_unknown_kind_of_cache_raises(root, smoke_corpus, tmp_path):
    with pytest.raises(ValueError, match=r"feature_cache must be .*found 'sums'"):
        start(root, smoke_corpus, tmp_path, "--feature_cache=sums")
