"""Predictions of a set: splitting, gathering, metrics and conversion."""

import math

import numpy as np
import pytest
import torch

from emosphere_sb.data.dataset import Batch
from emosphere_sb.training.batch_outputs import Output
from emosphere_sb.training.evaluation import (
    LabelledOutput,
    evaluation_metrics,
    gather_predictions,
    prediction_arrays,
    split_predictions,
)


def make_predictions(vad, logits=None, target=None) -> dict[str, LabelledOutput]:
    """Return predictions for true values of 0, 1 and 2 in all dimensions."""
    return {
        f"u{row}": LabelledOutput(
            torch.full((3,), value),
            None if logits is None else torch.tensor(logits[row]),
            torch.full((3,), float(row)),
            torch.tensor(-1 if target is None else target[row]),
        )
        for row, value in enumerate(vad)
    }


@pytest.mark.parametrize("classes", [0, 2])
def test_batch_is_split_by_utterance(classes):
    vad, labels = torch.arange(6.0).reshape(2, 3), torch.zeros(2, 3)
    logits = torch.arange(4.0).reshape(2, 2) if classes else None
    batch = Batch(["b", "a"], torch.zeros(2, 1), torch.ones(2), labels, torch.tensor([4, 5]))
    found = split_predictions(batch, Output(vad.bfloat16(), logits))
    assert list(found) == ["b", "a"] and found["a"].vad.dtype == torch.float32
    assert found["a"].vad.tolist() == [3, 4, 5] and found["b"].target == 4
    assert found["a"].logits is None if not classes else found["a"].logits.tolist() == [2, 3]


def test_gathered_predictions_are_sorted_by_id():
    predictions = make_predictions([0.0, 1.0])
    found = gather_predictions({name: predictions[name] for name in ("u1", "u0")})
    assert list(found) == ["u0", "u1"] and found["u1"].vad.tolist() == [1, 1, 1]
    assert found["u0"].logits is None and gather_predictions({}) == {}


def test_metrics_of_a_constant_offset():
    """Variances of 2/3 and a covariance of 2/3, means 1 apart: CCC = (4/3) / (4/3 + 1) = 4/7."""
    metrics, head = evaluation_metrics(make_predictions([1.0, 2.0, 3.0]))
    assert set(metrics) == {"valence", "arousal", "dominance", "mean_ccc"} and head == {}
    assert list(metrics.values()) == pytest.approx([4 / 7] * 4)


def test_metrics_of_the_auxiliary_head():
    logits = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    _, head = evaluation_metrics(make_predictions([0.0, 1.0, 2.0], logits, [0, 0, -1]))
    assert head["accuracy"] == 0.5 and head["n"] == 2  # the third is unknown


def test_arrays_have_probabilities():
    logits = [[0.0, math.log(3)]] * 2
    vad, probabilities = prediction_arrays(make_predictions([0.5, -0.5], logits))
    assert vad["u1"].tolist() == [-0.5] * 3 and vad["u1"].dtype == np.float64
    assert probabilities["u0"] == pytest.approx([0.25, 0.75])


def test_arrays_without_logits():
    vad, probabilities = prediction_arrays(make_predictions([0.5]))
    assert vad["u0"].tolist() == [0.5] * 3 and probabilities is None


def test_nonfinite_prediction_raises():
    with pytest.raises(
        ValueError, match=r"1 utterances have NaN or infinite predictions \(e\.g\. u1"
    ):
        prediction_arrays(make_predictions([0.5, math.nan]))
