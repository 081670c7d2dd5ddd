"""Progress of a training run: one line per epoch, early stopping, and the end of the run."""

import logging
import math

import pytest

from emosphere_sb.recipe.progress import epoch_line, epochs_left, log_epoch, log_finished
from emosphere_sb.training.epoch_counter import UNDEFINED_SCORE, EpochCounter

TRAIN = {"loss": 4.75, "regression_loss": 2.94, "auxiliary_loss": 2.2625, "weight": 0.8}
VALID = {"valence": 0.4, "arousal": 0.61, "dominance": -0.5, "mean_ccc": 0.17}


def counter_after(scores, *, limit=20, patience=0):
    """Return a counter after one epoch per score."""
    counter = EpochCounter(limit, patience)
    for epoch in counter:
        counter.update_metric(scores[epoch - 1])
        if epoch == len(scores):
            break
    return counter


def test_line_has_losses_ccc_best_epoch_and_time_left():
    counter = counter_after([0.1, 0.3, 0.17])
    # 3 of 20 epochs took 90 s, so the other 17 take 17 · 30 s = 510 s = 8.5 min.
    assert epoch_line(counter, TRAIN, VALID, 90.0, task="emotion") == (
        "Epoch 3/20: loss 4.750 (VAD 2.940, emotion 2.263 with weight 0.800); "
        "valid CCC V .400, A .610, D -.500, mean .170; best mean CCC .300 in epoch 2; 8 min left"
    )


def test_line_without_an_auxiliary_loss_has_one_loss():
    line = epoch_line(
        counter_after([0.17]), {"loss": 2.5, "regression_loss": 2.5}, VALID, 1.0, task="region"
    )
    assert line.startswith("Epoch 1/20: loss 2.500; valid CCC")


def test_last_epoch_has_no_time_left():
    line = epoch_line(counter_after([0.1, 0.2], limit=2), TRAIN, VALID, 60.0, task="region")
    assert line.endswith("best mean CCC .200 in epoch 2")


def test_time_left_is_an_upper_limit_with_early_stopping():
    line = epoch_line(counter_after([0.1], patience=3), TRAIN, VALID, 10.0, task="region")
    assert line.endswith("at most 3 min left")  # 19 · 10 s = 190 s


def test_undefined_ccc_is_a_dash():
    valid = {**VALID, "valence": math.nan, "mean_ccc": math.nan}
    line = epoch_line(counter_after([UNDEFINED_SCORE]), TRAIN, valid, 1.0, task="region")
    assert "valid CCC V –, A .610, D -.500, mean –; best mean CCC – in epoch 1" in line


@pytest.mark.parametrize(
    ("scores", "patience", "left"),
    [([0.1], 0, 4), ([0.1, 0.1], 2, 3), ([0.1, 0.1, 0.1], 2, 0), ([0.1] * 5, 0, 0)],
)
def test_epochs_left(scores, patience, left):
    assert epochs_left(counter_after(scores, limit=5, patience=patience)) == left


def messages(caplog, scores, **settings):
    caplog.set_level(logging.INFO, logger="emosphere_sb")
    log_epoch(counter_after(scores, **settings), TRAIN, VALID, 1.0, task="region")
    own = (record for record in caplog.records if record.name == "emosphere_sb.recipe.progress")
    return [record.getMessage() for record in own]


def test_early_stop_is_logged_with_its_reason(caplog):
    line, reason = messages(caplog, [0.2, 0.1, 0.2], patience=2)
    assert line.startswith("Epoch 3/20") and "left" not in line
    assert reason == (
        "Stopped early after epoch 3 of 20: no improvement in mean CCC for 2 epochs (patience: 2)."
    )


def test_last_epoch_is_not_logged_as_an_early_stop(caplog):
    assert len(messages(caplog, [0.2, 0.1, 0.2], limit=3, patience=2)) == 1


@pytest.mark.parametrize(
    ("protocol", "tested"),
    [
        ({"best_epoch": 4}, "weights of the best epoch (4) tested"),
        ({"averaged_epochs": [3, 4]}, "mean weights of epochs 3, 4 tested"),
        ({"averaged_epochs": [4]}, "weights of the last epoch (4) tested"),
    ],
)
def test_finished_run_logs_where_its_results_are(caplog, protocol, tested):
    caplog.set_level(logging.INFO, logger="emosphere_sb")
    log_finished({"protocol": protocol, "run": {"training_seconds": 180.0, "folder": "runs/7"}})
    assert caplog.messages == [
        f"Run complete: 3 min of training, {tested}. Results: runs/7 (metrics.json, predictions/, "
        "save/)"
    ]
