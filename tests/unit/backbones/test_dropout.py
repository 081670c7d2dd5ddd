"""Dropout from 16 random bits an element: its rate, its scale, its gradient, its seed."""

import pytest
import torch
from torch import nn

from emosphere_sb.backbones.dropout import FastDropout, drop_mask, make_fast


@pytest.mark.parametrize("dropout", [0.05, 0.1, 0.5, 0.9])
def test_rate_of_the_mask(dropout):
    torch.manual_seed(1)
    mask = drop_mask((1000, 1001), dropout)
    assert mask.shape == (1000, 1001) and mask.dtype == torch.bool
    deviation = (dropout * (1 - dropout) / mask.numel()) ** 0.5
    assert mask.float().mean().item() == pytest.approx(dropout, abs=5 * deviation + 2**-17)
    # Neighbours come from one number: they must not know of each other.
    pairs = mask.flatten()[: mask.numel() // 4 * 4].view(-1, 4).float()
    assert torch.corrcoef(pairs.t()).fill_diagonal_(0).abs().max() < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (5, 7)])
def test_any_shape(shape):
    assert drop_mask(shape, 0.5).shape == shape


def test_values_and_gradient_share_one_mask():
    layer = FastDropout(0.25).train()
    values = torch.full((4000,), 3.0, requires_grad=True)
    output = layer(values)
    assert {round(x, 4) for x in output.unique().tolist()} == {0.0, 4.0}
    output.sum().backward()
    torch.testing.assert_close(values.grad, output.detach() / 3.0)


def test_the_seed_decides():
    layer = FastDropout(0.5)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(layer(torch.ones(100)))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("layer", [FastDropout(0.5).eval(), FastDropout(0.0)])
def test_nothing_is_dropped(layer):
    values = torch.ones(50)
    assert layer(values) is values


def test_dropout_layers_of_a_model_change_their_class_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Dropout1d(0.2))
    make_fast(model)
    assert [type(part) for part in model] == [nn.Linear, FastDropout, nn.Dropout1d]
    assert model[1].p == 0.3
