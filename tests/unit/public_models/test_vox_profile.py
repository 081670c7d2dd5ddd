"""Vox-Profile's layout: against transformers' hidden states, mixed and read by hand."""

import numpy as np
import pytest
import torch

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.scale import DIMENSIONS, Scale
from tests.helpers import public_models

RANK = 3
KINDS = {
    "wavlm_large": {},
    "wavlm": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
}


def checkpoint(folder, settings, *, kind="wavlm_large", first=True, adapters=False, more=()):
    """The folder, transformers' model with adapters added, and the weights behind it."""
    model = public_models.ssl_model(settings("wavlm", **KINDS[kind]))
    sizes = {"model_seq.0": (24, 32, 1), "model_seq.3": (24, 24, 1), "model_seq.6": (24, 24, 1)}
    for name in DIMENSIONS:
        sizes |= {f"{name}_layer.0": (24, 24), f"{name}_layer.2": (1, 24)}
    weights = public_models.random_layers(sizes)
    weights["weights"] = torch.tensor([0.9, -0.3, 0.4][0 if first else 1 :])
    state = {**public_models.add_prefix(model, "backbone_model."), **weights, **dict(more)}
    if adapters:
        state |= add_adapters(model)
    configuration = {
        "pretrain_model": kind, "hidden_dim": 24, "use_conv_output": first, "lora_rank": RANK,
        "finetune_method": "lora" if adapters else "finetune", "freeze_params": True,
        "output_class_num": 9, "detailed_class_num": 17, "predict_gender": False,
    }  # fmt: skip
    return public_models.saved(folder, configuration, state), model, weights


def add_adapters(model):
    """Factors as loralib saves them; the model gets weight + (1 / rank) B A."""
    generator = torch.Generator().manual_seed(2)
    feed_forward, found = model.encoder.layers[1].feed_forward, {}
    for name in ("intermediate_dense", "output_dense"):
        layer = getattr(feed_forward, name)
        down = torch.randn(RANK, layer.in_features, generator=generator)
        up = torch.randn(layer.out_features, RANK, generator=generator)
        before = f"backbone_model.encoder.layers.1.feed_forward.{name}"
        found[f"{before}.weight"] = layer.weight.detach().clone()
        found |= {f"{before}.lora_A": down, f"{before}.lora_B": up}
        with torch.no_grad():
            layer.weight.add_(torch.einsum("or,ri->oi", up, down) / RANK)
    return found


def pooled_and_outputs(model, weights, signal, *, first=True):
    """What the authors' code gives: the mean over frames, and valence, arousal, dominance."""
    states = public_models.all_hidden_states(model, signal)[0 if first else 1 :]
    shares = np.exp(weights["weights"].double().numpy())
    frames = np.tensordot(shares / shares.sum(), states, axes=1)
    for name in ("model_seq.0", "model_seq.3"):
        frames = public_models.relu(public_models.affine(weights, name, frames))
    mean = public_models.affine(weights, "model_seq.6", frames).mean(axis=0)
    outputs = []
    for name in DIMENSIONS:
        hidden = public_models.relu(public_models.affine(weights, f"{name}_layer.0", mean))
        outputs.append(
            public_models.sigmoid(public_models.affine(weights, f"{name}_layer.2", hidden))[0]
        )
    return mean, np.array(outputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", [True, False])
def test_order_scale_normalisation_layers_and_pooling(tmp_path, waveform_settings, kind, first):
    folder, model, weights = checkpoint(
        tmp_path / "model", waveform_settings, kind=kind, first=first
    )
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    for signal in public_models.signals():
        heard = public_models.normalise_utterance(signal) if kind == "wavlm_large" else signal
        mean, vad = pooled_and_outputs(model, weights, heard, first=first)
        found = ours.predict(signal, 16000)
        np.testing.assert_allclose(found.on_scale, vad, atol=1e-5)
        np.testing.assert_allclose(found.embedding, mean, atol=1e-5)
        assert np.abs(np.diff(vad)).min() > 1e-3  # another order would be seen


def test_adapters_are_added_to_their_weights(tmp_path, waveform_settings):
    folder, model, weights = checkpoint(tmp_path / "model", waveform_settings, adapters=True)
    plain, *_ = checkpoint(tmp_path / "plain", waveform_settings)
    signal = public_models.signals()[1]
    _, vad = pooled_and_outputs(model, weights, public_models.normalise_utterance(signal))
    found = EmoSphere.from_pretrained(folder, device="cpu").predict(signal, 16000)
    np.testing.assert_allclose(found.on_scale, vad, atol=1e-5)
    without = EmoSphere.from_pretrained(plain, device="cpu").predict(signal, 16000)
    assert np.abs(found.on_scale - without.on_scale).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_change_predictions(tmp_path, waveform_settings, kind):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, kind=kind)
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    together = torch.from_numpy(ours._forward(public_models.signals())[0])
    alone = torch.cat(
        [torch.from_numpy(ours._forward([signal])[0]) for signal in public_models.signals()]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_model_information_and_ignored_weights(tmp_path, waveform_settings, caplog):
    more = public_models.random_layers({"gender_layer.0": (24, 24), "gender_layer.2": (2, 24)})
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, more=more)
    with caplog.at_level("INFO"):
        about = EmoSphere.from_pretrained(folder, device="cpu").info
    assert about.scale == Scale(0, 1) and about.max_seconds == 15.0
    assert about.licence.startswith("OpenRAIL") and about.facts["layout"] == "vox_profile"
    assert about.facts["left_out"] == sorted(more)
    assert "not needed for VAD: gender_layer.0.bias, gender_layer.0.weight" in caplog.text


def test_model_for_emotion_categories_is_rejected(tmp_path, waveform_settings):
    more = public_models.random_layers({"emotion_layer.0": (24, 24), "emotion_layer.2": (9, 24)})
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, more=more)
    with pytest.raises(ValueError, match="must be a released model, or a checkpoint in the layout"):
        EmoSphere.from_pretrained(folder)


def test_pretrain_model_must_match_the_weights(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"wavlm_large"', '"wavlm"'))
    with pytest.raises(ValueError, match=r"found 'wavlm', but the convolutions have layer norm"):
        EmoSphere.from_pretrained(folder)


def test_number_of_layer_weights_must_match(tmp_path, waveform_settings):
    more = {"weights": torch.zeros(5)}
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, more=more)
    with pytest.raises(ValueError, match="one weight per layer; found 5 weights for 3"):
        EmoSphere.from_pretrained(folder)


def test_incomplete_adapter_is_rejected(tmp_path, waveform_settings):
    name = "backbone_model.encoder.layers.1.feed_forward.output_dense.lora_A"
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings, more={name: torch.ones(3, 48)})
    with pytest.raises(ValueError, match=r"lora_A, lora_B and weight of encoder\.layers\.1"):
        EmoSphere.from_pretrained(folder)
