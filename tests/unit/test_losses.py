"""CCC and MSE losses: independent formulas, masks, undefined values, and precision."""

import math

import audmetric
import pytest
import torch
from torch.autograd import gradcheck

from emosphere_sb.losses import VADLoss, ccc_loss, mse_loss, region_loss

NAN = math.nan


@pytest.fixture
def window():
    """Float64 predictions and targets of 24 utterances, with different scales by dimension."""
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(24, 3, dtype=torch.float64, generator=generator) * 2 - 1
    noise = torch.randn(24, 3, dtype=torch.float64, generator=generator)
    scale = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    return target * scale + 0.3 * noise + 0.1, target


# --- CCC ------------------------------------------------------------------------------------------


def test_ccc_by_hand():
    # variances 2/3, covariance 2/3, shift 1: ccc = (4/3) / (4/3 + 1) = 4/7
    target = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    assert ccc_loss(target + 1, target).item() == pytest.approx(3 / 7, abs=1e-15)


def test_ccc_matches_audmetric(window):
    prediction, target = window
    expected = sum(
        1 - audmetric.concordance_cc(target[:, i].numpy(), prediction[:, i].numpy())
        for i in range(3)
    )
    assert ccc_loss(prediction, target).item() == pytest.approx(expected, abs=1e-12)


def test_ccc_of_opposites_is_two():
    target = torch.tensor([[-1.0], [0.0], [1.0]])
    assert ccc_loss(-target, target).item() == pytest.approx(2.0)


def test_ccc_weights_scale_the_dimensions(window):
    prediction, target = window
    parts = [ccc_loss(prediction[:, i : i + 1], target[:, i : i + 1]).item() for i in range(3)]
    found = ccc_loss(prediction, target, weights=[0.5, 0.0, 2.0]).item()
    assert found == pytest.approx(0.5 * parts[0] + 2.0 * parts[2])


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
def test_mask_equals_removing_rows(window, loss):
    prediction, target = window
    mask = torch.ones_like(target, dtype=torch.bool)
    mask[:7, 1] = False
    mask[5:9, 2] = False
    expected = sum(
        loss(prediction[mask[:, i], i : i + 1], target[mask[:, i], i : i + 1]) for i in range(3)
    )
    assert loss(prediction, target, mask).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
def test_masked_nan_does_not_reach_the_gradient(window, loss):
    prediction, target = window[0].requires_grad_(), window[1]
    target[0, 0] = target[3, 2] = NAN
    loss(prediction, target, ~target.isnan()).backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[0, 0] == 0 and prediction.grad[3, 2] == 0
    assert (prediction.grad == 0).sum() == 2


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
def test_unmasked_nan_gives_nan(window, loss):
    prediction, target = window
    prediction[0, 0] = NAN
    assert loss(prediction, target).isnan()


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
@pytest.mark.parametrize("known", [0, 1])
def test_fewer_than_two_known_values_give_zero_gradient(window, loss, known):
    prediction, target = window[0].requires_grad_(), window[1]
    mask = torch.ones_like(target, dtype=torch.bool)
    mask[known:, 1] = False
    found = loss(prediction, target, mask)
    found.backward()
    others = loss(prediction[:, [0, 2]], target[:, [0, 2]])
    assert found.item() == pytest.approx(others.item())
    assert (prediction.grad[:, 1] == 0).all() and (prediction.grad[:, 0] != 0).all()


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
def test_loss_of_one_utterance_has_a_graph(loss):
    prediction = torch.rand(1, 3, requires_grad=True)
    loss(prediction, torch.rand(1, 3)).backward()
    assert prediction.grad.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("constant", [0.0, 0.1, -0.7])
@pytest.mark.parametrize("difference", [0.0, 6e-8])
def test_constant_and_equal_gives_zero_loss(constant, difference):
    # the mean of seven 0.1 in float32 is not 0.1, and a prediction may differ from its target by
    # a rounding error: without a tolerance, the gradient would be around 1e8
    target = torch.full((7, 1), constant)
    prediction = (target * (1 + difference)).requires_grad_()
    found = ccc_loss(prediction, target)
    found.backward()
    assert found.item() == 0.0
    assert (prediction.grad == 0).all()


def test_constant_prediction_of_varying_targets_has_a_gradient():
    prediction = torch.full((4, 1), 0.1, requires_grad=True)
    found = ccc_loss(prediction, torch.tensor([[0.0], [0.2], [0.4], [0.6]]))
    found.backward()
    assert found.item() == pytest.approx(1.0)
    assert prediction.grad.isfinite().all() and (prediction.grad != 0).any()


def test_small_variance_is_not_treated_as_constant():
    target = torch.tensor([[0.5], [0.5001], [0.5002]])
    assert ccc_loss(target - 1e-4, target).item() == pytest.approx(3 / 7, abs=1e-2)


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
def test_gradient_matches_finite_differences(window, loss):
    prediction, target = window[0][:6].requires_grad_(), window[1][:6]
    mask = torch.ones_like(target, dtype=torch.bool)
    mask[0, 0] = False
    assert gradcheck(lambda x: loss(x, target, mask, weights=[1.0, 0.5, 2.0]), prediction)


def test_gradient_is_invariant_to_an_affine_map(window):
    # the head predicts y in [0, 1] and the loss uses 2 y - 1: the gradient is the published one
    prediction, target = window[0].requires_grad_(), window[1]
    (expected,) = torch.autograd.grad(ccc_loss(prediction, target), prediction)
    (found,) = torch.autograd.grad(ccc_loss(2 * prediction - 1, 2 * target - 1), prediction)
    assert torch.allclose(found, expected, atol=1e-15)


@pytest.mark.parametrize("loss", [ccc_loss, mse_loss])
@pytest.mark.parametrize("shapes", [[(4, 3), (4, 2)], [(4, 3), (4, 3), (4, 1)], [(4,), (4,)]])
def test_wrong_shapes_raise(loss, shapes):
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(*[torch.ones(shape) for shape in shapes])


def test_wrong_number_of_weights_raises():
    with pytest.raises(ValueError, match="each of the 3 dimensions; found shape \\(2,\\)"):
        ccc_loss(torch.rand(4, 3), torch.rand(4, 3), weights=[1.0, 1.0])


# --- precision ------------------------------------------------------------------------------------


def losses_of(prediction, logits):
    target = torch.linspace(-1, 1, 12).view(4, 3)
    return (
        ccc_loss(prediction, target),
        mse_loss(prediction, target),
        region_loss(logits, torch.tensor([0, 1, 2, 1]), torch.tensor([1.0, 2.0, 0.5])),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    prediction = torch.linspace(-0.9, 0.7, 12).view(4, 3).to(dtype).requires_grad_()
    logits = torch.linspace(-2, 3, 12).view(4, 3).to(dtype).requires_grad_()
    found = losses_of(prediction, logits)
    expected = losses_of(prediction.float(), logits.float())
    assert [x.dtype for x in found] == [torch.float32] * 3
    assert [x.item() for x in found] == [x.item() for x in expected]
    sum(found).backward()
    assert prediction.grad.isfinite().all() and logits.grad.isfinite().all()


def test_autocast_has_no_effect():
    prediction, logits = torch.linspace(-0.9, 0.7, 12).view(4, 3), torch.randn(4, 3)
    expected = losses_of(prediction, logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(torch.stack(losses_of(prediction, logits)), torch.stack(expected))


def test_float64_is_preserved(window):
    assert ccc_loss(*window).dtype == mse_loss(*window).dtype == torch.float64
    labels = torch.zeros(24, dtype=torch.int64)
    assert region_loss(window[0], labels, torch.ones(3)).dtype == torch.float64


# --- MSE and the joint objective ------------------------------------------------------------------


def test_mse_by_hand():
    prediction = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    # (1 + 4) / 2 and (0 + 9) / 2
    assert mse_loss(prediction, torch.zeros(2, 2)).item() == 7.0
    assert mse_loss(prediction, torch.zeros(2, 2), weights=[1.0, 2.0]).item() == 11.5


def test_regression_loss_is_ccc_by_default(window):
    assert VADLoss()(*window) == ccc_loss(*window)


def test_regression_loss_adds_weighted_mse(window):
    mask = torch.ones(24, 3, dtype=torch.bool)
    mask[0, 0] = False
    weights = (1.0, 0.5, 2.0)
    expected = ccc_loss(*window, mask, weights=weights) + 0.3 * mse_loss(
        *window, mask, weights=weights
    )
    assert VADLoss(weights, 0.3)(*window, mask).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("known, undefined", [((0, 0, 0), 3), ((1, 2, 3), 1), ((2, 2, 2), 0)])
def test_undefined_dimensions_are_counted(known, undefined):
    mask = torch.arange(3).unsqueeze(1) < torch.tensor(known)
    assert VADLoss().undefined(mask) == undefined


@pytest.mark.parametrize("arguments", [([1.0, -1.0, 1.0],), ([1.0] * 3, -0.1), ([1.0] * 3, NAN)])
def test_negative_weights_raise(arguments):
    with pytest.raises(ValueError, match="must be at least 0"):
        VADLoss(*arguments)
