"""``TorchPredictor``: bfloat16, and the devices and precisions that it accepts."""

import numpy as np
import pytest
import torch

from emosphere_sb.inference import torch_predictor
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.torch_predictor import TorchPredictor
from tests.helpers.models import write_tiny_model

NOISE = 0.1 * np.random.default_rng(0).normal(size=16000).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.mark.parametrize("kind", [TorchPredictor, EmoSphere])
def test_bf16_matches_autocast(folder, kind):
    exact = kind.from_pretrained(folder, device="cpu")
    half = kind.from_pretrained(folder, device="cpu", precision="bf16")
    found, reference = half.predict(NOISE, 16000), exact.predict(NOISE, 16000)
    assert (found.engine, reference.engine) == ("torch bf16", "torch fp32")
    signals, lengths = torch.from_numpy(NOISE)[None], torch.tensor([16000])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = exact.model(signals, lengths)
    assert np.array_equal(found.vad, expected.vad[0].double().numpy())
    assert found.embedding.dtype == np.float32
    assert 0 < np.abs(found.vad - reference.vad).max() < 0.1


def test_layers_of_real_models_are_stored_in_bfloat16():
    projection, gate = torch.nn.Linear(768, 768), torch.nn.Linear(64, 8)  # of WavLM-base
    torch_predictor.store_in_bfloat16(torch.nn.Sequential(projection, gate))
    assert (projection.weight.dtype, gate.weight.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("kind", [TorchPredictor, EmoSphere])
def test_only_large_linear_layers_are_stored_in_bfloat16(kind, folder, monkeypatch):
    exact = kind.from_pretrained(folder, device="cpu")
    assert {value.dtype for value in exact.model.parameters()} == {torch.float32}
    monkeypatch.setattr(torch_predictor, "MIN_CONVERTED", 200)
    half = kind.from_pretrained(folder, device="cpu", precision="bf16")
    linear = {
        name
        for name, part in half.model.encoder.named_modules()
        if isinstance(part, torch.nn.Linear) and part.weight.numel() >= 200
    }
    assert linear
    for name, part in half.model.encoder.named_modules():
        kinds = {value.dtype for value in part.parameters(recurse=False)}
        assert kinds <= {torch.bfloat16 if name in linear else torch.float32}, name
    found = half.predict(NOISE, 16000)
    signals, lengths = torch.from_numpy(NOISE)[None], torch.tensor([16000])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = exact.model(signals, lengths)
    assert np.array_equal(found.vad, expected.vad[0].double().numpy())


def test_unknown_precision_is_an_error(folder):
    with pytest.raises(ValueError, match="precision must be fp32 or bf16; found 'fp64'"):
        TorchPredictor.from_pretrained(folder, device="cpu", precision="fp64")


@pytest.mark.parametrize("device", ["cuda:99", "no such", "meta"])
def test_unavailable_device_is_an_error(folder, device):
    with pytest.raises(ValueError, match=f"Device {device} is not available"):
        TorchPredictor.from_pretrained(folder, device=device)
