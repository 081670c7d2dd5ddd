"""Which layouts are known, what is refused, and that nothing in a checkpoint is run."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.public_models.registry import LAYOUTS, load_public, public_layout
from tests.unit.public_models.test_odyssey import checkpoint

FILES = ("model.safetensors", "pytorch_model.bin", "odd name.pt")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("name", FILES)
def test_layout_is_known_from_any_file_of_weights(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name=name)
    assert public_layout(folder, "x") == "odyssey"
    assert EmoSphere.from_pretrained(folder, device="cpu").about.facts["layout"] == "odyssey"


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_is_refused_and_not_run(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, name=name)
    (folder / name).write_bytes(pickle.dumps({"weights": Evil(tmp_path / "run")}))
    with pytest.raises(ValueError, match=r"is refused|tensors alone"):
        EmoSphere.from_pretrained(folder)
    torch.save({"weights": Evil(tmp_path / "run")}, folder / name)
    with pytest.raises(ValueError, match=r"is refused|tensors alone"):
        EmoSphere.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_code_beside_the_weights_is_not_run(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "pipeline_utils.py").write_text("raise SystemExit('run')\n")
    assert EmoSphere.from_pretrained(folder, device="cpu").about.facts["layout"] == "odyssey"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_is_refused(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name=name)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"is no safetensors file|be whole"):
        EmoSphere.from_pretrained(folder)


def test_something_else_than_tensors_is_refused(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name="pytorch_model.bin")
    torch.save({"state": {"a": torch.zeros(1)}, "epoch": 3}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must hold a mapping of names to tensors"):
        EmoSphere.from_pretrained(folder)


def test_unknown_layout_says_which_are_known(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    save_file({"encoder.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="found a hubert with weights of encoder") as error:
        EmoSphere.from_pretrained(tmp_path)
    assert all(layout.KNOWN in str(error.value) for layout in LAYOUTS.values())
    with pytest.raises(ValueError, match="layout must be one of audeering, odyssey, vox_profile"):
        load_public("hubert", tmp_path, "x")


def test_a_name_alone_makes_no_layout(tmp_path):
    """A folder called like a checkpoint, with other weights in it."""
    folder = tmp_path / "audeering" / "wav2vec2-large-robust-12-ft-emotion-msp-dim"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    save_file({"wav2vec2.x": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="must be a released model, or a checkpoint"):
        EmoSphere.from_pretrained(folder)


def test_folder_without_weights_or_configuration(tmp_path, waveform_settings):
    assert public_layout(tmp_path, "x") is None
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"must hold the weights as model\.safetensors, pytorch_"):
        EmoSphere.from_pretrained(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="must hold a mapping"):
        EmoSphere.from_pretrained(folder)


def test_loading_moves_no_random_number(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path, waveform_settings)
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    EmoSphere.from_pretrained(folder, device="cpu")
    assert torch.rand(1) == first
