"""Reported figures of classes: by hand, and against torchmetrics."""

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
    agreement,
    classification_metrics,
    confusion,
    macro_f1,
    unweighted_recall,
)

TRUTH = [0, 0, 0, 1, 1, 2]
PREDICTION = [0, 0, 1, 1, 1, 0]
PAIRED = (accuracy, agreement, macro_f1, unweighted_recall)


@pytest.fixture
def large():
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 8, 400)
    return truth, np.where(generator.random(400) < 0.4, truth, generator.integers(0, 8, 400))


def test_confusion_by_hand():
    assert confusion(TRUTH, PREDICTION).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_accuracy_by_hand():
    assert accuracy(TRUTH, PREDICTION) == 4 / 6


def test_macro_f1_by_hand():
    # 2 tp / (true + predicted): 4 / (3 + 3), 4 / (2 + 3), 0 / (1 + 0)
    assert macro_f1(TRUTH, PREDICTION) == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_unweighted_recall_by_hand():
    assert unweighted_recall(TRUTH, PREDICTION) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_equal_to_torchmetrics(large):
    truth, prediction = large
    pair = torch.from_numpy(prediction), torch.from_numpy(truth)
    f1 = multiclass_f1_score(*pair, num_classes=8, average="macro").item()
    recall = multiclass_accuracy(*pair, num_classes=8, average="macro").item()
    share = multiclass_accuracy(*pair, num_classes=8, average="micro").item()
    assert macro_f1(*large) == pytest.approx(f1, abs=1e-6)
    assert unweighted_recall(*large) == pytest.approx(recall, abs=1e-6)
    assert accuracy(*large) == pytest.approx(share, abs=1e-6)
    table = multiclass_confusion_matrix(*pair, num_classes=8)
    assert confusion(*large).tolist() == table.tolist()


def test_classes_that_never_occur_do_not_count():
    assert macro_f1([0, 7], [0, 7]) == unweighted_recall([0, 7], [0, 7]) == 1.0


def test_class_only_predicted_counts_in_f1_but_not_in_recall():
    # F1 of 0: 2 / (2 + 1), of 5: 0 / (0 + 1); recall of 0 alone
    assert macro_f1([0, 0], [0, 5]) == pytest.approx((2 / 3 + 0) / 2)
    assert unweighted_recall([0, 0], [0, 5]) == 0.5


@pytest.mark.parametrize("metric", PAIRED)
def test_unknown_classes_are_left_out(metric):
    found = metric([*TRUTH, -1, 2], [*PREDICTION, 2, -1])
    assert found == metric(TRUTH, PREDICTION)


@pytest.mark.parametrize("metric", PAIRED)
@pytest.mark.parametrize("values", [([], []), ([-1], [0])])
def test_without_a_known_pair_all_are_undefined(metric, values):
    assert math.isnan(metric(*values))


def test_agreement_does_not_depend_on_the_order(large):
    assert agreement(*large) == agreement(*large[::-1]) == np.mean(large[0] == large[1])


def test_confusion_has_the_size_asked_for():
    assert confusion([0], [1], classes=4).shape == (4, 4)


def test_class_beyond_the_number_is_refused():
    with pytest.raises(ValueError, match="below 3, their number; found 3"):
        confusion([0, 3], [0, 1], classes=3)


@pytest.mark.parametrize("metric", PAIRED)
def test_unequal_lengths_are_refused(metric):
    with pytest.raises(ValueError, match="same length; found shapes \\(6,\\) and \\(5,\\)"):
        metric(TRUTH, PREDICTION[:-1])


@pytest.mark.parametrize("truth", [["happy", "sad"], [0.0, 1.0]])
def test_names_and_fractions_are_refused(truth):
    with pytest.raises(ValueError, match="must be whole numbers"):
        accuracy(truth, [0, 1])


def test_table_holds_each_metric():
    found = classification_metrics([*TRUTH, -1], [*PREDICTION, 0])
    expected = [f(TRUTH, PREDICTION) for f in (accuracy, macro_f1, unweighted_recall)]
    assert list(found.values()) == [*expected, 6]
    assert list(found) == ["accuracy", "macro_f1", "unweighted_recall", "n"]


def test_metrics_module_is_one_door():
    assert metrics.macro_f1 is macro_f1
