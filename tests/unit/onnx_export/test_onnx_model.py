"""The exportable model gives the same outputs as the original, whatever the padding."""

import pytest
import torch

from emosphere_sb.onnx_export.onnx_model import ExportedModel, MaskedGroupNorm
from tests.helpers.onnx_models import FIELD, random_model, short_settings

FAMILIES = ("hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
LENGTHS = (4000, 1703, FIELD)


def compare(model, *, tolerance=2e-5, lengths=LENGTHS):
    """Both on a padded batch; the exportable one with noise in the padding."""
    generator = torch.Generator().manual_seed(1)
    waveform = 0.2 * torch.randn(len(lengths), max(lengths), generator=generator)
    lengths = torch.tensor(lengths)
    with torch.no_grad():
        found = ExportedModel(model)(waveform, lengths)
        for row, length in enumerate(lengths.tolist()):
            outcome = model(waveform[row : row + 1, :length], lengths[row : row + 1])
            expected = [outcome.vad, outcome.embedding, outcome.logits]
            expected = [item for item in expected if item is not None]
            assert len(found) == len(expected)
            for ours, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(ours[row : row + 1], theirs, atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_families_with_either_norm(family, norm, waveform_settings, tmp_path):
    model, _ = random_model(short_settings(waveform_settings, family, norm), tmp_path / "a.json")
    compare(model)


@pytest.mark.parametrize("pooling", ["StylePooling", "AttentiveStatsPooling", "MeanPooling"])
@pytest.mark.parametrize("mode", ["corpus", "utterance", "none"])
def test_poolings_and_normalisations(pooling, mode, waveform_settings, tmp_path):
    settings = short_settings(waveform_settings, "wavlm")
    model, _ = random_model(settings, tmp_path / "a.json", pooling=pooling, mode=mode, head=False)
    compare(model)


@pytest.mark.parametrize("layers", ["weighted", 0, 1, 2, "concat", [0, 2], [1, 0]])
def test_layers(layers, waveform_settings, tmp_path):
    settings = short_settings(waveform_settings, "wavlm")
    model, _ = random_model(settings, tmp_path / "a.json", layers=layers)
    compare(model)


@pytest.mark.parametrize("normalisation", ["standardise", "layer_norm"])
@pytest.mark.parametrize("layers", ["last", 1, "weighted", "concat"])
def test_normalised_layers_and_standardised_labels(
    layers, normalisation, waveform_settings, tmp_path
):
    model, _ = random_model(
        short_settings(waveform_settings, "wavlm"), tmp_path / "a.json", layers=layers,
        layer_normalisation=normalisation, standardise_labels=True,
    )  # fmt: skip
    compare(model, tolerance=1e-5)


def test_the_model_itself_is_not_changed(waveform_settings, tmp_path):
    model, _ = random_model(
        short_settings(waveform_settings, "wavlm", "group"), tmp_path / "a.json"
    )
    names, state = [type(m) for m in model.modules()], model.state_dict()
    before = {key: value.clone() for key, value in state.items()}
    ExportedModel(model)
    assert [type(module) for module in model.modules()] == names
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_random_state_of_the_caller_is_unchanged(waveform_settings, tmp_path):
    model, _ = random_model(short_settings(waveform_settings, "wavlm"), tmp_path / "a.json")
    before = torch.get_rng_state()
    ExportedModel(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_masked_group_norm_matches_pytorch_on_valid_frames():
    original = torch.nn.GroupNorm(4, 4)
    torch.nn.init.normal_(original.weight)
    torch.nn.init.normal_(original.bias)
    frames = torch.randn(2, 4, 9)
    norm = MaskedGroupNorm(original)
    norm.valid = torch.tensor([9, 5])
    found = norm(frames)
    torch.testing.assert_close(found[:1], original(frames[:1]))
    torch.testing.assert_close(found[1:, :, :5], original(frames[1:, :, :5]))


@pytest.mark.parametrize(
    "family, changes, found",
    [
        ("data2vec-audio", {"conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 2}, "data2vec"),
        ("sew", {}, "found sew"),
        ("wav2vec2", {"add_adapter": True}, "with adapters or batch norm"),
        ("wav2vec2", {"add_adapter": True, "feat_extract_norm": "group"}, "with adapters"),
    ],
)
def test_fault_unsupported_family_is_rejected(family, changes, found, waveform_settings, tmp_path):
    settings = {**waveform_settings(family), **changes}
    model, _ = random_model(settings, tmp_path / "a.json", head=False, pooling="MeanPooling")
    with pytest.raises(ValueError, match=found) as caught:
        ExportedModel(model)
    assert "emosphere predict" in str(caught.value)


def test_fault_not_a_released_model():
    with pytest.raises(ValueError, match="found a Linear"):
        ExportedModel(torch.nn.Linear(1, 1))
