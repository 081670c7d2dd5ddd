"""Weights in a checkpoint: only what is trained, on what it was trained on, and their mean."""

import pytest
import torch
from torch import nn

from emosphere_sb.training.trained_weights import TrainedWeights, average_weights, digest_of_tensors


def make_modules(frozen=("first",), seed=0) -> nn.ModuleDict:
    """An encoder whose backbone has two layers and a norm with buffers, and a head."""
    torch.manual_seed(seed)
    encoder = nn.Module()
    encoder.backbone = nn.ModuleDict(
        {"first": nn.Linear(2, 2), "second": nn.Linear(2, 2), "norm": nn.BatchNorm1d(2)}
    )
    for name in frozen:
        encoder.backbone[name].requires_grad_(False)
    return nn.ModuleDict({"encoder": encoder, "head": nn.Linear(2, 1)})


def change(modules) -> None:
    """As a step of training does: what is trained, and the norm's running figures."""
    for parameter in modules.parameters():
        if parameter.requires_grad:
            parameter.data += 1
    modules.encoder.backbone["norm"].running_mean += 3


def same(one, other) -> bool:
    return all(torch.equal(one.state_dict()[n], v) for n, v in other.state_dict().items())


def test_frozen_weights_of_the_backbone_are_not_written():
    state = TrainedWeights(make_modules(), "some/backbone").state_dict()
    names = {name for name in state["weights"] if name.startswith("encoder.backbone.")}
    assert {name.split(".")[2] for name in names} == {"second", "norm"}
    assert "encoder.backbone.norm.running_mean" in names
    assert state["foundation"]["backbone"] == "some/backbone"
    assert len(state["foundation"]["sha256"]) == 64


def test_weights_go_back_onto_the_same_backbone():
    trained, fresh = make_modules(), make_modules()
    weights = TrainedWeights(trained, "a")
    change(trained)
    TrainedWeights(fresh, "a").load_state_dict(weights.state_dict())
    assert same(fresh, trained)


def test_another_backbone_below_is_refused_with_both_names():
    weights = TrainedWeights(make_modules(seed=1), "old")
    with pytest.raises(ValueError, match=r"frozen weights of old \(SHA-256 .* those of new"):
        TrainedWeights(make_modules(seed=2), "new").load_state_dict(weights.state_dict())


def test_backbone_that_is_wholly_trained_needs_no_other():
    weights = TrainedWeights(make_modules(frozen=(), seed=1), "a")
    fresh = make_modules(frozen=(), seed=2)
    TrainedWeights(fresh, "a").load_state_dict(weights.state_dict())
    assert same(fresh, weights.modules)


def test_what_is_frozen_for_an_epoch_only_is_written():
    modules = make_modules()
    weights = TrainedWeights(modules, "a")
    modules.encoder.backbone["second"].requires_grad_(False)
    assert "encoder.backbone.second.weight" in weights.state_dict()["weights"]


def test_weights_of_another_model_are_refused():
    state = TrainedWeights(make_modules(), "a").state_dict()
    state["weights"]["tail.weight"] = state["weights"].pop("head.weight")
    with pytest.raises(ValueError, match=r"lacks \['head.weight'\] and has \['tail.weight'\]"):
        TrainedWeights(make_modules(), "a").load_state_dict(state)


def test_mean_of_trained_weights_is_the_mean_and_the_rest_is_the_newest():
    def state(a, count):
        return {"weights": {"a": torch.tensor([a, 1.0]), "n": torch.tensor(count)}, "foundation": 0}

    found = average_weights([state(1.0, 9), state(2.0, 5), state(6.0, 1)], {"a"})
    assert found["weights"]["a"].tolist() == [3.0, 1.0]
    assert found["weights"]["a"].dtype == torch.float32
    assert (int(found["weights"]["n"]), found["foundation"]) == (9, 0)


def test_mean_is_computed_in_float64():
    """In float32 the small one would be lost beside the large ones."""
    states = [{"weights": {"a": torch.tensor([value])}} for value in (1e8, 1.5, -1e8)]
    assert float(average_weights(states, {"a"})["weights"]["a"]) == 0.5


def test_mean_of_one_is_itself():
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
def test_digest_tells_values_names_shapes_and_types(other):
    one = {"a": torch.tensor([1.0, 2.0])}
    assert digest_of_tensors(one) == digest_of_tensors({"a": torch.tensor([1.0, 2.0])})
    assert digest_of_tensors(one) != digest_of_tensors(other)


def test_digest_takes_half_precision():
    assert digest_of_tensors({"a": torch.ones(3, dtype=torch.bfloat16)})
