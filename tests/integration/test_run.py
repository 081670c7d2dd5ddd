"""A run from end to end in-process, on tiny synthetic data: what it writes and refuses, resumes."""

import json
import math
import shutil

import pandas as pd
import pytest
import torch

from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS

QUIET = ["hparams/emosphere.yaml", "--noprogressbar", "--release=synthetic"]


@pytest.fixture(scope="module")
def recipe(smoke_corpus, root, tmp_path_factory):
    """Run the MSP-Podcast recipe with ``--preset=smoke`` and further options."""
    from emosphere_sb.recipe.run import run

    results = tmp_path_factory.mktemp("results")

    def start(*options, row="smoke"):
        folder = [f"--data_folder={smoke_corpus}", f"--results_folder={results}"]
        return run([*QUIET, f"--preset={row}", *folder, *options], corpus="MSP-Podcast")

    start.results = results
    start.folder = results / "MSP-Podcast-synthetic" / "smoke" / "official" / "7"
    return start


@pytest.fixture(scope="module")
def finished(recipe, root):
    """The metrics of one plain run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return recipe()


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


def test_run_writes_what_the_design_says(recipe, finished):
    names = {path.name for path in recipe.folder.iterdir()}
    assert {"hyperparams.yaml", "train_log.txt", "save", "predictions", "metrics.json"} <= names
    sets = {path.stem for path in (recipe.folder / "predictions").glob("*.csv")}
    assert sets == {"valid", "test1", "test2", "test3"}


def test_metrics_json_is_what_the_predictions_say(recipe, finished):
    metrics = json.loads((recipe.folder / "metrics.json").read_text())
    for name in ("valid", "test1", "test2"):
        again = figures(read_predictions(recipe.folder / "predictions" / f"{name}.csv"))
        for dimension in DIMENSIONS:
            assert metrics[name][dimension]["ccc"] == again[dimension]["ccc"]
        mean = sum(again[dimension]["ccc"] for dimension in DIMENSIONS) / 3
        assert metrics[name]["mean_ccc"] == pytest.approx(mean, abs=1e-12)


def test_set_with_hidden_labels_is_predicted_and_has_no_figures(recipe, finished):
    table = read_predictions(recipe.folder / "predictions" / "test3.csv")
    assert len(table) == 4
    assert table["valence"].isna().all()
    assert table["valence_predicted"].notna().all()
    assert "test3" not in finished


def test_predictions_carry_the_labels_of_the_corpus_as_they_stand_in_its_file(
    recipe, finished, smoke_corpus
):
    labels = pd.read_csv(smoke_corpus / "Labels" / "labels_consensus.csv", dtype=str)
    labels = labels.set_index(labels["FileName"].str.removesuffix(".wav"))
    table = read_predictions(recipe.folder / "predictions" / "test1.csv").set_index("ID")
    for ours, theirs in zip(DIMENSIONS, ("EmoVal", "EmoAct", "EmoDom"), strict=True):
        assert (table[ours] == labels.loc[table.index, theirs].astype(float)).all()


def test_protocol_says_what_a_figure_must_be_quoted_with(finished):
    protocol = finished["protocol"]
    assert protocol["corpus"] == "MSP-Podcast"
    assert protocol["release"] == "synthetic"
    assert protocol["partition"] == "official"
    assert protocol["utterances"]["train"] == 48
    assert (protocol["seed"], protocol["max_seconds"]) == (7, 12.0)
    assert protocol["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_log_has_the_dynamic_weight_and_every_ccc(recipe, finished):
    lines = (recipe.folder / "train_log.txt").read_text().splitlines()
    assert len(lines) == 2
    assert "train weight: 1.00e+00" in lines[0]
    assert "train weight: 8.02e-01" in lines[1]
    assert all(f"valid {name}:" in lines[0] for name in (*DIMENSIONS, "mean_ccc"))


def test_best_checkpoint_is_kept_with_the_last(recipe, finished):
    assert 1 <= len(list((recipe.folder / "save").glob("CKPT*"))) <= 2
    assert finished["protocol"]["best_epoch"] in (1, 2)


def test_other_hyperparameters_in_the_same_folder_are_refused_by_name(recipe, finished):
    with pytest.raises(ValueError, match=r"other values of lr, batch_size|batch_size, lr"):
        recipe("--lr=0.01", "--batch_size=8")


def test_harmless_differences_are_not(recipe, finished):
    again = recipe("--eval_batch=3")
    for name in ("test1", "test2"):
        assert again[name]["mean_ccc"] == pytest.approx(finished[name]["mean_ccc"], abs=1e-5)


def test_no_data_and_no_demo_says_what_to_do(recipe):
    from emosphere_sb.recipe.run import run

    with pytest.raises(ValueError, match=r"--data_folder=/path/to/it.*--preset=demo"):
        run(["hparams/emosphere.yaml"], corpus="MSP-Podcast")


def last_weights(folder) -> dict:
    newest = max((folder / "save").glob("CKPT*"), key=lambda path: path.name)
    return torch.load(newest / "model.ckpt", weights_only=True)["weights"]


def assert_same_weights(one, other) -> None:
    ours, theirs = last_weights(one), last_weights(other)
    assert ours.keys() == theirs.keys() and len(ours) > 50
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_resume_ends_at_the_same_weights_bit_for_bit(recipe, tmp_path):
    options = ["--crop=random", "--max_seconds=1.0", "--schedule_name=constant"]
    recipe("--number_of_epochs=3", *options, f"--output_folder={tmp_path}/whole")
    recipe("--number_of_epochs=1", *options, f"--output_folder={tmp_path}/parts")
    recipe("--number_of_epochs=3", *options, f"--output_folder={tmp_path}/parts")
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_resume_in_the_middle_of_an_epoch_ends_the_same(recipe, tmp_path, monkeypatch):
    from emosphere_sb.training.brain import EmoSphereBrain

    options = ["--number_of_epochs=2", "--ckpt_interval_steps=1", "--schedule_name=cosine"]
    recipe(*options, f"--output_folder={tmp_path}/whole")
    step = EmoSphereBrain.optimizers_step

    def die(brain):
        if brain.optimizer_step == 4:  # the second step of the second epoch
            raise KeyboardInterrupt
        return step(brain)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EmoSphereBrain, "optimizers_step", die)
        recipe(*options, f"--output_folder={tmp_path}/parts")
    recipe(*options, f"--output_folder={tmp_path}/parts")
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_run_that_patience_stopped_stays_stopped(recipe, tmp_path):
    options = ["--patience=1", "--lr=0.3", "--number_of_epochs=9", f"--output_folder={tmp_path}"]
    recipe(*options)
    log = (tmp_path / "train_log.txt").read_text()
    assert len(log.splitlines()) < 9
    recipe(*options)
    assert (tmp_path / "train_log.txt").read_text() == log


def test_head_keeps_the_epoch_of_its_last_figures_over_a_restart(recipe, tmp_path):
    short = "--weighting=!new:emosphere_sb.lobes.LinearDecay [1.0, 0.01, 1, drop]"
    recipe("--number_of_epochs=1", short, f"--output_folder={tmp_path}")
    result = recipe("--number_of_epochs=2", short, f"--output_folder={tmp_path}")
    assert result["protocol"]["auxiliary_head"]["epoch"] == 1


def test_synthetic_run_carries_its_cap_and_training_time_over_restarts(recipe, finished):
    assert set(finished["beside"]["cap"]) >= {"valid", "test1", "test2"}
    first = finished["run"]["training_seconds"]
    assert first > 0
    assert recipe()["run"]["training_seconds"] == first


def test_backbone_that_fails_to_load_does_not_block_the_corrected_run(recipe, tmp_path):
    folder = f"--output_folder={tmp_path}"
    with pytest.raises(ValueError, match=r"nope\.json"):
        recipe("--backbone=nope.json", folder)
    recipe("--number_of_epochs=1", folder)


def test_several_processes_without_torchrun_are_refused(recipe, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="Start several processes with torchrun"):
        recipe()


def test_tiny_set_is_learned_by_heart(smoke_corpus, tmp_path):
    """Train and development sets are copies of the same 16 utterances: the chain can fit them."""
    from emosphere_sb.recipe.run import run

    table = pd.read_csv(smoke_corpus / "Labels" / "labels_consensus.csv", dtype=str)
    rows = []
    for row in table[table["Split_Set"] == "Development"].itertuples():
        for split in ("train", "valid"):
            shutil.copy(
                smoke_corpus / "Audios" / row.FileName, tmp_path / f"{split}-{row.FileName}"
            )
            vad = {"valence": row.EmoVal, "arousal": row.EmoAct, "dominance": row.EmoDom}
            rows.append({"file": f"{split}-{row.FileName}", **vad, "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    options = (
        f"--data_folder={tmp_path} --results_folder={tmp_path}/results --label_low=1 --label_high=7"
        " --number_of_epochs=60 --lr=0.01 --head_dropout=0.0 --spec_augment=False"
    )
    result = run([*QUIET, "--preset=smoke", *options.split()], corpus="OwnData")
    assert result["valid"]["mean_ccc"] > 0.8


def test_shuffled_labels_are_announced(recipe, tmp_path):
    result = recipe(
        "--number_of_epochs=1", f"--output_folder={tmp_path}", row="smoke+shuffled_labels"
    )
    assert result["protocol"]["shuffle_labels"] is True
    assert not math.isnan(result["test1"]["mean_ccc"])
