"""Tests of reading train_log.txt, written by SpeechBrain's logger."""

import math

import pytest
from speechbrain.utils.train_logger import FileTrainLogger

from emosphere_sb.report.read.training_log import read_train_log


@pytest.fixture
def written(tmp_path):
    """A log of three epochs: in the third the region task is left out, one CCC is not defined."""
    path = tmp_path / "train_log.txt"
    logger = FileTrainLogger(str(path))
    about = {"loss": 5.3, "regression_loss": 0.0625, "auxiliary_loss": 150.25, "weight": 1.0}
    for epoch, weight in ((1, 1.0), (2, 0.75), (3, None)):
        train = about | {"weight": weight} if weight is not None else {"loss": 5.3}
        valence = math.nan if epoch == 2 else 0.25 * epoch
        logger.log_stats(
            {"epoch": epoch, "lr": 1e-5},
            train_stats=train,
            valid_stats={"valence": valence, "head_n": 16},
            verbose=False,
        )
    return path


def test_columns_of_log(written):
    log = read_train_log(written)
    assert log["epoch"] == [1, 2, 3]
    assert log["lr"] == [1e-5] * 3
    assert log["train loss"] == [5.3] * 3
    assert log["valid head_n"] == [16] * 3
    assert log["train regression_loss"][0] == pytest.approx(
        0.0625, rel=0.01
    )  # three digits in the file
    assert log["train auxiliary_loss"][1] == pytest.approx(150.25, rel=0.01)


def test_missing_entries_are_nan(written):
    log = read_train_log(written)
    assert log["train weight"][:2] == [1.0, 0.75]
    assert math.isnan(log["train weight"][2])
    assert math.isnan(log["valid valence"][1])
    assert log["valid valence"][2] == 0.75


def test_columns_have_equal_length(written):
    assert {len(column) for column in read_train_log(written).values()} == {3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; one line per epoch"),
        ("epoch: 1, lr: 1e-5\nhello\n", r"line 2 must consist of entries.*found 'hello'"),
        ("epoch: one\n", r"line 1 must consist of entries.*found 'epoch: one'"),
        ("lr: 1.0 - train loss: 2.0\n", "the entry 'epoch'; found lr, train loss"),
    ],
)
def test_invalid_log_raises(tmp_path, text, said):
    path = tmp_path / "train_log.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_train_log(path)


def test_missing_log_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_train_log(tmp_path / "train_log.txt")
