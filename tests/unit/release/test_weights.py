"""Reading of weights and modules without initial weights."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from emosphere_sb.lobes import SSLEncoder
from emosphere_sb.release.weights import read_weights, skip_initialisation


@pytest.mark.parametrize("family", ["wavlm", "hubert", "whisper", "wav2vec2-bert", "sew"])
def test_all_weights_are_loaded_without_initialisation(family, tmp_path, save_any):
    """Values that constructors compute, such as buffers, do not depend on initialisation."""
    whole = SSLEncoder(save_any(family), freeze="all").eval()
    for name in ("config.json", "preprocessor_config.json"):
        if (Path(save_any(family)) / name).exists():
            own = "backbone.json" if name == "config.json" else name
            shutil.copy(Path(save_any(family)) / name, tmp_path / own)
    with skip_initialisation():
        bare = SSLEncoder(str(tmp_path / "backbone.json"), freeze="all").eval()
    bare.load_state_dict(whole.state_dict())
    found, expected = dict(bare.named_buffers()), dict(whole.named_buffers())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    signals, lengths = torch.randn(1, 8000), torch.tensor([8000])
    with torch.inference_mode():
        torch.testing.assert_close(bare(signals, lengths)[0], whole(signals, lengths)[0])


def test_random_state_is_preserved():
    before = torch.get_rng_state()
    with skip_initialisation():
        torch.randn(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_saved_weights_are_read(tmp_path):
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    found = read_weights(tmp_path / "a.safetensors")
    assert found.keys() == {"a"} and found["a"].tolist() == [0.0, 1.0, 2.0]


def test_pickle_is_rejected(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"not a valid safetensors file .* Pickle"):
        read_weights(tmp_path / "a.safetensors")
