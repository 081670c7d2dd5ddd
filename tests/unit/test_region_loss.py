"""Region loss with hard and soft targets, weights and unknown labels; class weights."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from emosphere_sb.losses import inverse_frequency, region_loss
from emosphere_sb.sphere.regions import SphericalRegions

NAN = math.nan


@pytest.fixture
def scores():
    """Float64 logits and labels of 40 utterances in 8 regions, one of them empty."""
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(40, 8, dtype=torch.float64, generator=generator)
    return logits, torch.randint(0, 7, (40,), generator=generator)


@pytest.mark.parametrize("weighted", [True, False])
def test_hard_region_loss_matches_cross_entropy(scores, weighted):
    logits, labels = scores
    weights = torch.linspace(0.2, 3, 8, dtype=torch.float64) if weighted else None
    expected = cross_entropy(logits, labels, weight=weights)
    assert region_loss(logits, labels, weights).item() == pytest.approx(expected.item(), abs=1e-12)


def test_one_hot_targets_equal_hard_labels(scores):
    logits, labels = scores
    weights = torch.linspace(0.2, 3, 8)
    one_hot = torch.nn.functional.one_hot(labels, 8)
    found = region_loss(logits, labels, weights, targets=one_hot)
    assert found.item() == pytest.approx(region_loss(logits, labels, weights).item(), abs=1e-12)


def test_region_gradient_matches_cross_entropy(scores):
    logits, labels = scores[0].requires_grad_(), scores[1]
    weights = torch.linspace(0.2, 3, 8, dtype=torch.float64)
    (expected,) = torch.autograd.grad(cross_entropy(logits, labels, weight=weights), logits)
    (found,) = torch.autograd.grad(region_loss(logits, labels, weights), logits)
    assert torch.allclose(found, expected, atol=1e-14, rtol=0)


def test_soft_region_loss_by_hand():
    # p = (3/4, 1/4); weights 1 and 2; q = (.6, .4): (.6 log(4/3) + .8 log 4) / 1.4
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    targets = torch.tensor([[0.6, 0.4]], dtype=torch.float64)
    expected = (0.6 * math.log(4 / 3) + 0.8 * math.log(4)) / 1.4
    found = region_loss(logits, torch.tensor([0]), torch.tensor([1.0, 2.0]), targets=targets)
    assert found.item() == pytest.approx(expected, abs=1e-15)


def test_soft_loss_with_high_concentration_equals_hard_loss(scores):
    logits, regions = scores[0], SphericalRegions(90)
    vad = torch.from_numpy(np.random.default_rng(5).uniform(0.05, 1, (40, 3)))
    vad *= torch.from_numpy(np.random.default_rng(6).choice([-1.0, 1.0], (40, 3)))
    labels = regions.assign(vad)
    weights = inverse_frequency(labels.bincount(minlength=8))
    soft = region_loss(logits, labels, weights, targets=regions.soft_targets(vad, 1e4))
    hard = cross_entropy(logits, labels, weight=weights.double())
    assert soft.item() == pytest.approx(hard.item(), abs=1e-5)


def test_soft_loss_at_zero_radius_is_the_mean_over_the_sphere(scores):
    logits, regions = scores[0], SphericalRegions(90)
    targets = regions.soft_targets(torch.full((40, 3), 1e-8, dtype=torch.float64), 10.0)
    found = region_loss(logits, torch.zeros(40, dtype=torch.int64), targets=targets)
    expected = -logits.log_softmax(dim=-1).mean()
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def test_adjacent_octant_costs_less_than_the_opposite_one():
    regions = SphericalRegions(90)
    vad = torch.tensor([[0.5, 0.5, 0.5]])
    targets, labels = regions.soft_targets(vad, 2.0), regions.assign(vad)
    near, opposite = (6 * torch.eye(8)[[k]] for k in (1, 6))  # II and VII, relative to I
    assert region_loss(near, labels, targets=targets) < region_loss(
        opposite, labels, targets=targets
    )


@pytest.mark.parametrize("soft", [True, False])
def test_unknown_labels_are_ignored(scores, soft):
    logits, labels = scores
    labels = labels.clone()
    labels[::3] = -1
    targets = torch.rand(40, 8, dtype=torch.float64) if soft else None
    known = labels >= 0
    found = region_loss(logits, labels, targets=targets)
    expected = region_loss(logits[known], labels[known], targets=targets[known] if soft else None)
    assert found.item() == pytest.approx(expected.item(), abs=1e-12)


def test_nan_of_an_unknown_row_does_not_reach_the_gradient():
    logits = torch.zeros(2, 4, requires_grad=True)
    targets = torch.tensor([[NAN] * 4, [0.25] * 4])
    region_loss(logits + torch.tensor([[NAN], [0.0]]), torch.tensor([-1, 2])).backward()
    region_loss(logits, torch.tensor([-1, 2]), targets=targets).backward()
    assert logits.grad.isfinite().all() and (logits.grad[0] == 0).all()


@pytest.mark.parametrize(
    "labels, weights", [([-1, -1], None), ([0, 0], [0.0, 1.0, 1.0]), ([-1, 0], [0.0, 1.0, 1.0])]
)
def test_loss_without_known_labels_is_zero_with_a_graph(labels, weights):
    logits = torch.randn(2, 3, requires_grad=True)
    weights = None if weights is None else torch.tensor(weights)
    found = region_loss(logits, torch.tensor(labels), weights)
    found.backward()
    assert found.item() == 0.0
    assert (logits.grad == 0).all()


def test_label_beyond_the_classes_raises():
    with pytest.raises(RuntimeError, match="out of bounds"):
        region_loss(torch.zeros(1, 3), torch.tensor([3]))


@pytest.mark.parametrize(
    "labels, weights, targets, message",
    [
        ((3,), None, None, "labels \\(batch,\\)"),
        ((2,), (4,), None, "class_weights must have one entry for each of the 3 classes"),
        ((2,), None, (2, 4), "targets must have the shape of logits, \\(2, 3\\)"),
    ],
)
def test_mismatching_region_shapes_raise(labels, weights, targets, message):
    weights = None if weights is None else torch.ones(weights)
    targets = None if targets is None else torch.ones(targets)
    with pytest.raises(ValueError, match=message):
        region_loss(
            torch.zeros(2, 3), torch.zeros(labels, dtype=torch.int64), weights, targets=targets
        )


# --- class weights --------------------------------------------------------------------------------


def test_inverse_frequency_as_published():
    # N / (K n): 8 / (4 · 1), 8 / (4 · 3), 0 for the empty class, 8 / (4 · 4)
    found = inverse_frequency(torch.tensor([1, 3, 0, 4]))
    assert found.tolist() == pytest.approx([2.0, 2 / 3, 0.0, 0.5])
    assert found.dtype == torch.float32


def test_balanced_classes_have_weight_one():
    assert inverse_frequency([5, 5, 5]).tolist() == [1.0, 1.0, 1.0]


def test_empty_training_set_gives_zero_weights():
    assert inverse_frequency([0, 0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("counts", [[1, -1], [1.0, NAN]])
def test_invalid_counts_raise(counts):
    with pytest.raises(ValueError, match="Class counts must be finite and at least 0"):
        inverse_frequency(counts)
