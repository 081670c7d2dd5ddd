"""Counting epochs: when training stops early, and that a restart goes on counting alike."""

import pytest

from emosphere_sb.training.epoch_counter import EpochCounter


def epochs_run(counter, scores):
    """The epochs that a counter gives out while it is told these scores, epoch by epoch."""
    found = []
    for epoch in counter:
        found.append(epoch)
        counter.update_metric(scores[epoch - 1])
    return found


@pytest.mark.parametrize(
    ("patience", "scores", "last"),
    [
        (1, [0.1, 0.2, 0.2, 0.9], 3),  # the same again is not better
        (2, [0.3, 0.2, 0.25, 0.9], 3),
        (2, [0.3, 0.2, 0.4, 0.3, 0.41, 0.4, 0.4], 7),
        (2, [-0.5, -0.6, -0.5, 0.9], 3),  # below 0 as well
        (2, [-1.0, -1.0, 0.2, 0.1, 0.2, 0.9], 5),  # -1 stands for an undefined CCC
        (1, [0.5, 0.5 - 1e-9, 0.9], 2),
        (1, [0.5, 0.5 + 1e-9, 0.5, 0.9], 3),
    ],
)
def test_stops_after_so_many_epochs_without_a_better_score(patience, scores, last):
    counter = EpochCounter(len(scores), patience)
    assert epochs_run(counter, scores) == list(range(1, last + 1))


def test_without_patience_it_never_stops_early():
    assert epochs_run(EpochCounter(6), [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]) == [1, 2, 3, 4, 5, 6]


def test_patience_is_off_unless_it_is_set():
    assert EpochCounter(20).limit_to_stop > 20


def test_negative_patience_is_refused():
    with pytest.raises(ValueError, match="limit_to_stop"):
        EpochCounter(5, -1)


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_restart_stops_where_a_run_left_alone_stops(tmp_path, stop):
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
