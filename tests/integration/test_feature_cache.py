"""Test the feature cache: same predictions as without it, and rejected settings."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

PREDICTED = ["valence_predicted", "arousal_predicted", "dominance_predicted"]


def start(root, smoke_corpus, results, *options, freeze="--freeze=all"):
    from emosphere_sb.recipe.run import run_recipe

    words = [
        str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--noprogressbar", freeze,
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


def test_second_run_reuses_features_unless_settings_change(
    root, smoke_corpus, tmp_path, monkeypatch
):
    from emosphere_sb.training import feature_extraction

    filled, fill = [], feature_extraction.fill_cache
    monkeypatch.setattr(
        feature_extraction,
        "fill_cache",
        lambda cache, *rest: filled.append(cache.name) or fill(cache, *rest),
    )
    start(root, smoke_corpus, tmp_path, "--feature_cache=True")
    sets = ["train", "valid", "test1", "test2", "test3"]
    assert filled == sets
    other_heads = ["--feature_cache=True", "--seed=8", "--head_width=8"]
    start(root, smoke_corpus, tmp_path, "--number_of_epochs=1", *other_heads)
    # Another seed gives another random backbone; a pretrained one would be the same.
    assert filled == 2 * sets
    for more in (
        "--max_seconds=0.5",
        "--normalisation=utterance",
        "--layers=1",
        "--eval_precision=bf16",
    ):
        del filled[:]
        folder = f"--output_folder={tmp_path}/{more.strip('-')}"
        start(root, smoke_corpus, tmp_path, "--feature_cache=True", more, folder)
        assert filled == sets, more
        start(root, smoke_corpus, tmp_path, "--feature_cache=True", more, folder + "2")
        assert filled == sets, more
    assert json.loads((tmp_path / "max_seconds=0.5/metrics.json").read_text())


def test_different_preprocessor_uses_different_cache(save_any, tmp_path):
    from emosphere_sb.lobes import SSLEncoder
    from emosphere_sb.training.feature_extraction import cache_folder

    folder = Path(shutil.copytree(save_any("wav2vec2-bert"), tmp_path / "model"))
    first = cache_folder(tmp_path, SSLEncoder(str(folder), "all"), {})
    assert cache_folder(tmp_path, SSLEncoder(str(folder), "all"), {}) == first
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["padding_value"] = 1.0
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert cache_folder(tmp_path, SSLEncoder(str(folder), "all"), {}) != first


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
