"""Cached features of a set: frames, averages and statistics over the frames."""

import pickle

import numpy as np
import pytest
import torch

from emosphere_sb.backbones.layer_normalisation import LayerStatistics
from emosphere_sb.data import feature_cache
from emosphere_sb.data.feature_cache import FeatureCache
from emosphere_sb.data.feature_layout import Layout
from emosphere_sb.data.feature_store import FeatureStore

KEYS = {"one": "a", "two": "b", "copy of one": "a"}
FRAMES = {"a": 4, "b": 9, "unused": 2}


@pytest.fixture
def states():
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(n, 3, 5, generator=generator) * 2 + 7 for key, n in FRAMES.items()}


@pytest.fixture
def make(tmp_path, states):
    def make(stored="frames", precision="fp32", kind=None, selected=(0, 1, 2)):
        layout = Layout(stored, precision, 3, 5)
        store = FeatureStore(tmp_path / f"{stored}-{precision}", layout)
        store.create({})
        with store.writer() as writer:
            for key, value in states.items():
                writer.add(key, value.numpy())
        store.refresh()
        return FeatureCache(store, KEYS, kind or stored, selected)

    return make


@pytest.mark.parametrize("selected", [(0, 1, 2), (2,), (2, 0)])
def test_frames_of_selected_states(selected, make, states):
    cache = make(selected=selected)
    assert not cache.in_memory
    for utterance, key in KEYS.items():
        assert torch.equal(cache[utterance], states[key][:, list(selected)])


@pytest.mark.parametrize("stored", ["frames", "averages"])
@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("selected", [(0, 1, 2), (2, 0)])
def test_averages(stored, limit, selected, make, states, monkeypatch):
    monkeypatch.setattr(feature_cache, "MEMORY_LIMIT", limit)
    cache = make(stored, kind="averages", selected=selected)
    assert cache.in_memory == (limit > 0)
    for reader in (cache, pickle.loads(pickle.dumps(cache))):
        for utterance, key in KEYS.items():
            expected = states[key][:, list(selected)].double().mean(dim=0).float()
            assert reader[utterance].dtype == torch.float32
            assert torch.equal(reader[utterance], expected)


def test_averages_of_half_precision_do_not_depend_on_what_is_stored(make):
    one, two = (make(stored, "fp16", "averages") for stored in ("frames", "averages"))
    for utterance in KEYS:
        assert torch.equal(one[utterance], two[utterance])
        assert torch.equal(one[utterance], one[utterance].half().float())
    for a, b in zip(one.statistics().mean_and_sd(), two.statistics().mean_and_sd(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("kind", "precision"), [("frames", "fp32"), ("frames", "fp16"),
                                                 ("averages", "fp32")])  # fmt: skip
def test_statistics_equal_those_of_all_frames(kind, precision, make, states):
    """Utterances with the same audio count as often as they occur in the set."""
    statistics = make(kind, precision, selected=(1, 2)).statistics()
    expected = LayerStatistics.zeros(2, 5)
    for key in KEYS.values():
        frames = states[key][None, :, 1:].transpose(1, 2)
        expected.add(frames, torch.tensor([frames.shape[2]]))
    assert statistics.count == expected.count == 4 + 9 + 4
    torch.testing.assert_close(statistics.sum, expected.sum, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        statistics.sum_of_squares, expected.sum_of_squares, rtol=1e-12, atol=0
    )


def test_statistics_of_half_precision_averages(make):
    exact, half = (make("averages", p).statistics().mean_and_sd() for p in ("fp32", "fp16"))
    for a, b in zip(exact, half, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-3)
