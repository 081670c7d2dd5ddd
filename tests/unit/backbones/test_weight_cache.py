"""What is made of weights is made again when they change."""

import copy
import pickle

import torch

from emosphere_sb.backbones.weight_cache import Kept


def test_it_is_made_once_for_each_state_of_the_weights():
    weights, made, kept = [torch.ones(2), torch.ones(3)], [], Kept()

    def make():
        made.append(1)
        return sum(w.sum() for w in weights)

    assert kept.get(weights, make) == kept.get(weights, make) == 5 and len(made) == 1
    weights[1].mul_(2)
    assert kept.get(weights, make) == 8 and len(made) == 2
    weights[0] = torch.ones(4)
    assert kept.get(weights, make) == 10 and len(made) == 3
    kept.clear()
    assert kept.get(weights, make) == 10 and len(made) == 4


def test_copies_are_empty_and_inference_mode_does_not_stick():
    weight, kept = torch.ones(2), Kept()
    with torch.inference_mode():
        value = kept.get([weight], lambda: weight * 2)
    assert not value.is_inference()
    for other in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept)):
        assert torch.equal(other.get([weight], lambda: weight * 5), torch.full((2,), 5.0))
