"""Sums over steps and epochs, and the means that are logged."""

import pytest
import torch

from emosphere_sb.training.train_statistics import TrainStatistics


def make_statistics() -> TrainStatistics:
    """Return statistics of two steps, the first with two windows and the second with one."""
    statistics = TrainStatistics()
    for losses in ([1.0, 2.0], [6.0]):
        statistics.start_step()
        for loss in losses:
            statistics.add(regression_loss=torch.tensor(loss), undefined=0, objectives=1)
            statistics.add(auxiliary_loss=torch.tensor(2 * loss))
        statistics.end_step()
    return statistics


def test_means_are_over_windows():
    found = make_statistics().metrics(7.0, weight=0.5)
    assert found == {"loss": 7.0, "regression_loss": 3.0, "auxiliary_loss": 6.0, "weight": 0.5}


def test_auxiliary_loss_is_omitted_without_weight():
    assert make_statistics().metrics(7.0) == {"loss": 7.0, "regression_loss": 3.0}


def test_undefined_coefficients_are_counted():
    statistics = make_statistics()
    statistics.add(undefined=2)
    statistics.end_step()
    assert statistics.metrics(7.0)["undefined_ccc"] == 2


def test_skipped_step_adds_no_losses():
    statistics = make_statistics()
    statistics.start_step()
    statistics.add(regression_loss=100.0, objectives=1)
    assert [statistics.count_nonfinite(), statistics.count_nonfinite()] == [1, 2]
    statistics.skip_step()
    assert statistics.metrics(7.0)["regression_loss"] == 3.0
    assert statistics.epoch["steps"] == 2 and statistics.epoch["left_out"] == 1


def test_start_epoch_resets_the_sums():
    statistics = make_statistics()
    statistics.start_epoch()
    assert statistics.metrics(0.0) == {"loss": 0.0, "regression_loss": 0.0}


def test_saved_sums_are_restored():
    again = TrainStatistics()
    again.load_state_dict(make_statistics().state_dict())
    assert all(type(value) is float for value in again.state_dict().values())
    assert again.metrics(7.0, weight=0.5) == make_statistics().metrics(7.0, weight=0.5)
    again.end_step()
    assert again.epoch["steps"] == 3


def test_epoch_without_completed_step_raises():
    statistics = TrainStatistics()
    statistics.check_any_step(1)  # no step was left out
    statistics.skip_step()
    with pytest.raises(ValueError, match="No step of epoch 4 had a finite loss"):
        statistics.check_any_step(4)
    statistics.end_step()
    statistics.check_any_step(4)
