"""Epoch counter: early stopping, and the same result after a restart."""

import pytest

from emosphere_sb.training.epoch_counter import EpochCounter


def epochs_run(counter, scores):
    """Return the epochs of a counter that is updated with one score per epoch."""
    found = []
    for epoch in counter:
        found.append(epoch)
        counter.update_metric(scores[epoch - 1])
    return found


@pytest.mark.parametrize(
    ("patience", "scores", "last"),
    [
        (1, [0.1, 0.2, 0.2, 0.9], 3),  # an equal score is no improvement
        (2, [0.3, 0.2, 0.25, 0.9], 3),
        (2, [0.3, 0.2, 0.4, 0.3, 0.41, 0.4, 0.4], 7),
        (2, [-0.5, -0.6, -0.5, 0.9], 3),  # negative scores
        (2, [-1.0, -1.0, 0.2, 0.1, 0.2, 0.9], 5),  # -1 means an undefined CCC
        (1, [0.5, 0.5 - 1e-9, 0.9], 2),
        (1, [0.5, 0.5 + 1e-9, 0.5, 0.9], 3),
    ],
)
def test_stops_after_patience_epochs_without_improvement(patience, scores, last):
    counter = EpochCounter(len(scores), patience)
    assert epochs_run(counter, scores) == list(range(1, last + 1))


def test_zero_patience_never_stops_early():
    assert epochs_run(EpochCounter(6), [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]) == [1, 2, 3, 4, 5, 6]


def test_patience_defaults_to_zero():
    assert EpochCounter(20).limit_to_stop > 20


def test_negative_patience_raises():
    with pytest.raises(ValueError, match="limit_to_stop"):
        EpochCounter(5, -1)


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_resumed_counter_stops_like_an_uninterrupted_one(tmp_path, stop):
    scores = [0.2, 0.3, 0.1, 0.3, 0.9, 0.9]
    first = EpochCounter(6, patience=2)
    for epoch in first:
        first.update_metric(scores[epoch - 1])
        if epoch == stop:
            break
    first._save(tmp_path / "counter")
    second = EpochCounter(6, patience=2)
    second._recover(tmp_path / "counter", end_of_epoch=True)
    assert epochs_run(second, scores) == list(range(stop + 1, 5))
