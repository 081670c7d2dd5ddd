"""Reading an unfinished run: its progress, its settings and any finished predictions."""

import math

import pytest
from speechbrain.utils.train_logger import FileTrainLogger

from emosphere_sb.report.read.unfinished import (
    is_unfinished,
    read_started_log,
    read_unfinished,
    training_progress,
)
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.run_folders import random_predictions, write_run

YAML = "preset: demo\nseed: 3\nnumber_of_epochs: 20\ndata_folder: null\nsynthetic_corpus: demo\n"


def write_log(folder, scores):
    logger = FileTrainLogger(str(folder / "train_log.txt"))
    for epoch, score in enumerate(scores, start=1):
        valid = {**dict.fromkeys(DIMENSIONS, 0.25), "mean_ccc": score}
        logger.log_stats({"epoch": epoch}, {"loss": 2.0}, valid, verbose=False)


@pytest.fixture
def folder(tmp_path):
    """A run that was interrupted after three epochs."""
    folder = tmp_path / "3"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(YAML, encoding="utf-8")
    write_log(folder, [0.25, 0.5, 0.375])
    return folder


def test_run_without_metrics_is_unfinished(tmp_path, folder):
    assert is_unfinished(folder)
    assert not is_unfinished(write_run(tmp_path / "finished"))
    assert not is_unfinished(tmp_path)
    assert not is_unfinished(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["hyperparams.yaml", "train_log.txt"])
def test_summary_of_folds_is_not_an_unfinished_run(folder, name):
    (folder / "summary.json").write_text("{}")
    assert not is_unfinished(folder)


def test_settings_progress_and_predictions_are_read(folder):
    (folder / "predictions").mkdir()
    random_predictions(10).to_csv(folder / "predictions" / "valid.csv", index=False)
    run = read_unfinished(folder)
    assert (run.name, list(run.tables), run.scales) == ("3", ["valid"], {"valid": None})
    assert run.protocol == {
        "preset": "demo", "seed": 3, "number_of_epochs": 20, "synthetic": True,
    }  # fmt: skip
    assert (run.unfinished["epochs"], run.unfinished["number_of_epochs"]) == (3, 20)


def test_real_speech_is_not_marked_as_synthetic(folder):
    text = YAML.replace("data_folder: null", "data_folder: /corpus")
    (folder / "hyperparams.yaml").write_text(text, encoding="utf-8")
    assert read_unfinished(folder).protocol["synthetic"] is False


def test_best_and_last_epoch(folder):
    progress = read_unfinished(folder).unfinished
    assert progress["best"] == {"epoch": 2, **dict.fromkeys(DIMENSIONS, 0.25), "mean_ccc": 0.5}
    assert (progress["last"]["epoch"], progress["last"]["mean_ccc"]) == (3, 0.375)
    assert progress["message"].startswith("Unfinished run: 3 of 20 epochs are trained. ")


def test_line_that_is_being_written_is_ignored(folder):
    with open(folder / "train_log.txt", "a") as log:
        log.write("epoch: 4 - train lo")
    assert read_unfinished(folder).unfinished["epochs"] == 3


@pytest.mark.parametrize("text", [None, "", "epoch: 1 - train lo"])
def test_run_within_its_first_epoch_has_no_log(folder, text):
    (folder / "train_log.txt").unlink()
    if text is not None:
        (folder / "train_log.txt").write_text(text)
    assert read_started_log(folder) is None
    progress = read_unfinished(folder).unfinished
    assert (progress["epochs"], progress["best"], progress["last"]) == (0, None, None)
    assert "0 of 20 epochs are trained" in progress["message"]


def test_trained_but_untested_run_is_described():
    progress = training_progress({"epoch": [1, 2]}, 2)
    assert "all 2 epochs are trained, but the test is not complete" in progress["message"]


def test_undefined_scores_are_never_best():
    log = {"epoch": [1, 2, 3], "valid mean_ccc": [math.nan, -0.5, math.nan]}
    progress = training_progress(log, None)
    assert progress["best"]["epoch"] == 2 and math.isnan(progress["last"]["mean_ccc"])
    assert training_progress({"epoch": [1], "valid mean_ccc": [math.nan]}, 1)["best"] is None
