"""Optimiser step of the Brain: CCC windows, repeated dropout, clipping and non-finite losses."""

import math

import pytest
import torch
from speechbrain.core import Stage

from emosphere_sb.data.dataset import Batch
from emosphere_sb.training.batch_outputs import Labels, Output
from emosphere_sb.training.evaluation import LabelledOutput
from emosphere_sb.training.optimisation import seed_all
from tests.helpers.brain import assert_close, gradients, make_brain, no_dropout

LENGTHS = (5000, 4200, 3100, 2600, 1800, 900)


def make_step(sizes=(2, 3, 1), seed=0) -> list[Batch]:
    """Micro-batches of the given sizes with random audio and labels."""
    chance = torch.Generator().manual_seed(seed)
    lengths, batches = list(LENGTHS), []
    for size in sizes:
        own, lengths = lengths[:size], lengths[size:]
        signals = torch.zeros(size, own[0])
        for row, length in enumerate(own):
            signals[row, :length] = torch.randn(length, generator=chance)
        vad = torch.rand(size, 3, generator=chance) * 2 - 1
        target = torch.randint(0, 8, (size,), generator=chance)
        ids = [f"u{len(lengths)}-{row}" for row in range(size)]
        batches.append(Batch(ids, signals, torch.tensor(own), vad, target))
    return batches


def joint_loss(brain, outputs, step) -> torch.Tensor:
    """Compute the loss over all micro-batches in one graph."""
    joined = Output.join(outputs, brain.hparams.task.size, "cpu")
    return brain.compute_objectives(joined, Labels.join(step, "cpu"), Stage.TRAIN)


def backward(brain, step):
    """Return the loss of a step in one process; keep its gradients."""
    loss = brain.backward(step, [sum(len(batch.ids) for batch in step)])
    assert loss.finite
    return loss.value


def test_effective_window_matches_the_complete_batch():
    brain, step = make_brain(ccc_window="effective"), make_step()
    no_dropout(brain)
    outputs = [brain.forward_train(batch, n) for n, batch in enumerate(step)]
    joint_loss(brain, outputs, step).backward()
    expected = gradients(brain)
    brain.zero_grad(set_to_none=True)
    backward(brain, step)
    assert_close(gradients(brain), expected)


def test_effective_window_repeats_the_dropout_of_the_first_pass():
    brain, step = make_brain(ccc_window="effective"), make_step()
    outputs = []
    for number, batch in enumerate(
        step
    ):  # one graph over all micro-batches, each with its own random state
        seed_all(brain.hparams.seed, brain.optimizer_step, number, 0)
        outputs.append(brain.compute_forward(batch, Stage.TRAIN))
    joint_loss(brain, outputs, step).backward()
    expected = gradients(brain)
    brain.zero_grad(set_to_none=True)
    backward(brain, step)
    assert_close(gradients(brain), expected)


def test_different_dropout_masks_give_different_gradients():
    brain, step = make_brain(ccc_window="effective"), make_step()
    backward(brain, step)
    first = gradients(brain)
    brain.zero_grad(set_to_none=True)
    brain.optimizer_step += 1
    backward(brain, step)
    with pytest.raises(AssertionError):
        assert_close(gradients(brain), first, tolerance=1e-2)


def test_micro_window_is_the_mean_of_micro_batch_losses():
    brain, step = make_brain(ccc_window="micro"), make_step((3, 3))
    no_dropout(brain)
    losses = [
        brain.compute_objectives(brain.forward_train(batch, n), batch, Stage.TRAIN)
        for n, batch in enumerate(step)
    ]
    (sum(losses) / 2).backward()
    expected = gradients(brain)
    brain.zero_grad(set_to_none=True)
    loss = backward(brain, step)
    assert float(loss) == pytest.approx(sum(map(float, losses)) / 2, abs=1e-6)
    assert_close(gradients(brain), expected)


@pytest.mark.parametrize("window", ["micro", "effective"])
def test_loss_is_computed_on_standardised_labels(window):
    """The CCC does not change with the scale, but the squared error does."""
    brain, step = (
        make_brain(ccc_window=window, standardise_labels=True, mse_weight=1.0),
        make_step(),
    )
    no_dropout(brain)
    brain.hparams.weighting.set_epoch(6)  # the auxiliary loss is dropped
    mean, sd = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 0.25, 2.0])
    brain.modules.vad_head.set_label_statistics(mean, sd)
    losses, sizes = [], []
    for number, batch in enumerate(step):
        predicted = brain.forward_train(batch, number).vad.detach()
        losses.append((predicted, batch.vad))
        sizes.append(len(batch.ids))
    if window == "effective":
        losses, sizes = [tuple(torch.cat(parts) for parts in zip(*losses, strict=True))], [6]
    expected = 0.0
    for (predicted, true), size in zip(losses, sizes, strict=True):
        one, two = (predicted - mean) / sd, (true - mean) / sd
        known = torch.ones_like(two, dtype=torch.bool)
        expected += float(brain.hparams.regression_loss(one, two, known)) * size / 6
    assert float(backward(brain, step)) == pytest.approx(expected, rel=1e-5)
    brain.predictions = {}
    brain.modules.eval()
    brain._predict_batch(step[0], Stage.VALID)
    found = brain.predictions[step[0].ids[0]]
    assert torch.equal(found.true_vad, step[0].vad[0])  # metrics use the original scale


def test_micro_and_effective_windows_differ():
    step = make_step()
    losses = []
    for name in ("micro", "effective"):
        brain = make_brain(ccc_window=name)
        no_dropout(brain)
        losses.append(float(backward(brain, step)))
    assert abs(losses[0] - losses[1]) > 0.01


@pytest.mark.parametrize(("limit", "norm_left"), [("inf", 100.0), ("5.0", 5.0)])
def test_clipping_covers_all_parameters_and_inf_disables_it(limit, norm_left):
    rows = ("published", "smoke") if limit == "inf" else ("smoke",)
    overrides = {"precision": "fp32"} if limit == "inf" else {"max_grad_norm": limit}
    brain = make_brain(rows, **overrides)
    parameters = [p for p in brain.modules.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    total = torch.sqrt(sum(p.grad.square().sum() for p in parameters))
    for parameter in parameters:
        parameter.grad *= 100.0 / total
    seen = {}
    step = brain.optimizer.step

    def spy(*args, **kwargs):
        seen["norm"] = float(torch.sqrt(sum(p.grad.square().sum() for p in parameters)))
        seen["groups"] = len(brain.optimizer.param_groups)
        return step(*args, **kwargs)

    brain.optimizer.step = spy
    brain.optimizers_step()
    assert seen["norm"] == pytest.approx(norm_left, rel=1e-4)
    assert seen["groups"] > 1


def test_negative_max_grad_norm_raises():
    with pytest.raises(ValueError, match=r"max_grad_norm must be positive.*found -1"):
        make_brain(max_grad_norm=-1.0)


def test_gradient_accumulation_raises_and_mentions_micro_batch():
    with pytest.raises(ValueError, match="micro_batch"):
        make_brain(options={"device": "cpu", "grad_accumulation_factor": 4})


def test_unknown_window_raises():
    with pytest.raises(ValueError, match="ccc_window must be one of effective, micro"):
        make_brain(ccc_window="utterance")


def test_inactive_head_gets_no_gradient_and_no_weight_decay():
    brain, step = make_brain(), make_step()
    brain.fit_batch(step)
    before = [p.clone() for p in brain.modules.auxiliary_head.parameters()]
    regression = [p.clone() for p in brain.modules.vad_head.parameters()]
    brain.on_stage_start(Stage.TRAIN, 6)
    assert not brain.auxiliary_active
    brain.fit_batch(step)
    after = list(brain.modules.auxiliary_head.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    moved = zip(regression, brain.modules.vad_head.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in moved)


@pytest.mark.parametrize("name", ["micro", "effective"])
def test_nonfinite_loss_skips_the_step_and_then_stops_the_run(name):
    options = {"device": "cpu", "nonfinite_patience": 1}
    brain, step = make_brain(ccc_window=name, options=options), make_step()
    step[1].signals[0, 0] = math.nan
    before = [p.clone() for p in brain.modules.parameters()]
    brain.fit_batch(step)
    assert all(torch.equal(a, b) for a, b in zip(before, brain.modules.parameters(), strict=True))
    assert brain.optimizer_step == 0
    with pytest.raises(ValueError, match=step[1].ids[0]):
        brain.fit_batch(step)


@pytest.mark.parametrize("limit", ["inf", "5.0"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["micro", "effective"])
def test_nonfinite_gradient_skips_the_step_and_then_stops_the_run(name, precision, limit):
    options = {"device": "cpu", "nonfinite_patience": 1, "precision": precision}
    brain, step = make_brain(ccc_window=name, options=options, max_grad_norm=limit), make_step()
    assert brain.precision == precision
    before = [p.clone() for p in brain.modules.parameters()]
    parameter, factors = next(brain.modules.vad_head.parameters()), [math.inf, 1.0, math.inf]
    # Each micro-batch has a separate backward pass.
    factors = [factor for factor in factors for _ in step]
    parameter.register_hook(lambda gradient: gradient * factors.pop(0))
    assert math.isnan(brain.fit_batch(step))
    same = zip(before, brain.modules.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert all(p.grad is None for p in brain.modules.parameters())
    assert brain.optimizer_step == brain.schedule.last_epoch == 0
    sums = brain.statistics.epoch
    assert sums["left_out"] == sums["nonfinite"] == 1 and not sums["steps"]
    assert math.isfinite(brain.fit_batch(step)) and brain.optimizer_step == 1
    with pytest.raises(ValueError, match=f"gradient was not finite in 2 steps.*{step[1].ids[0]}"):
        brain.fit_batch(step)


def test_losses_are_float32_under_bf16_autocast():
    brain, step = make_brain(precision="bf16"), make_step()
    seen = []
    loss = brain.hparams.regression_loss

    class Spy:
        undefined = staticmethod(loss.undefined)

        def __call__(self, prediction, target, mask):
            seen.append((prediction.dtype, torch.is_autocast_enabled("cpu")))
            return loss(prediction, target, mask)

    brain.hparams.regression_loss = Spy()
    brain.fit_batch(step)
    assert seen == [(torch.float32, False)]


def test_unknown_dimension_is_ignored_in_the_loss():
    brain, step = make_brain(), make_step()
    for batch in step:
        batch.vad[:, 2] = math.nan
    loss = brain.fit_batch(step)
    assert torch.isfinite(loss)
    assert brain.train_metrics(0.0)["undefined_ccc"] == 1


def test_out_of_memory_error_mentions_micro_batch(monkeypatch):
    brain, step = make_brain(), make_step()

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(brain, "forward_train", fail)
    with pytest.raises(MemoryError, match=r"2 utterances of 0\.3 s\. Reduce micro_batch"):
        brain.check_memory(step[0], step[1])


def test_check_memory_does_not_change_the_model():
    brain, step = make_brain(), make_step()
    before = {name: value.clone() for name, value in brain.modules.state_dict().items()}
    brain.check_memory(step[0], step[1])
    assert all(torch.equal(before[n], v) for n, v in brain.modules.state_dict().items())
    assert not gradients(brain)
    assert not brain.optimizer.state


def test_metrics_are_computed_over_the_complete_set():
    """Every batch has another constant offset, so the mean of per-batch CCCs would differ."""
    brain = make_brain()
    brain.hparams.epoch_counter.current = 1
    truth = torch.linspace(-1, 1, 6).unsqueeze(1).repeat(1, 3)
    predicted = truth + torch.tensor([0.3, 0.3, 0.3, -0.3, -0.3, -0.3]).unsqueeze(1)
    brain.predictions = {
        str(i): LabelledOutput(predicted[i], None, truth[i], torch.tensor(0))
        for i in range(len(truth))
    }
    x, y = truth[:, 0].double(), predicted[:, 0].double()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var(unbiased=False) + y.var(unbiased=False) + (x.mean() - y.mean()) ** 2
    assert brain.metrics()["mean_ccc"] == pytest.approx(float(2 * covariance / spread), abs=1e-6)


@pytest.mark.parametrize("option", [{"compile": True}, {"compile_module_keys": ["encoder"]}])
def test_compile_raises_with_the_reason(option):
    with pytest.raises(ValueError, match="--compile is not supported: the encoder depends on"):
        make_brain(options={"device": "cpu", **option})
