"""Dropout from 16 random bits per element: rate, scale, gradient and reproducibility."""

import pytest
import torch
from torch import nn

from emosphere_sb.backbones.dropout import FastDropout, GeluDropout, _Drop, keep_mask, patch_dropout


@pytest.mark.parametrize("dropout", [0.05, 0.1, 0.5, 0.9])
def test_mask_has_the_requested_rate(dropout):
    torch.manual_seed(1)
    mask = ~keep_mask((1000, 1001), dropout)
    assert mask.shape == (1000, 1001) and mask.dtype == torch.bool
    deviation = (dropout * (1 - dropout) / mask.numel()) ** 0.5
    assert mask.float().mean().item() == pytest.approx(dropout, abs=5 * deviation + 2**-17)
    # Neighbours come from one random number, but must be independent.
    pairs = mask.flatten()[: mask.numel() // 4 * 4].view(-1, 4).float()
    assert torch.corrcoef(pairs.t()).fill_diagonal_(0).abs().max() < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (5, 7)])
def test_mask_has_any_shape(shape):
    assert keep_mask(shape, 0.5).shape == shape


def test_forward_and_backward_use_the_same_mask():
    layer = FastDropout(0.25).train()
    values = torch.full((4000,), 3.0, requires_grad=True)
    output = layer(values)
    assert {round(x, 4) for x in output.unique().tolist()} == {0.0, 4.0}
    output.sum().backward()
    torch.testing.assert_close(values.grad, output.detach() / 3.0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 6), (2, 3, 2**16)])
def test_output_equals_scaled_values_or_zero(kind, shape):
    torch.manual_seed(3)
    values = torch.randn(shape).to(kind).transpose(0, 1)  # not contiguous
    torch.manual_seed(4)
    keep = keep_mask(values.shape, 0.3)
    torch.manual_seed(4)
    expected = torch.where(keep, values * (1 / 0.7), torch.zeros((), dtype=kind))
    assert torch.equal(_Drop.apply(values, 0.3), expected)
    torch.manual_seed(4)
    expected = torch.where(keep, nn.functional.gelu(values) * (1 / 0.7), expected * 0)
    assert torch.equal(GeluDropout(0.3)(values), expected)


def test_same_seed_gives_same_mask():
    layer = FastDropout(0.5)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(layer(torch.ones(100)))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("layer", [FastDropout(0.5).eval(), FastDropout(0.0)])
def test_no_dropout_in_evaluation_or_at_rate_zero(layer):
    values = torch.ones(50)
    assert layer(values) is values


def test_patch_dropout_changes_only_the_class_of_layers():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Dropout1d(0.2))
    patch_dropout(model)
    assert [type(part) for part in model] == [nn.Linear, FastDropout, nn.Dropout1d]
    assert model[1].p == 0.3


def test_fused_gelu_dropout_equals_gelu_then_dropout():
    torch.manual_seed(5)
    values = torch.randn(3, 7, 11, dtype=torch.float64)
    gradient = torch.randn_like(values)
    found, module = [], GeluDropout(0.3)
    for both in (module, lambda v: _Drop.apply(torch.nn.functional.gelu(v), 0.3)):
        torch.manual_seed(6)  # the same mask
        inputs = values.clone().requires_grad_()
        output = both(inputs)
        output.backward(gradient)
        found.append((output.detach(), inputs.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-14, atol=0)
    assert 0 < int((found[0][0] == 0).sum()) < values.numel()
    module.eval()
    assert torch.equal(module(values), torch.nn.functional.gelu(values))


def test_patch_dropout_fuses_feed_forward_layers_and_keeps_weights():
    from transformers import HubertConfig
    from transformers.models.hubert.modeling_hubert import HubertFeedForward

    options = {"hidden_size": 8, "intermediate_size": 12, "hidden_dropout": 0.0}
    exact = HubertFeedForward(HubertConfig(**options, activation_dropout=0.4))
    names, values = [*exact.state_dict()], torch.randn(2, 8)
    expected = exact.eval()(values)
    patch_dropout(exact)
    assert isinstance(exact.intermediate_act_fn, GeluDropout)
    assert exact.intermediate_act_fn.p == 0.4
    assert [*exact.state_dict()] == names
    torch.testing.assert_close(exact(values), expected)
    other = HubertFeedForward(HubertConfig(**options, hidden_act="relu"))
    patch_dropout(other)
    assert type(other.intermediate_act_fn) is not GeluDropout
