"""Statistics of layers and labels in complete runs: cache, resume and two processes."""

import numpy as np
import pytest
import torch

from tests.helpers.run import Runs, assert_same_results, checkpoints, weights

OPTIONS = (
    "--layers=[0, 1]", "--layer_normalisation=standardise", "--standardise_labels=True",
    "--test_weights=last", "--warmup_share=0.1", "--schedule_name=cosine",
)  # fmt: skip
MEAN, SD = (f"encoder.states.normalisation.{name}" for name in ("mean", "sd"))


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


@pytest.fixture
def recorded(monkeypatch):
    """Record the hidden states (frames, states, size) of the training set in each pass."""
    from emosphere_sb.recipe import build

    passes, set_statistics = [], build.set_layer_statistics

    def record(brain, dataset, hparams):
        encoder, frames = brain.modules.encoder.eval(), []
        for number in range(len(dataset)):
            signal = dataset[number]["signal"][None]
            length = torch.tensor([signal.shape[1]])
            with torch.no_grad():
                states, _ = encoder.hidden_states(brain.modules.normaliser(signal, length), length)
            frames.append(states[0].transpose(0, 1).double())
        passes.append((torch.cat(frames).numpy(), dataset.labels().numpy()))
        set_statistics(brain, dataset, hparams)

    monkeypatch.setattr(build, "set_layer_statistics", record)
    return passes


@pytest.mark.parametrize("freeze", ["all", "none"])
def test_statistics_are_those_of_the_pretrained_weights_on_the_training_set(
    freeze, smoke_corpus, tmp_path, recorded
):
    runs = Runs(smoke_corpus, tmp_path, *OPTIONS, f"--freeze={freeze}")
    metrics = runs.run_in_process(tmp_path / "run")
    ((frames, labels),) = recorded  # one pass
    for checkpoint in checkpoints(tmp_path / "run"):  # fixed, even if the backbone is trained
        found = weights(checkpoint)
        np.testing.assert_allclose(found[MEAN], frames.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[SD], frames.std(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["vad_head.label_mean"], labels.mean(0), atol=1e-6)
        np.testing.assert_allclose(found["vad_head.label_sd"], labels.std(0), atol=1e-6)
    assert metrics["protocol"]["averaged_epochs"] == [2]


def test_resumed_run_does_not_repeat_the_pass(smoke_corpus, tmp_path, recorded):
    options = ["--number_of_epochs=3", "--freeze=none", "--ckpt_interval_steps=2"]
    runs = Runs(smoke_corpus, tmp_path, *OPTIONS, *options)
    runs.run_in_process(tmp_path / "uninterrupted")
    runs.start_and_kill(tmp_path / "resumed", "saving", 14)  # in the second of three epochs
    assert checkpoints(tmp_path / "resumed")
    assert len(recorded) == 1
    runs.run_in_process(tmp_path / "resumed")
    assert len(recorded) == 1  # the killed run is another process
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "resumed")


@pytest.mark.parametrize("normalisation", ["standardise", "layer_norm"])
@pytest.mark.parametrize("layers", ["weighted", "concat", "1"])
def test_cached_run_matches_run_without_cache(layers, normalisation, smoke_corpus, tmp_path):
    changes = [f"--layers={layers}", f"--layer_normalisation={normalisation}", "--freeze=all"]
    runs = Runs(smoke_corpus, tmp_path, *OPTIONS, *changes)
    for name, cached in (("uncached", False), ("cached", True)):
        runs.run_in_process(tmp_path / name, f"--feature_cache={cached}")
    one, two = (weights(checkpoints(tmp_path / name)[-1]) for name in ("uncached", "cached"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
