"""Test complete runs on tiny synthetic data: output files, rejected settings, and resuming."""

import json
import math
import re
import shutil

import pandas as pd
import pytest
import torch

from emosphere_sb.report.read.training_log import read_train_log
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS

QUIET = ["hparams/emosphere.yaml", "--release=synthetic"]


@pytest.fixture(scope="module")
def recipe(smoke_corpus, root, tmp_path_factory):
    """Run the MSP-Podcast recipe with ``--preset=smoke`` and additional options."""
    from emosphere_sb.recipe.run import run_recipe

    results = tmp_path_factory.mktemp("results")

    def start(*options, preset="smoke"):
        folder = [f"--data_folder={smoke_corpus}", f"--results_folder={results}"]
        return run_recipe([*QUIET, f"--preset={preset}", *folder, *options], corpus="MSP-Podcast")

    start.results = results
    start.folder = results / "MSP-Podcast-synthetic" / "smoke" / "official" / "7"
    return start


@pytest.fixture(scope="module")
def finished(recipe, root):
    """The metrics of a run with default options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return recipe()


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


def test_run_writes_all_output_files(recipe, finished):
    names = {path.name for path in recipe.folder.iterdir()}
    assert {"hyperparams.yaml", "train_log.txt", "save", "predictions", "metrics.json"} <= names
    sets = {path.stem for path in (recipe.folder / "predictions").glob("*.csv")}
    assert sets == {"valid", "test1", "test2", "test3"}


def test_metrics_json_matches_predictions(recipe, finished):
    metrics = json.loads((recipe.folder / "metrics.json").read_text())
    for name in ("valid", "test1", "test2"):
        recomputed = prediction_metrics(
            read_predictions(recipe.folder / "predictions" / f"{name}.csv")
        )
        for dimension in DIMENSIONS:
            assert metrics[name][dimension]["ccc"] == recomputed[dimension]["ccc"]
        mean = sum(recomputed[dimension]["ccc"] for dimension in DIMENSIONS) / 3
        assert metrics[name]["mean_ccc"] == pytest.approx(mean, abs=1e-12)


def test_set_with_hidden_labels_is_predicted_but_not_scored(recipe, finished):
    table = read_predictions(recipe.folder / "predictions" / "test3.csv")
    assert len(table) == 4
    assert table["valence"].isna().all()
    assert table["valence_predicted"].notna().all()
    assert "test3" not in finished


def test_predictions_contain_unmodified_labels_of_the_corpus(recipe, finished, smoke_corpus):
    labels = pd.read_csv(smoke_corpus / "Labels" / "labels_consensus.csv", dtype=str)
    labels = labels.set_index(labels["FileName"].str.removesuffix(".wav"))
    table = read_predictions(recipe.folder / "predictions" / "test1.csv").set_index("ID")
    for name, column in zip(DIMENSIONS, ("EmoVal", "EmoAct", "EmoDom"), strict=True):
        assert (table[name] == labels.loc[table.index, column].astype(float)).all()


def test_protocol_contains_everything_needed_to_report_a_score(finished):
    protocol = finished["protocol"]
    assert protocol["corpus"] == "MSP-Podcast"
    assert protocol["release"] == "synthetic"
    assert protocol["partition"] == "official"
    assert protocol["utterances"]["train"] == 48
    assert (protocol["seed"], protocol["max_seconds"]) == (7, 12.0)
    assert protocol["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_log_contains_dynamic_weight_and_each_ccc(recipe, finished):
    lines = (recipe.folder / "train_log.txt").read_text().splitlines()
    assert len(lines) == 2
    assert "train weight: 1.00e+00" in lines[0]
    assert "train weight: 8.02e-01" in lines[1]
    assert all(f"valid {name}:" in lines[0] for name in (*DIMENSIONS, "mean_ccc"))


def test_log_has_one_line_per_epoch_and_ends_with_the_location_of_the_results(
    recipe, tmp_path, capfd
):
    folder = tmp_path / "run"
    recipe(f"--output_folder={folder}")
    printed = capfd.readouterr()
    assert "\r" not in printed.out + printed.err  # standard error is not a terminal here
    text = (folder / "log.txt").read_text(encoding="utf-8")
    assert "\r" not in text
    lines = [line.split(" - INFO - ")[1] for line in text.splitlines() if " - INFO - " in line]
    epochs = [line for line in lines if line.startswith("Epoch ")]
    assert [line.partition(":")[0] for line in epochs] == ["Epoch 1/2", "Epoch 2/2"]
    log = read_train_log(folder / "train_log.txt")
    for line, mean in zip(epochs, log["valid mean_ccc"], strict=True):
        assert float(re.search(r"D \S+, mean (\S+);", line)[1]) == pytest.approx(mean, abs=6e-4)
    assert lines[-1].startswith("Run complete: ") and f"Results: {folder} " in lines[-1]


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
def test_additional_logger_does_not_change_the_results(
    recipe, finished, tmp_path, monkeypatch, logger
):
    pytest.importorskip(logger, reason=f"the {logger!r} extra is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    recipe(f"--logger={logger}", f"--output_folder={tmp_path}")
    assert list((tmp_path / logger).iterdir())
    for name in ("valid", "test1", "test2", "test3"):
        path = f"predictions/{name}.csv"
        assert (tmp_path / path).read_bytes() == (recipe.folder / path).read_bytes()


def test_best_and_last_checkpoints_are_retained(recipe, finished):
    assert 1 <= len(list((recipe.folder / "save").glob("CKPT*"))) <= 2
    assert finished["protocol"]["best_epoch"] in (1, 2)


def test_different_hyperparameters_in_same_folder_raise_and_are_listed(recipe, finished):
    with pytest.raises(ValueError, match=r"other values of lr, batch_size|batch_size, lr"):
        recipe("--lr=0.01", "--batch_size=8")


def test_result_neutral_differences_are_accepted(recipe, finished, tmp_path):
    recipe(f"--output_folder={tmp_path}")
    repeated = recipe(f"--output_folder={tmp_path}", "--eval_batch=3")  # writes the results again
    for name in ("test1", "test2"):
        assert repeated[name]["mean_ccc"] == pytest.approx(finished[name]["mean_ccc"], abs=1e-5)


def test_missing_data_folder_error_suggests_options(recipe):
    from emosphere_sb.recipe.run import run_recipe

    with pytest.raises(ValueError, match=r"--data_folder=/path/to/MSP-Podcast.*--preset=demo"):
        run_recipe(["hparams/emosphere.yaml"], corpus="MSP-Podcast")


def last_weights(folder) -> dict:
    newest = max((folder / "save").glob("CKPT*"), key=lambda path: path.name)
    return torch.load(newest / "model.ckpt", weights_only=True)["weights"]


def assert_same_weights(one, other) -> None:
    first, second = last_weights(one), last_weights(other)
    assert first.keys() == second.keys() and len(first) > 50
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resume_between_epochs_gives_bit_identical_weights(recipe, tmp_path):
    options = ["--crop=random", "--max_seconds=1.0", "--schedule_name=constant"]
    recipe("--number_of_epochs=3", *options, f"--output_folder={tmp_path}/uninterrupted")
    recipe("--number_of_epochs=1", *options, f"--output_folder={tmp_path}/resumed")
    recipe("--number_of_epochs=3", *options, f"--output_folder={tmp_path}/resumed")
    assert_same_weights(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_resume_within_epoch_matches_uninterrupted_run(recipe, tmp_path, monkeypatch):
    from emosphere_sb.training.brain import EmoSphereBrain

    options = ["--number_of_epochs=2", "--ckpt_interval_steps=1", "--schedule_name=cosine"]
    recipe(*options, f"--output_folder={tmp_path}/uninterrupted")
    step = EmoSphereBrain.optimizers_step

    def interrupt(brain):
        if brain.optimizer_step == 4:  # the second step of the second epoch
            raise KeyboardInterrupt
        return step(brain)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EmoSphereBrain, "optimizers_step", interrupt)
        recipe(*options, f"--output_folder={tmp_path}/resumed")
    recipe(*options, f"--output_folder={tmp_path}/resumed")
    assert_same_weights(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_early_stopped_run_is_not_continued(recipe, tmp_path):
    options = ["--patience=1", "--lr=0.3", "--number_of_epochs=9", f"--output_folder={tmp_path}"]
    recipe(*options)
    log = (tmp_path / "train_log.txt").read_text()
    assert len(log.splitlines()) < 9
    recipe(*options)
    assert (tmp_path / "train_log.txt").read_text() == log


def test_last_epoch_of_auxiliary_head_survives_restart(recipe, tmp_path):
    short = "--aux_decay_epochs=1"
    recipe("--number_of_epochs=1", short, f"--output_folder={tmp_path}")
    result = recipe("--number_of_epochs=2", short, f"--output_folder={tmp_path}")
    assert result["protocol"]["auxiliary_head"]["epoch"] == 1


def test_upper_bound_and_training_time_survive_restart(recipe, finished):
    assert set(finished["beside"]["cap"]) >= {"valid", "test1", "test2"}
    first = finished["run"]["training_seconds"]
    assert first > 0
    assert recipe()["run"]["training_seconds"] == first


def test_failed_backbone_loading_does_not_block_corrected_run(recipe, tmp_path):
    folder = f"--output_folder={tmp_path}"
    with pytest.raises(ValueError, match=r"nope\.json"):
        recipe("--backbone=nope.json", folder)
    recipe("--number_of_epochs=1", folder)


def test_several_processes_without_torchrun_raise(recipe, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun"):
        recipe()


def test_tiny_set_is_overfitted(smoke_corpus, tmp_path):
    """Training and development sets are the same 16 utterances, which the model can fit."""
    from emosphere_sb.recipe.run import run_recipe

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
        " --number_of_epochs=45 --lr=0.01 --head_dropout=0.0 --spec_augment=False"
    )
    result = run_recipe([*QUIET, "--preset=smoke", *options.split()], corpus="OwnData")
    assert result["valid"]["mean_ccc"] > 0.8


def test_shuffled_labels_are_recorded_in_protocol(recipe, tmp_path):
    result = recipe(
        "--number_of_epochs=1", f"--output_folder={tmp_path}", preset="smoke+shuffled_labels"
    )
    assert result["protocol"]["shuffle_labels"] is True
    assert not math.isnan(result["test1"]["mean_ccc"])


# --- auxiliary head on the test sets ---------------------------------------------------------


@pytest.fixture(scope="module")
def decayed(recipe, root):
    """Metrics of a run whose head is trained in epoch 1 of 3, and of a run of that epoch only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        options = ["--aux_decay_epochs=1", f"--output_folder={recipe.results / 'decayed'}"]
        found = recipe(*options, "--number_of_epochs=3", "--test_weights=last")
        short = ["--aux_decay_epochs=1", f"--output_folder={recipe.results / 'short'}"]
        return found, recipe(*short, "--number_of_epochs=1", "--test_weights=last")


def test_head_is_tested_with_the_weights_of_its_last_trained_epoch(recipe, decayed):
    found, short = decayed
    for name in ("test1", "test2"):
        head = found[name]["auxiliary_head"]
        last, tested = head["last_trained"], head["tested_weights"]
        assert (last["epoch"], last["trained"]) == (1, True)
        assert (tested["epoch"], tested["trained"]) == (3, False)
        # A run of one epoch tests exactly these weights, in its only epoch.
        assert last == short[name]["auxiliary_head"]["tested_weights"]
        table = read_predictions(recipe.results / "short" / "predictions" / f"{name}.csv")
        by_table = prediction_metrics(table)["region_head"]
        for key in ("accuracy", "macro_f1", "unweighted_recall", "n"):
            assert last[key] == by_table[key]
    assert "auxiliary_head" not in found["valid"]


def test_untrained_head_adds_no_columns_to_the_predictions(recipe, decayed):
    table = read_predictions(recipe.results / "decayed" / "predictions" / "test1.csv")
    assert "region_head" not in table and not [c for c in table if c.startswith("p_")]


def test_head_weights_are_deleted_after_the_test_and_their_metrics_preserved(recipe, decayed):
    folder = recipe.results / "decayed"
    assert all(
        path.name.startswith("CKPT") for path in (folder / "save").iterdir() if path.is_dir()
    )
    again = recipe(
        "--aux_decay_epochs=1", f"--output_folder={folder}", "--number_of_epochs=3",
        "--test_weights=last",
    )  # fmt: skip
    assert again["test1"]["auxiliary_head"] == decayed[0]["test1"]["auxiliary_head"]
