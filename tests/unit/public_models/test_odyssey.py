"""The Odyssey baseline's layout: against transformers' WavLM and attentive statistics by hand."""

import json

import numpy as np
import pytest
import torch

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.scale import Scale
from tests.helpers import public_models

MEAN, STD = -0.003, 0.08


def checkpoint(folder, settings, *, hidden_layers=1, settings_changes=(), **changes):
    """The folder, transformers' model, and the weights of pooling and head."""
    model = public_models.ssl_model(settings("wavlm"))
    sizes = {"pool_model.sap_linear": (32, 32), "ser_model.fc.0.0": (32, 64)}
    sizes |= {f"ser_model.fc.{n}.0": (32, 32) for n in range(1, hidden_layers)}
    weights = public_models.random_layers({**sizes, "ser_model.out.0": (3, 32)})
    generator = torch.Generator().manual_seed(7)
    weights["pool_model.attention"] = torch.randn(32, 1, generator=generator)
    for number in range(hidden_layers):
        for part, middle in (("weight", 1.0), ("bias", 0.0)):
            noise = 0.2 * torch.randn(32, generator=generator)
            weights[f"ser_model.fc.{number}.1.{part}"] = middle + noise
    configuration = {
        "model_type": "ser", "auto_map": {"AutoConfig": "pipeline_utils.SERConfig"},
        "architectures": ["SERModel"], "ssl_type": "microsoft/wavlm-large", "num_classes": 3,
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "classifier_hidden_layers": hidden_layers, "sampling_rate": 16000,
        "mean": MEAN, "std": STD, **dict(settings_changes),
    }  # fmt: skip
    public_models.saved(
        folder,
        configuration,
        {**public_models.add_prefix(model, "ssl_model."), **weights},
        **changes,
    )
    return folder, model, weights


def pooled_and_outputs(model, weights, signal, hidden_layers=1):
    """What the authors' code gives: attentive statistics, and arousal, dominance, valence."""
    frames = public_models.last_hidden_state(model, (signal.double() - MEAN) / (STD + 1e-6))
    scores = np.tanh(public_models.affine(weights, "pool_model.sap_linear", frames))
    scores = np.exp(scores @ weights["pool_model.attention"].double().numpy())
    share = scores / scores.sum()
    mean = (share * frames).sum(axis=0)
    variance = (share * frames**2).sum(axis=0) - mean**2
    hidden = pooled = np.concatenate([mean, np.sqrt(np.maximum(variance, 1e-5))])
    for number in range(hidden_layers):
        hidden = public_models.affine(weights, f"ser_model.fc.{number}.0", hidden)
        hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
        norm = [
            weights[f"ser_model.fc.{number}.1.{p}"].double().numpy() for p in ("weight", "bias")
        ]
        hidden = public_models.relu(hidden * norm[0] + norm[1])
    return pooled, public_models.affine(weights, "ser_model.out.0", hidden)


@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_order_scale_normalisation_and_pooling(tmp_path, waveform_settings, hidden_layers):
    folder, model, weights = checkpoint(
        tmp_path / "model", waveform_settings, hidden_layers=hidden_layers
    )
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    for signal in public_models.signals():
        pooled, (a, d, v) = pooled_and_outputs(model, weights, signal, hidden_layers)
        found = ours.predict(signal, 16000)
        np.testing.assert_allclose(found.on_scale, [v, a, d], atol=1e-5)
        np.testing.assert_allclose(found.embedding, pooled, atol=1e-5)
        assert abs(v - a) > 1e-3 and abs(a - d) > 1e-3  # another order would be seen


def test_padded_frames_are_ignored(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    together = torch.from_numpy(ours._forward(public_models.signals())[0])
    alone = torch.cat(
        [torch.from_numpy(ours._forward([signal])[0]) for signal in public_models.signals()]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_weights_of_torch_save(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "one", waveform_settings)
    other, *_ = checkpoint(tmp_path / "other", waveform_settings, name="pytorch_model.bin")
    signal = public_models.signals()[0]
    found = [
        EmoSphere.from_pretrained(f, device="cpu").predict(signal, 16000) for f in (folder, other)
    ]
    np.testing.assert_array_equal(found[0].vad, found[1].vad)


def test_generic_labels_use_the_published_order(tmp_path, waveform_settings):
    labels = {"id2label": {str(n): f"LABEL_{n}" for n in range(3)}}
    folder, model, weights = checkpoint(
        tmp_path / "model", waveform_settings, settings_changes=labels
    )
    signal = public_models.signals()[0]
    _, (a, d, v) = pooled_and_outputs(model, weights, signal)
    found = EmoSphere.from_pretrained(folder, device="cpu").predict(signal, 16000)
    np.testing.assert_allclose(found.on_scale, [v, a, d], atol=1e-5)


def test_model_information(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    about = EmoSphere.from_pretrained(folder, device="cpu").info
    assert about.scale == Scale(0, 1) and about.max_seconds == 12.0
    assert "see its model card" in about.licence
    folder, *_ = checkpoint(
        tmp_path / "short", waveform_settings, settings_changes={"maxlen": 48000}
    )
    assert EmoSphere.from_pretrained(folder, device="cpu").info.max_seconds == 3.0


@pytest.mark.parametrize("value", ["nan", None, "0.1 or so", [1, 2]])
def test_statistics_must_be_numbers(tmp_path, waveform_settings, value):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, settings_changes={"std": value})
    with pytest.raises(ValueError, match="must contain mean and std of the waveform as numbers"):
        EmoSphere.from_pretrained(folder)


def test_model_with_one_dimension_is_unsupported(tmp_path, waveform_settings):
    folder, *_ = checkpoint(
        tmp_path / "model", waveform_settings, settings_changes={"num_classes": 1}
    )
    with pytest.raises(ValueError, match=r"of type ser with weights pool_model, ser_model"):
        EmoSphere.from_pretrained(folder)


def test_missing_weight_is_in_the_error(tmp_path, waveform_settings):
    from safetensors.torch import load_file, save_file

    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    state = load_file(folder / "model.safetensors")
    del state["ssl_model.encoder.layers.1.attention.q_proj.bias"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"differs for encoder\.layers\.1\.attention\.q_proj\.bias"):
        EmoSphere.from_pretrained(folder)
    del state["ser_model.fc.0.1.weight"]
    state["ssl_model.encoder.layers.1.attention.q_proj.bias"] = torch.zeros(32)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(ValueError, match="layer norm 0 differs for weight"):
        EmoSphere.from_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["auto_map"]  # never looked at
