"""Export of models with Whisper's encoder."""

import json

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.backbones.log_mel import WhisperLogMel
from emosphere_sb.onnx_export.export import export
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere, read_description
from emosphere_sb.onnx_export.whisper import ExportedLogMel
from emosphere_sb.release.formats import format_header
from tests.helpers.onnx_models import random_model, write_model
from tests.unit.onnx_export.test_onnx_model import compare


@pytest.fixture(scope="module")
def whisper(log_mel_settings):
    """Return the configuration of a model for utterances of up to 4 s."""
    return {"model_type": "whisper", **log_mel_settings["whisper"], "max_source_positions": 200}


@pytest.mark.parametrize("layers", ["last", "weighted", "concat", 1, 0])
@pytest.mark.parametrize("normalisation", ["none", "layer_norm", "standardise"])
def test_exportable_model_matches_the_original(layers, normalisation, whisper, tmp_path):
    model, _ = random_model(
        whisper, tmp_path / "a.json", layers=layers, layer_normalisation=normalisation,
        mode="none", pooling="MeanPooling",
    )  # fmt: skip
    compare(model, tolerance=1e-5, lengths=(4000, 1703, 401))


@pytest.mark.parametrize("lengths", [(16000, 8100, 201), (16100, 16099, 479)])
def test_log_mel_matches_the_fourier_transform(lengths):
    original = WhisperLogMel(WhisperFeatureExtractor())
    signals = torch.randn(3, max(lengths), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor(lengths)
    found, frames = ExportedLogMel(original)(signals, lengths)
    expected, expected_frames = original(signals, lengths)
    assert torch.equal(frames, expected_frames)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_exported_folder_predicts_as_the_model(whisper, tmp_path):
    released = write_model(tmp_path / "model", whisper, mode="none", layers="weighted")
    result = export(tmp_path / "model", tmp_path / "out", int8=True)
    assert max(result.deviations["model.onnx"].values()) < 1e-5
    model = OnnxEmoSphere.from_pretrained(tmp_path / "out")
    assert model.max_pass_seconds == released.max_samples / 16000 == 4.0
    random = np.random.default_rng(2)
    signals = [0.2 * random.standard_normal(n).astype(np.float32) for n in (30000, 9000, 62000)]
    together = model.predict(signals, 16000, max_seconds=None)
    for signal, prediction in zip(signals, together, strict=True):
        with torch.inference_mode():
            expected = released(torch.from_numpy(signal)[None], torch.tensor([len(signal)])).vad[0]
        for found in (prediction, model.predict(signal, 16000, max_seconds=None)):
            vad = [found.valence, found.arousal, found.dominance]
            assert vad == pytest.approx(expected.tolist(), abs=1e-5)


def test_model_for_utterances_shorter_than_the_test_signals(whisper, tmp_path):
    write_model(tmp_path / "model", {**whisper, "max_source_positions": 40}, mode="none")
    result = export(tmp_path / "model", tmp_path / "out")
    assert max(result.deviations["model.onnx"].values()) < 1e-5
    with pytest.raises(ValueError, match="supports at most 12,800 samples"):
        export(tmp_path / "model", tmp_path / "other", check=[np.zeros(12801, np.float32)])


@pytest.mark.parametrize("longest", ["x", -1, 0, True, 1.5])
def test_fault_invalid_maximum_length(longest, tmp_path):
    facts = {**format_header(), "about": {}, "onnx": {"shortest": 400, "longest": longest}}
    (tmp_path / "emosphere.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="must describe an exported model"):
        read_description(tmp_path)


def test_fault_longer_than_the_positions(whisper, tmp_path):
    write_model(tmp_path / "model", whisper, mode="none", pooling="MeanPooling")
    export(tmp_path / "model", tmp_path / "out")
    model = OnnxEmoSphere.from_pretrained(tmp_path / "out")
    with pytest.raises(AudioError, match="at most 4 s are supported"):
        model.predict(np.zeros(64200, dtype=np.float32) + 0.1, 16000, max_seconds=None)
