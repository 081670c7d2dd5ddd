"""Identity of cached features: what changes it, and which stores a run can read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from emosphere_sb.data.feature_store import FeatureStore
from emosphere_sb.lobes import SSLEncoder
from emosphere_sb.training.feature_key import FeatureKey, state_digests

SETTINGS = {"max_seconds": 12.0}


@pytest.fixture
def digests(save_any):
    def digests(family="wavlm", settings=SETTINGS, change=None, **options):
        encoder = SSLEncoder(str(save_any(family)), "all", **options)
        if change is not None:
            change(encoder.backbone)
        return state_digests(encoder, settings)

    return digests


@pytest.mark.parametrize("family", ["wavlm", "wav2vec2-bert", "whisper"])
def test_selections_of_layers_share_their_states(family, digests):
    zero, one, last = digests(family, layers="weighted")
    assert len({zero, one, last}) == 3
    assert digests(family, layers="concat") == (zero, one, last)
    assert digests(family, layers="last") == (last,)
    assert digests(family, layers="0") == (zero,)  # the second layer is deleted
    assert digests(family, layers=[1, 0]) == (one, zero)
    assert digests(family, layers=[0, 2]) == (zero, last)


def test_change_of_a_layer_changes_only_its_state_and_later_ones(digests):
    def second_layer(backbone):
        with torch.no_grad():
            next(backbone.layers[1].parameters()).view(-1)[0] += 1e-6

    def projection(backbone):
        with torch.no_grad():
            backbone.model.feature_projection.projection.weight[0, 0] += 1e-6

    before = digests(layers="weighted")
    after = digests(layers="weighted", change=second_layer)
    assert before[:2] == after[:2] and before[2] != after[2]
    assert not set(before) & set(digests(layers="weighted", change=projection))


def test_settings_change_all_states(digests):
    before = digests(layers="weighted")
    assert not set(before) & set(digests(layers="weighted", settings={"max_seconds": 11.0}))


def test_settings_of_training_change_no_state(digests):
    assert digests(spec_augment=False, layerdrop=0.5) == digests(spec_augment=True, layerdrop=0.0)


def test_preprocessor_changes_the_states(save_any, tmp_path):
    folder = Path(shutil.copytree(save_any("wav2vec2-bert"), tmp_path / "model"))
    first = state_digests(SSLEncoder(str(folder), "all"), {})
    assert state_digests(SSLEncoder(str(folder), "all"), {}) == first
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    assert state_digests(SSLEncoder(str(elsewhere), "all"), {}) == first
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["padding_value"] = 1.0
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert state_digests(SSLEncoder(str(folder), "all"), {}) != first


def make(kind="frames", precision="fp32", states=("x", "y", "z"), normalised=False):
    return FeatureKey(kind, precision, 2, tuple(states), tuple(range(len(states))), normalised)


def write(root, key, utterances):
    store = FeatureStore(root / key.folder_name, key.layout)
    store.create({"states": key.states})
    with store.writer() as writer:
        for utterance in utterances:
            writer.add(utterance, np.ones((3, len(key.states), 2), np.float32))
    return store


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        ({}, [0, 1, 2]),
        ({"states": "zx"}, [2, 0]),
        ({"states": "xw"}, None),
        ({"kind": "averages", "states": "y"}, [1]),
        ({"kind": "averages", "normalised": True}, None),
        ({"precision": "fp16"}, None),
    ],
)
def test_store_of_frames_serves_some_states_and_averages(wanted, positions, tmp_path):
    store = write(tmp_path, make(), "ab")
    found = make(**wanted).find(tmp_path, {"a"})
    assert found is None if positions is None else found[1] == positions
    assert make(**wanted).find(tmp_path, {"a", "c"}) is None
    assert (make(**wanted).folder_name == store.folder.name) == (wanted == {})


def test_store_of_averages_does_not_serve_frames(tmp_path):
    write(tmp_path, make("averages"), "ab")
    assert make().find(tmp_path, {"a"}) is None
    assert make("averages", states="y").find(tmp_path, {"a"})[1] == [1]


def test_own_store_is_preferred(tmp_path):
    keys = [make(states=states) for states in ("xyz", "xy", "yx")]
    for key in keys:
        write(tmp_path, key, "a")
    for key in keys:
        assert key.find(tmp_path, {"a"})[0].folder.name == key.folder_name
