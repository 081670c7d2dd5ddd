"""Supported layouts, rejected checkpoints, and that no code of a checkpoint is executed."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.public_models.registry import LAYOUTS, detect_layout, load_public
from tests.unit.public_models.test_odyssey import checkpoint

FILES = ("model.safetensors", "pytorch_model.bin", "odd name.pt")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("name", FILES)
def test_layout_is_detected_from_any_weights_file(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name=name)
    assert detect_layout(folder, "x") == "odyssey"
    assert EmoSphere.from_pretrained(folder, device="cpu").info.facts["layout"] == "odyssey"


@pytest.mark.parametrize("name", FILES)
def test_pickle_is_rejected_and_not_executed(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, name=name)
    (folder / name).write_bytes(pickle.dumps({"weights": Evil(tmp_path / "run")}))
    with pytest.raises(ValueError, match=r"Pickle files are not|something other than tensors"):
        EmoSphere.from_pretrained(folder)
    torch.save({"weights": Evil(tmp_path / "run")}, folder / name)
    with pytest.raises(ValueError, match=r"Pickle files are not|something other than tensors"):
        EmoSphere.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_code_in_the_folder_is_not_executed(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "pipeline_utils.py").write_text("raise SystemExit('run')\n")
    assert EmoSphere.from_pretrained(folder, device="cpu").info.facts["layout"] == "odyssey"


@pytest.mark.parametrize("name", FILES)
def test_truncated_weights_are_rejected(tmp_path, waveform_settings, name):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name=name)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"is not a valid safetensors file|is damaged"):
        EmoSphere.from_pretrained(folder)


def test_non_tensor_content_is_rejected(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path, waveform_settings, name="pytorch_model.bin")
    torch.save({"state": {"a": torch.zeros(1)}, "epoch": 3}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must contain a mapping of names to tensors"):
        EmoSphere.from_pretrained(folder)


def test_unknown_layout_error_lists_supported_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    save_file({"encoder.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="of type hubert with weights encoder") as error:
        EmoSphere.from_pretrained(tmp_path)
    assert all(layout.KNOWN in str(error.value) for layout in LAYOUTS.values())
    with pytest.raises(ValueError, match="layout must be one of audeering, odyssey, vox_profile"):
        load_public("hubert", tmp_path, "x")


def test_folder_name_does_not_determine_the_layout(tmp_path):
    """A folder called like a checkpoint, with other weights in it."""
    folder = tmp_path / "audeering" / "wav2vec2-large-robust-12-ft-emotion-msp-dim"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    save_file({"wav2vec2.x": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="must be a released model, or a checkpoint"):
        EmoSphere.from_pretrained(folder)


def test_folder_without_weights_or_configuration(tmp_path, waveform_settings):
    assert detect_layout(tmp_path, "x") is None
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"must contain the weights as model\.safetensors"):
        EmoSphere.from_pretrained(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="must contain a mapping"):
        EmoSphere.from_pretrained(folder)


def test_loading_does_not_change_the_random_state(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path, waveform_settings)
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    EmoSphere.from_pretrained(folder, device="cpu")
    assert torch.rand(1) == first
