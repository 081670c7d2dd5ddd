"""Both backward passes on a model with one weight, with results computed by hand."""

import logging
import math
from types import SimpleNamespace

import pytest
import torch

from emosphere_sb.data.dataset import Batch
from emosphere_sb.training.backward import (
    StepContext,
    StepLoss,
    backward_function,
    effective_batch_backward,
    gather_share,
    micro_batch_backward,
    report_nonfinite,
)
from emosphere_sb.training.batch_outputs import Output
from emosphere_sb.training.train_statistics import TrainStatistics


def make_batch(values, prefix="u", missing=()) -> Batch:
    """Utterances of one sample, with labels of zero."""
    count = len(values)
    return Batch(
        [f"{prefix}{row}" for row in range(count)],
        torch.tensor(values).reshape(count, 1),
        torch.ones(count, dtype=torch.long),
        torch.zeros(count, 3),
        torch.zeros(count, dtype=torch.long),
        missing=dict.fromkeys(missing, "gone"),
    )


@pytest.fixture
def model():
    """Model with output w * signal and w = 2; the loss is the squared sum of the errors."""
    weight, statistics = torch.nn.Parameter(torch.tensor(2.0)), TrainStatistics()

    def objective(output, labels):
        loss = (output.vad - labels.vad).sum().square()
        statistics.add(regression_loss=loss.detach(), undefined=1, objectives=1)
        return loss

    step = StepContext(
        forward=lambda batch, index: Output((weight * batch.signals).expand(-1, 3), None),
        objective=objective,
        statistics=statistics,
        classes=0,
        loss_weights=[],
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        device="cpu",
    )
    return SimpleNamespace(weight=weight, statistics=statistics, step=step)


BATCHES = [make_batch([1.0], "a"), make_batch([2.0, 3.0], "b")]


def test_effective_batch_loss_is_over_all_utterances(model):
    """(3 w (1 + 2 + 3))^2 = 324 w^2, whose derivative is 648 w."""
    loss = effective_batch_backward(BATCHES, [3], model.step)
    assert loss.finite and loss.value.item() == 4 * 324
    assert float(model.weight.grad) == 2 * 648
    assert model.statistics.step["objectives"] == 1


def test_one_micro_batch_needs_one_forward_pass(model):
    calls, forward = [], model.step.forward
    model.step.forward = lambda *arguments: calls.append(1) or forward(*arguments)
    effective_batch_backward([make_batch([1.0, 2.0, 3.0])], [3], model.step)
    assert float(model.weight.grad) == 2 * 648 and len(calls) == 1
    effective_batch_backward(BATCHES, [3], model.step)
    assert len(calls) == 1 + 4


def test_micro_batch_losses_are_weighted_by_utterances(model):
    """(1/3) (3 w)^2 + (2/3) (15 w)^2 = 153 w^2, whose derivative is 306 w."""
    loss = micro_batch_backward(BATCHES, [3], model.step)
    assert loss.finite and float(loss.value) == pytest.approx(4 * 153)
    assert float(model.weight.grad) == pytest.approx(2 * 306)
    assert model.statistics.step["objectives"] == model.statistics.step["undefined"] == 2
    assert float(model.statistics.step["regression_loss"]) == 36 + 900


@pytest.mark.parametrize("backward", [effective_batch_backward, micro_batch_backward])
def test_nonfinite_loss_has_no_backward_pass(backward, model):
    batches = [make_batch([math.nan], "a"), make_batch([2.0], "b")]
    loss = backward(batches, [2], model.step)
    assert not loss.finite and loss.value.isnan()
    assert model.weight.grad is None


def test_share_drops_micro_batches_without_readable_audio():
    batches = [make_batch([1.0], missing=["x"]), make_batch([], missing=["y", "z"])]
    share = gather_share(batches, stop_requested=False, device="cpu")
    assert share.batches == batches[:1] and share.sizes == [1]
    assert share.unreadable == {"x": "gone", "y": "gone", "z": "gone"} and share.any_unreadable
    assert not share.stop_requested


def test_share_has_the_stop_request():
    share = gather_share([make_batch([1.0])], stop_requested=True, device="cpu")
    assert share.stop_requested and not share.any_unreadable


@pytest.mark.parametrize(
    ("finite", "message"),
    [(False, "The loss is not finite (loss: nan)"), (True, "The gradient is not finite")],
)
def test_skipped_step_is_logged_with_its_utterances(finite, message, caplog):
    loss = StepLoss(torch.tensor(1.0 if finite else math.nan), finite)
    with caplog.at_level(logging.WARNING):
        report_nonfinite(BATCHES, loss, count=2, patience=2)
    assert message in caplog.text and "['a0', 'b0', 'b1']" in caplog.text
    with pytest.raises(ValueError, match=r"not finite in 3 steps .*nonfinite_patience \(2\).*'b1'"):
        report_nonfinite(BATCHES, loss, count=3, patience=2)


def test_backward_function_of_each_window():
    assert backward_function("effective") is effective_batch_backward
    assert backward_function("micro") is micro_batch_backward
    with pytest.raises(ValueError, match="one of effective, micro; found 'utterance'"):
        backward_function("utterance")
