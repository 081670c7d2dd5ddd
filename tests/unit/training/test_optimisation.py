"""Random states, gradient clipping, parameter groups and memory."""

import random

import numpy as np
import pytest
import torch

from emosphere_sb.training.optimisation import (
    memory_advice,
    parameter_groups,
    reserve_optimizer_state,
    seed_all,
    step_optimizers,
)

SCALER = torch.amp.GradScaler("cpu", enabled=False)


def draw() -> tuple:
    """Draw a number from each generator."""
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_random_states_depend_only_on_the_key():
    found = []
    for key in ((1, 2), (2, 1), (1, 2)):
        seed_all(*key)
        found.append(draw())
    assert found[0] == found[2]
    assert all(a != b for a, b in zip(found[0], found[1], strict=True))


def make_optimizers(*gradients):
    """Return parameters of 0 and an SGD optimiser with a learning rate of 1 for each."""
    parameters = [torch.nn.Parameter(torch.zeros(())) for _ in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return parameters, [torch.optim.SGD([p], lr=1.0) for p in parameters]


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.0, [-0.6, -0.8]), (10.0, [-3, -4]), (float("inf"), [-3, -4])]
)
def test_norm_is_clipped_over_all_optimizers(limit, expected):
    parameters, optimizers = make_optimizers(3.0, 4.0)  # with a norm of 5
    assert step_optimizers(optimizers, SCALER, limit)
    assert [float(p) for p in parameters] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("limit", [1.0, float("inf")])
def test_nonfinite_gradient_changes_no_parameter(limit):
    parameters, optimizers = make_optimizers(3.0, float("inf"))
    assert not step_optimizers(optimizers, SCALER, limit)
    assert [float(p) for p in parameters] == [0, 0]


def test_parameters_have_the_learning_rates_of_their_groups():
    encoder = torch.nn.Module()
    encoder.backbone, encoder.mix = torch.nn.Linear(1, 1), torch.nn.Linear(2, 1)
    encoder.backbone.bias.requires_grad_(False)
    encoder.states = torch.nn.Module()
    encoder.states.weights = torch.nn.Parameter(torch.zeros(3))
    weighting = torch.nn.Linear(3, 1, bias=False)
    modules = torch.nn.ModuleDict({"encoder": encoder, "weighting": weighting})
    rest, backbone, learned, layers = parameter_groups(
        modules, lr_backbone=0.1, lr_loss_weights=0.2, lr_layer_weights=0.3
    )
    assert rest == {"params": list(encoder.mix.parameters())}
    assert backbone == {"params": [encoder.backbone.weight], "lr": 0.1}
    assert learned == {"params": [weighting.weight], "lr": 0.2, "weight_decay": 0.0}
    assert layers == {"params": [encoder.states.weights], "lr": 0.3, "weight_decay": 0.0}


@pytest.mark.parametrize(("stepped", "expected"), [(False, 2), (True, 0)])
def test_memory_of_both_moments_is_allocated_before_the_first_step(stepped, expected, monkeypatch):
    module = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.AdamW(module.parameters())
    if stepped:
        module(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    taken, empty_like = [], torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda p: taken.append(p) or empty_like(p))
    with reserve_optimizer_state(module, optimizer):
        assert len(taken) == expected


def test_other_errors_are_not_converted():
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), memory_advice([], "micro_batch"):
        raise RuntimeError("shapes differ")
