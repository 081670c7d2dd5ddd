"""Loss weighting: schedules by epoch, inactive tasks and state."""

import copy
import math

import pytest
import torch

from emosphere_sb.lobes.weighting import (
    AuxiliaryWeighting,
    ConstantWeight,
    LinearDecay,
    UncertaintyWeighting,
)

PUBLISHED = [1.0, 0.802, 0.604, 0.406, 0.208]
MAIN, AUXILIARY = torch.tensor(2.0), torch.tensor(3.0)
ALL = [LinearDecay, ConstantWeight, UncertaintyWeighting]


def weights(weighting, epochs):
    found = []
    for epoch in range(1, epochs + 1):
        weighting.set_epoch(epoch)
        found.append(weighting.weight)
    return found


def test_published_schedule():
    assert weights(LinearDecay(), 8) == pytest.approx([*PUBLISHED, 0.0, 0.0, 0.0])


def test_keep_stays_at_the_floor():
    assert weights(LinearDecay(1.0, 0.01, 5, "keep"), 7) == pytest.approx([*PUBLISHED, 0.01, 0.01])


def test_schedule_with_other_arguments():
    # 2, 2 - 1.5/3, 2 - 3/3
    assert weights(LinearDecay(2.0, 0.5, 3), 4) == pytest.approx([2.0, 1.5, 1.0, 0.0])


def test_initial_epoch_is_one():
    assert LinearDecay().weight == 1.0


@pytest.mark.parametrize("epoch, active", [(1, True), (5, True), (6, False), (20, False)])
def test_inactive_after_the_last_epoch(epoch, active):
    weighting = LinearDecay()
    weighting.set_epoch(epoch)
    assert weighting.active is active


def test_keep_stays_active_after_the_last_epoch():
    weighting = LinearDecay(afterwards="keep")
    weighting.set_epoch(20)
    assert weighting.active


def test_total_is_the_weighted_sum():
    weighting = LinearDecay()
    weighting.set_epoch(2)
    assert weighting(MAIN, AUXILIARY).item() == pytest.approx(2 + 0.802 * 3)


def test_inactive_task_gets_no_gradient():
    weighting = LinearDecay()
    weighting.set_epoch(6)
    main, auxiliary = MAIN.clone().requires_grad_(), AUXILIARY.clone().requires_grad_()
    weighting(main, auxiliary).backward()
    assert (main.grad.item(), auxiliary.grad) == (1.0, None)


def test_inactive_loss_may_be_nan_or_none():
    weighting = ConstantWeight(0.0)
    assert weighting(MAIN, None) is MAIN
    assert weighting(MAIN, torch.tensor(math.nan)) is MAIN


@pytest.mark.parametrize("make", ALL)
def test_missing_loss_of_an_active_task_raises(make):
    with pytest.raises(ValueError, match=f"{make.__name__} is active in epoch 1"):
        make()(MAIN, None)


def test_constant_weight_is_constant():
    assert weights(ConstantWeight(0.3), 10) == [0.3] * 10
    assert ConstantWeight(0.3)(MAIN, AUXILIARY).item() == pytest.approx(2.9)


@pytest.mark.parametrize("make", ALL)
def test_epoch_is_part_of_the_state(make, tmp_path):
    saved, fresh = make(), make()
    saved.set_epoch(4)
    torch.save(saved.state_dict(), tmp_path / "weighting.ckpt")
    fresh.load_state_dict(torch.load(tmp_path / "weighting.ckpt"))
    assert int(fresh.epoch) == 4
    assert fresh.weight == saved.weight


def test_loaded_schedule_continues_at_its_epoch():
    saved, fresh = LinearDecay(), torch.nn.ModuleDict({"weighting": LinearDecay()})
    saved.set_epoch(6)
    fresh.load_state_dict({f"weighting.{key}": value for key, value in saved.state_dict().items()})
    assert not fresh["weighting"].active


def test_copies_do_not_share_their_epoch():
    first = LinearDecay()
    second = copy.deepcopy(first)
    second.load_state_dict({"epoch": torch.tensor(5)})
    assert (first.weight, second.weight) == pytest.approx((1.0, 0.208))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("epoch", [0, -1])
def test_epoch_below_one_raises(make, epoch):
    with pytest.raises(ValueError, match=f"epoch must be at least 1; found {epoch}"):
        make().set_epoch(epoch)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0.1, 0.5), "0 <= floor <= start; found start=0.1, floor=0.5"),
        ((1.0, -0.1), "0 <= floor <= start"),
        ((1.0, 0.01, 0), "epochs must be at least 1; found 0"),
        ((1.0, 0.01, 5, "stop"), "one of drop, keep; found 'stop'"),
    ],
)
def test_invalid_decay_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinearDecay(*arguments)


@pytest.mark.parametrize("weight", [-1.0, math.nan])
def test_negative_weight_raises(weight):
    with pytest.raises(ValueError, match="must be at least 0"):
        ConstantWeight(weight)


def test_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        AuxiliaryWeighting()(MAIN, AUXILIARY)


def test_uncertainty_initially_equals_the_sum():
    assert UncertaintyWeighting()(MAIN, AUXILIARY).item() == pytest.approx(5.0)


def test_uncertainty_by_hand():
    weighting = UncertaintyWeighting()
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor([math.log(4.0), math.log(0.5)]))
    # 2 / 4 + log 4 + 3 / 0.5 + log 0.5
    assert weighting(MAIN, AUXILIARY).item() == pytest.approx(6.5 + math.log(2.0))
    assert weighting.weight == pytest.approx(2.0)


def test_uncertainty_is_twice_the_objective_of_two_regression_tasks():
    # Kendall et al. (2018), equation 7: L1 / (2 sigma1^2) + L2 / (2 sigma2^2) + log(sigma1 sigma2)
    first, second = 1.7, 0.6
    objective = 2.0 / (2 * first**2) + 3.0 / (2 * second**2) + math.log(first * second)
    weighting = UncertaintyWeighting()
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor([2 * math.log(first), 2 * math.log(second)]))
    assert weighting(MAIN, AUXILIARY).item() == pytest.approx(2 * objective)
    assert "twice equation 7 of Kendall" in UncertaintyWeighting.__doc__


def test_uncertainty_converges_to_inverse_losses():
    # d/ds (exp(-s) L + s) = 1 - L exp(-s), which is 0 where exp(s) = L
    weighting = UncertaintyWeighting()
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor([math.log(2.0), math.log(6.0)]))
    weighting(MAIN, AUXILIARY).backward()
    assert weighting.log_variances.grad.tolist() == pytest.approx([0.0, 0.5], abs=1e-6)


def test_uncertainty_is_always_active():
    weighting = UncertaintyWeighting()
    weighting.set_epoch(100)
    assert weighting.active


@pytest.mark.parametrize("epoch, active", [(1, True), (4, True), (5, False), (6, False)])
def test_next_epoch_is_known_in_advance(epoch, active):
    weighting = LinearDecay()
    weighting.set_epoch(epoch)
    assert weighting.active_next == active
    assert int(weighting.epoch) == epoch and weighting.active == (epoch <= 5)
    assert ConstantWeight(0.5).active_next and not ConstantWeight(0).active_next
