"""The cached value is recomputed when the weights change."""

import copy
import pickle

import torch

from emosphere_sb.backbones.weight_cache import WeightCache


def test_value_is_recomputed_only_when_weights_change():
    weights, made, cache = [torch.ones(2), torch.ones(3)], [], WeightCache()

    def make():
        made.append(1)
        return sum(w.sum() for w in weights)

    assert cache.get(weights, make) == cache.get(weights, make) == 5 and len(made) == 1
    weights[1].mul_(2)
    assert cache.get(weights, make) == 8 and len(made) == 2
    weights[0] = torch.ones(4)
    assert cache.get(weights, make) == 10 and len(made) == 3
    cache.clear()
    assert cache.get(weights, make) == 10 and len(made) == 4


def test_copies_are_empty_and_values_support_training():
    weight, cache = torch.ones(2), WeightCache()
    with torch.inference_mode():
        value = cache.get([weight], lambda: weight * 2)
    assert not value.is_inference()
    for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
        assert torch.equal(other.get([weight], lambda: weight * 5), torch.full((2,), 5.0))
