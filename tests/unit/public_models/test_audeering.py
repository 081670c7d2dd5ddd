"""audeering's layout: against transformers' model, a mean, and two matrix products."""

import json
import time

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.public_models import modules
from emosphere_sb.scale import Scale
from tests.helpers import public_models

LABELS = {"0": "arousal", "1": "dominance", "2": "valence"}


def checkpoint(folder, settings, *, labels=LABELS, normalise=True, old=True, **changes):
    """The folder, transformers' model, and the head's weights."""
    settings = settings("wav2vec2", **changes)
    model = public_models.ssl_model(settings)
    head = public_models.random_layers(
        {"classifier.dense": (32, 32), "classifier.out_proj": (3, 32)}
    )
    configuration = {
        **settings, "id2label": labels, "pooling_mode": "mean", "vocab_size": None,
        "architectures": ["Wav2Vec2ForSpeechClassification"], "finetuning_task": "wav2vec2_reg",
    }  # fmt: skip
    public_models.saved(
        folder, configuration, {**public_models.add_prefix(model, "wav2vec2."), **head}, old=old
    )
    Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder, model, head


def pooled_and_outputs(model, head, signal):
    """What the authors' code gives: the mean over frames, and arousal, dominance, valence."""
    mean = public_models.last_hidden_state(model, signal).mean(axis=0)
    hidden = np.tanh(public_models.affine(head, "classifier.dense", mean))
    return mean, public_models.affine(head, "classifier.out_proj", hidden)


def test_order_scale_normalisation_and_pooling(tmp_path, waveform_settings):
    folder, model, head = checkpoint(tmp_path / "model", waveform_settings)
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    for signal in public_models.signals():
        mean, (a, d, v) = pooled_and_outputs(model, head, public_models.normalise_utterance(signal))
        found = ours.predict(signal, 16000)
        np.testing.assert_allclose(found.on_scale, [v, a, d], atol=1e-5)
        np.testing.assert_allclose(found.vad, 2 * np.array([v, a, d]) - 1, atol=2e-5)
        np.testing.assert_allclose(found.embedding, mean, atol=1e-5)
        assert abs(v - a) > 1e-3 and abs(a - d) > 1e-3  # another order would be seen


def test_old_and_new_weight_names_are_supported(tmp_path, waveform_settings):
    signal = public_models.signals()[0]
    found = [
        EmoSphere.from_pretrained(
            checkpoint(tmp_path / str(old), waveform_settings, old=old)[0], device="cpu"
        ).predict(signal, 16000)
        for old in (True, False)
    ]
    np.testing.assert_array_equal(found[0].vad, found[1].vad)


def test_output_order_follows_id2label(tmp_path, waveform_settings):
    labels = {"0": "valence", "1": "arousal", "2": "dominance"}
    folder, model, head = checkpoint(tmp_path / "model", waveform_settings, labels=labels)
    signal = public_models.signals()[1]
    _, outputs = pooled_and_outputs(model, head, public_models.normalise_utterance(signal))
    found = EmoSphere.from_pretrained(folder, device="cpu").predict(signal, 16000)
    np.testing.assert_allclose(found.on_scale, outputs, atol=1e-5)


def test_normalisation_follows_the_feature_extractor(tmp_path, waveform_settings):
    folder, model, head = checkpoint(tmp_path / "model", waveform_settings, normalise=False)
    signal = public_models.signals()[1]
    _, (a, d, v) = pooled_and_outputs(model, head, signal)
    found = EmoSphere.from_pretrained(folder, device="cpu").predict(signal, 16000)
    np.testing.assert_allclose(found.on_scale, [v, a, d], atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_padding_does_not_change_predictions(tmp_path, waveform_settings, norm):
    folder, *_ = checkpoint(
        tmp_path / "model", waveform_settings,
        feat_extract_norm=norm, do_stable_layer_norm=norm == "layer",
    )  # fmt: skip
    ours = EmoSphere.from_pretrained(folder, device="cpu")
    together = torch.from_numpy(ours._forward(public_models.signals())[0])
    alone = torch.cat(
        [torch.from_numpy(ours._forward([signal])[0]) for signal in public_models.signals()]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_model_information(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "mein Modell ü", waveform_settings)
    about = EmoSphere.from_pretrained(folder, device="cpu").info
    assert about.name == "mein Modell ü" and about.scale == Scale(0, 1)
    assert about.max_seconds is None and about.head == "none" and not about.synthetic
    assert "CC BY-NC-SA 4.0" in about.licence
    assert about.facts["protocol"] == {"corpus": "MSP-Podcast", "release": "1.7"}
    assert about.facts["published_as"].startswith("audeering/")


def test_licence_is_read_from_the_model_card(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-4.0\n---\n\nlicense: no\n")
    assert EmoSphere.from_pretrained(folder, device="cpu").info.licence.startswith("cc-by-4.0 ")
    (folder / "README.md").write_text("# A card without a head\nlicense: no\n")
    assert "CC BY-NC-SA 4.0" in EmoSphere.from_pretrained(folder, device="cpu").info.licence


def test_missing_feature_extractor_is_an_error(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"preprocessor_config\.json not found"):
        EmoSphere.from_pretrained(folder)


def test_mismatched_settings_are_rejected(tmp_path, waveform_settings):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**configuration, "num_hidden_layers": 1}))
    with pytest.raises(ValueError, match=r"the SSL model differs for encoder\.layers\.1"):
        EmoSphere.from_pretrained(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 1_000_000}, {"num_attention_heads": 0}, {"hidden_size": 10**9},
        {"num_conv_pos_embedding_groups": 0}, {"conv_stride": [0] * 7}, {"layer_norm_eps": -1.0},
    ],
)  # fmt: skip
def test_tampered_configuration_is_rejected_fast(tmp_path, waveform_settings, changes):
    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"config\.json") as error:
        EmoSphere.from_pretrained(folder, device="cpu")
    assert "Hub" not in str(error.value)
    assert time.process_time() - begin < 10


def test_a_huge_width_is_rejected_before_anything_is_built(
    tmp_path, waveform_settings, monkeypatch
):
    def fail(*_, **__):
        raise AssertionError("the encoder was built")

    folder, *_ = checkpoint(tmp_path / "model", waveform_settings)
    monkeypatch.setattr(modules, "SSLEncoder", fail)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_size": 10**9}))
    with pytest.raises(ValueError, match=r"config\.json: hidden_size must be at most \d+, the lar"):
        EmoSphere.from_pretrained(folder, device="cpu")
