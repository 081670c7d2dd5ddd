"""Weights in checkpoints: trained weights only, the matching frozen backbone, and averaging."""

import pytest
import torch
from torch import nn

from emosphere_sb.training.trained_weights import (
    TrainedWeights,
    average_weights,
    averaged_epochs,
    digest_of_tensors,
)


def make_modules(frozen=("first",), seed=0) -> nn.ModuleDict:
    """Return a head and an encoder whose backbone has two layers and a norm with buffers."""
    torch.manual_seed(seed)
    encoder = nn.Module()
    encoder.backbone = nn.ModuleDict(
        {"first": nn.Linear(2, 2), "second": nn.Linear(2, 2), "norm": nn.BatchNorm1d(2)}
    )
    for name in frozen:
        encoder.backbone[name].requires_grad_(False)
    return nn.ModuleDict({"encoder": encoder, "head": nn.Linear(2, 1)})


def change(modules) -> None:
    """Change trained weights and the norm's running statistics, as a training step does."""
    for parameter in modules.parameters():
        if parameter.requires_grad:
            parameter.data += 1
    modules.encoder.backbone["norm"].running_mean += 3


def same(one, other) -> bool:
    return all(torch.equal(one.state_dict()[n], v) for n, v in other.state_dict().items())


def test_frozen_weights_are_not_saved():
    state = TrainedWeights(make_modules(), "some/backbone").state_dict()
    names = {name for name in state["weights"] if name.startswith("encoder.backbone.")}
    assert {name.split(".")[2] for name in names} == {"second", "norm"}
    assert "encoder.backbone.norm.running_mean" in names
    assert state["foundation"]["backbone"] == "some/backbone"
    assert len(state["foundation"]["sha256"]) == 64


def test_weights_are_loaded_onto_the_same_backbone():
    trained, fresh = make_modules(), make_modules()
    weights = TrainedWeights(trained, "a")
    change(trained)
    TrainedWeights(fresh, "a").load_state_dict(weights.state_dict())
    assert same(fresh, trained)


def test_different_frozen_backbone_raises_with_both_names():
    weights = TrainedWeights(make_modules(seed=1), "old")
    with pytest.raises(ValueError, match=r"frozen weights of old \(SHA-256 .* those of new"):
        TrainedWeights(make_modules(seed=2), "new").load_state_dict(weights.state_dict())


def test_fully_trained_backbone_accepts_any_backbone():
    weights = TrainedWeights(make_modules(frozen=(), seed=1), "a")
    fresh = make_modules(frozen=(), seed=2)
    TrainedWeights(fresh, "a").load_state_dict(weights.state_dict())
    assert same(fresh, weights.modules)


def test_temporarily_frozen_weights_are_saved():
    modules = make_modules()
    weights = TrainedWeights(modules, "a")
    modules.encoder.backbone["second"].requires_grad_(False)
    assert "encoder.backbone.second.weight" in weights.state_dict()["weights"]


def test_weights_of_another_model_raise():
    state = TrainedWeights(make_modules(), "a").state_dict()
    state["weights"]["tail.weight"] = state["weights"].pop("head.weight")
    with pytest.raises(ValueError, match=r"Missing .*head.weight.*; unexpected .*tail.weight"):
        TrainedWeights(make_modules(), "a").load_state_dict(state)


@pytest.mark.parametrize(
    ("test_weights", "count", "expected"),
    [("best", 0, 0), ("last", 0, 1), ("average", 3, 3), ("best", 3, 3), ("last", 3, 3)],
)
def test_number_of_averaged_epochs(test_weights, count, expected):
    """A number of epochs to average replaces the other choices."""
    assert averaged_epochs(test_weights, count) == expected


def test_fault_average_of_no_epochs():
    with pytest.raises(ValueError, match="Add --average_checkpoints=5"):
        averaged_epochs("average", 0)


def test_fault_unknown_choice_of_tested_weights():
    with pytest.raises(ValueError, match="must be one of best, last, average; found 'newest'"):
        averaged_epochs("newest", 0)


def test_average_covers_trained_weights_only():
    def state(a, count):
        return {"weights": {"a": torch.tensor([a, 1.0]), "n": torch.tensor(count)}, "foundation": 0}

    found = average_weights([state(1.0, 9), state(2.0, 5), state(6.0, 1)], {"a"})
    assert found["weights"]["a"].tolist() == [3.0, 1.0]
    assert found["weights"]["a"].dtype == torch.float32
    assert (int(found["weights"]["n"]), found["foundation"]) == (9, 0)


def test_average_is_computed_in_float64():
    """In float32, the small value would be lost when added to the large ones."""
    states = [{"weights": {"a": torch.tensor([value])}} for value in (1e8, 1.5, -1e8)]
    assert float(average_weights(states, {"a"})["weights"]["a"]) == 0.5


def test_average_of_one_state_is_itself():
    state = {"weights": {"a": torch.tensor([0.1])}}
    assert torch.equal(average_weights([state], {"a"})["weights"]["a"], state["weights"]["a"])


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.tensor([1.0, 2.5])},
        {"b": torch.tensor([1.0, 2.0])},
        {"a": torch.tensor([[1.0, 2.0]])},
        {"a": torch.tensor([1.0, 2.0]).view(torch.int32)},
        {"a": torch.tensor([1.0, 2.0]), "c": torch.zeros(0)},
    ],
)
def test_digest_depends_on_values_names_shapes_and_dtypes(other):
    one = {"a": torch.tensor([1.0, 2.0])}
    assert digest_of_tensors(one) == digest_of_tensors({"a": torch.tensor([1.0, 2.0])})
    assert digest_of_tensors(one) != digest_of_tensors(other)


def test_digest_supports_half_precision():
    assert digest_of_tensors({"a": torch.ones(3, dtype=torch.bfloat16)})
