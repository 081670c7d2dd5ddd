"""Classification metrics by hand and against torchmetrics."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)

from emosphere_sb import metrics
from emosphere_sb.metrics import (
    accuracy,
    classification_metrics,
    confusion_matrix,
    macro_f1,
    unweighted_recall,
)

TRUTH = [0, 0, 0, 1, 1, 2]
PREDICTION = [0, 0, 1, 1, 1, 0]
PAIRED = (accuracy, macro_f1, unweighted_recall)


@pytest.fixture
def large():
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 8, 400)
    return truth, np.where(generator.random(400) < 0.4, truth, generator.integers(0, 8, 400))


def test_confusion_matrix_by_hand():
    assert confusion_matrix(TRUTH, PREDICTION).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_accuracy_by_hand():
    assert accuracy(TRUTH, PREDICTION) == 4 / 6


def test_macro_f1_by_hand():
    # 2 tp / (true + predicted): 4 / (3 + 3), 4 / (2 + 3), 0 / (1 + 0)
    assert macro_f1(TRUTH, PREDICTION) == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_unweighted_recall_by_hand():
    assert unweighted_recall(TRUTH, PREDICTION) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_metrics_match_torchmetrics(large):
    truth, prediction = large
    pair = torch.from_numpy(prediction), torch.from_numpy(truth)
    f1 = multiclass_f1_score(*pair, num_classes=8, average="macro").item()
    recall = multiclass_accuracy(*pair, num_classes=8, average="macro").item()
    share = multiclass_accuracy(*pair, num_classes=8, average="micro").item()
    assert macro_f1(*large) == pytest.approx(f1, abs=1e-6)
    assert unweighted_recall(*large) == pytest.approx(recall, abs=1e-6)
    assert accuracy(*large) == pytest.approx(share, abs=1e-6)
    table = multiclass_confusion_matrix(*pair, num_classes=8)
    assert confusion_matrix(*large).tolist() == table.tolist()


def test_classes_that_do_not_occur_are_ignored():
    assert macro_f1([0, 7], [0, 7]) == unweighted_recall([0, 7], [0, 7]) == 1.0


def test_class_that_is_only_predicted_affects_f1_but_not_recall():
    # F1 of 0: 2 / (2 + 1), of 5: 0 / (0 + 1); recall of 0 alone
    assert macro_f1([0, 0], [0, 5]) == pytest.approx((2 / 3 + 0) / 2)
    assert unweighted_recall([0, 0], [0, 5]) == 0.5


@pytest.mark.parametrize("metric", PAIRED)
def test_unknown_classes_are_ignored(metric):
    found = metric([*TRUTH, -1, 2], [*PREDICTION, 2, -1])
    assert found == metric(TRUTH, PREDICTION)


@pytest.mark.parametrize("metric", PAIRED)
@pytest.mark.parametrize("values", [([], []), ([-1], [0])])
def test_metrics_without_known_pairs_are_nan(metric, values):
    assert math.isnan(metric(*values))


def test_accuracy_is_symmetric(large):
    assert accuracy(*large) == accuracy(*large[::-1]) == np.mean(large[0] == large[1])


def test_confusion_matrix_has_the_given_size():
    assert confusion_matrix([0], [1], classes=4).shape == (4, 4)


def test_class_not_below_the_number_raises():
    with pytest.raises(ValueError, match="less than the number of classes, 3; found 3"):
        confusion_matrix([0, 3], [0, 1], classes=3)


@pytest.mark.parametrize("metric", PAIRED)
def test_unequal_lengths_raise(metric):
    with pytest.raises(ValueError, match="equal length; found shapes \\(6,\\) and \\(5,\\)"):
        metric(TRUTH, PREDICTION[:-1])


@pytest.mark.parametrize("truth", [["happy", "sad"], [0.0, 1.0]])
def test_noninteger_classes_raise(truth):
    with pytest.raises(ValueError, match="must be non-negative integers"):
        accuracy(truth, [0, 1])


def test_classification_metrics_has_each_metric():
    found = classification_metrics([*TRUTH, -1], [*PREDICTION, 0])
    expected = [f(TRUTH, PREDICTION) for f in (accuracy, macro_f1, unweighted_recall)]
    assert list(found.values()) == [*expected, 6]
    assert list(found) == ["accuracy", "macro_f1", "unweighted_recall", "n"]


def test_package_exports_all_metrics():
    assert metrics.macro_f1 is macro_f1
