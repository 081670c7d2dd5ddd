"""Encoder: frames and their number, loading, freezing, SpecAugment and errors."""

import json

import pytest
import torch
from safetensors.torch import load_file

from emosphere_sb.backbones.waveform_models import receptive_field
from emosphere_sb.lobes.encoder import SSLEncoder

FAMILIES = ("wavlm", "wav2vec2", "hubert", "unispeech", "unispeech-sat", "data2vec-audio")


def noise(*lengths, seed=0):
    """Return a padded batch and its lengths."""
    chance = torch.Generator().manual_seed(seed)
    signals = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        signals[row, :length] = torch.randn(length, generator=chance)
    return signals, torch.tensor(lengths)


def make(backbone, freeze="none", **options):
    torch.manual_seed(1)
    return SSLEncoder(backbone, freeze, **options)


# ---- frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["standard", "wavlm_smoke.json", "wavlm_demo.json"])
def test_number_of_frames_matches_the_convolutions(configuration, backbone):
    encoder = make(configuration() if backbone == "standard" else backbone).eval()
    field = encoder.receptive_field
    generator = torch.Generator().manual_seed(0)
    lengths = [*range(field, field + 8), field + 319, field + 320, field + 321, 16000]
    lengths += torch.randint(field, 5000, (12,), generator=generator).tolist()
    found = encoder.frame_lengths(torch.tensor(lengths)).tolist()
    with torch.no_grad():
        expected = [
            encoder.model.feature_extractor(torch.zeros(1, length)).shape[-1] for length in lengths
        ]
    assert found == expected
    assert found[0] == 1


def test_number_of_frames_by_hand(configuration):
    lengths = torch.tensor([400, 719, 720, 16000, 192000])
    # floor((n - 400) / 320) + 1
    assert make(configuration()).frame_lengths(lengths).tolist() == [1, 1, 2, 49, 599]


@pytest.mark.parametrize(
    "kernels, strides, field", [([10, 3], [5, 2], 20), ([400, 4], [160, 4], 880)]
)
def test_receptive_field_by_hand(configuration, kernels, strides, field):
    changes = {"conv_kernel": kernels, "conv_stride": strides, "conv_dim": [16, 16]}
    encoder = make(configuration(num_feat_extract_layers=2, **changes))
    assert encoder.receptive_field == receptive_field(encoder.model.config) == field


def test_receptive_field_is_the_shortest_valid_length(configuration):
    encoder = make(configuration()).eval()
    assert encoder.receptive_field == 400
    frames, lengths = encoder(*noise(400))
    assert frames.shape == (1, 1, 32) and lengths.tolist() == [1]
    with pytest.raises(ValueError, match=r"at least 400 samples \(one frame\); found 399"):
        encoder.model.feature_extractor(torch.zeros(1, 399))


def test_too_short_utterance_raises(configuration):
    with pytest.raises(ValueError, match=r"at least 400 .*found 399.*--min_duration=0\.025"):
        make(configuration())(*noise(5000, 399))


def test_padded_frames_are_zero(configuration):
    frames, lengths = make(configuration()).eval()(*noise(4000, 2000))
    assert lengths.tolist() == [12, 6]
    assert not frames[1, 6:].any()
    assert frames[1, :6].abs().sum(dim=-1).min() > 0


def test_frames_are_the_models_last_hidden_state(configuration):
    encoder = make(configuration()).eval()
    signals, lengths = noise(4000, 4000)
    with torch.no_grad():
        assert torch.equal(encoder(signals, lengths)[0], encoder.model(signals).last_hidden_state)


def test_unmaskable_family_runs_equal_lengths_together(configuration, caplog):
    caplog.set_level("INFO")
    encoder = make(configuration("sew")).eval()
    assert encoder.equal_lengths_only
    assert "the attention mask does not fully exclude padding in this model (sew)" in caplog.text
    calls = []
    encoder.model.register_forward_hook(lambda *_: calls.append(1))
    encoder(*noise(4000, 2500, 4000, 900))
    assert len(calls) == 3


NORMS = ({}, {"feat_extract_norm": "group", "do_stable_layer_norm": False})


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_batch_runs_in_one_pass(configuration, family, norm):
    encoder = make(configuration(family, **norm)).eval()
    calls = []
    encoder.model.register_forward_hook(lambda *_: calls.append(1))
    encoder(*noise(4000, 2500, 900))
    assert calls == [1]


def test_group_norm_trains_in_one_pass(configuration):
    encoder = make(configuration(feat_extract_norm="group", do_stable_layer_norm=False))
    calls = []
    encoder.train().model.register_forward_hook(lambda *_: calls.append(1))
    encoder(*noise(4000, 2500, 900))
    assert calls == [1]


@pytest.mark.parametrize("family", [*FAMILIES, "wav2vec2-conformer"])
def test_number_of_frames_for_10000_lengths_of_each_family(configuration, family):
    lengths = torch.randint(400, 960_000, (10_000,), generator=torch.Generator().manual_seed(3))
    # Frame k ends at sample 400 + 320 k.
    expected = [(length - 400) // 320 + 1 for length in lengths.tolist()]
    assert make(configuration(family)).frame_lengths(lengths).tolist() == expected


def test_padded_batch_does_not_affect_later_calls(configuration):
    """The model of transformers returns the same before and after a padded batch."""
    encoder = make(configuration("wav2vec2-conformer")).eval()
    signals = noise(8000, 8000, 8000)[0]
    with torch.no_grad():
        before = encoder.model(signals).last_hidden_state
        encoder(*noise(4000, 2500, 900))
        assert torch.equal(encoder.model(signals).last_hidden_state, before)


def test_adapter_layers_are_never_skipped(configuration):
    """Each adapter layer halves the frame rate: skipping one would change the frame count."""
    encoder = make(configuration("wav2vec2", add_adapter=True, layerdrop=1.0), spec_augment=False)
    frames, lengths = encoder.train()(*noise(9000, 9000))
    assert frames.shape[1] == int(lengths.max())


# ---- loading ---------------------------------------------------------------------------------


def test_saved_folder_loads_the_same_model(configuration, tmp_path):
    first = make(configuration()).eval()
    first.model.save_pretrained(tmp_path / "model")
    torch.manual_seed(99)
    second = SSLEncoder(str(tmp_path / "model"), "none").eval()
    batch = noise(4000, 2500)
    assert torch.equal(first(*batch)[0], second(*batch)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_are_loaded_as_float32(configuration, tmp_path, dtype):
    make(configuration()).model.to(dtype).save_pretrained(tmp_path / "model")
    stored = load_file(tmp_path / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    encoder = SSLEncoder(str(tmp_path / "model"))
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}


def test_configuration_gives_random_weights():
    torch.manual_seed(1)
    one, other = (SSLEncoder("wavlm_smoke.json").state_dict() for _ in range(2))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_bundled_configurations_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SSLEncoder("wavlm_smoke.json").output_size == 16
    assert SSLEncoder("hparams/backbones/wavlm_smoke.json").output_size == 16
    with pytest.raises(ValueError, match=r"not found.*wavlm_demo\.json, wavlm_smoke\.json"):
        SSLEncoder("elsewhere/wavlm_smoke.json")


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no_such_folder", "two words", ""])
def test_unknown_backbone_raises(name):
    with pytest.raises(
        ValueError, match="backbone must be a name on the Hugging Face Hub"
    ) as caught:
        SSLEncoder(name)
    assert repr(name) in str(caught.value)


def break_folder(folder, how):
    weights, config = folder / "model.safetensors", folder / "config.json"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif how == "no_weights":
        weights.unlink()
    elif how == "not_weights":
        weights.unlink()
        (folder / "pytorch_model.bin").write_bytes(b"hello")
    elif how == "other_sizes":
        config.write_text(json.dumps({**json.loads(config.read_text()), "intermediate_size": 40}))
    elif how == "broken_configuration":
        config.write_text("{")


@pytest.mark.parametrize(
    "how", ["truncated", "no_weights", "not_weights", "other_sizes", "broken_configuration"]
)
def test_damaged_folder_raises(configuration, tmp_path, how):
    make(configuration()).model.save_pretrained(tmp_path / "model")
    break_folder(tmp_path / "model", how)
    with pytest.raises(ValueError, match="could not be loaded") as caught:
        SSLEncoder(str(tmp_path / "model"))
    assert str(tmp_path / "model") in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "wide"},
        {"hidden_size": 33},
        {"conv_kernel": [3]},
        {"num_conv_pos_embedding_groups": 5},
        {"model_type": "wavelm"},
        {"model_type": None},
        {"model_type": "bert"},
    ],
)
def test_invalid_configuration_raises(configuration, changes):
    path = configuration(**changes)
    with pytest.raises(ValueError, match=r"must be a (valid configuration|speech model)") as caught:
        SSLEncoder(path)
    assert str(path) in str(caught.value) and "Hub" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", '"wavlm"', "{}", "{"])
def test_unrelated_json_raises(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"a\.json must be a valid configuration of a tr"
    ) as caught:
        SSLEncoder(str(tmp_path / "a.json"))
    assert str(tmp_path) in str(caught.value) and "Hub" not in str(caught.value)


# ---- freezing --------------------------------------------------------------------------------


def test_freeze_none_trains_all_parameters(configuration):
    assert all(p.requires_grad for p in make(configuration(), "none").parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_freeze_feature_encoder_freezes_the_convolutions(configuration, family):
    model = make(configuration(family), "feature_encoder").model
    frozen = {name: not parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name for name in frozen if name.startswith("feature_extractor.")} == {
        name for name, is_frozen in frozen.items() if is_frozen
    }
    assert 0 < sum(frozen.values()) < len(frozen)


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_convolutions_have_no_graph(configuration, family):
    encoder = make(configuration(family), "feature_encoder").train()
    outputs = []
    encoder.model.feature_extractor.register_forward_hook(lambda *args: outputs.append(args[-1]))
    frames, _ = encoder(*noise(4000, 2500))
    assert not outputs[0].requires_grad
    frames.square().sum().backward()
    assert encoder.model.feature_projection.projection.weight.grad.any()


def test_convolutions_are_trained_unless_frozen(configuration):
    encoder = make(configuration(), "none").train()
    encoder(*noise(4000, 2500))[0].square().sum().backward()
    assert all(p.grad.any() for p in encoder.model.feature_extractor.parameters())


def test_frozen_backbone_stays_in_evaluation_mode(configuration):
    encoder = make(configuration(hidden_dropout=0.5, mask_time_prob=0.5), "all")
    batch = noise(8000, 2500)
    built = encoder(*batch)[0]
    assert not encoder.model.training
    encoder.train()
    assert encoder.training and not encoder.model.training
    assert not any(p.requires_grad for p in encoder.parameters())
    trained = encoder(*batch)[0]
    assert torch.equal(trained, built) and torch.equal(trained, encoder.eval()(*batch)[0])


def test_frozen_group_norm_gives_equal_frames_in_training(configuration):
    encoder = make(configuration(feat_extract_norm="group", do_stable_layer_norm=False), "all")
    batch = noise(4000, 2500)
    assert torch.equal(encoder.train()(*batch)[0], encoder.eval()(*batch)[0])


def test_unknown_freeze_mode_raises():
    with pytest.raises(ValueError, match=r"freeze must be one of none, .*found 'some'"):
        SSLEncoder("wavlm_smoke.json", "some")


# ---- training --------------------------------------------------------------------------------

AUGMENTED = {"mask_time_prob": 0.5, "mask_time_length": 10}


def test_spec_augment_is_applied_in_training_only(configuration):
    encoder = make(configuration(**AUGMENTED))
    batch = noise(8000, 6000)
    plain = encoder.eval()(*batch)[0]
    assert (encoder.train()(*batch)[0] - plain).abs().max() > 1e-3


def test_spec_augment_can_be_disabled(configuration):
    encoder = make(configuration(**AUGMENTED), spec_augment=False)
    batch = noise(8000, 6000)
    plain = encoder.eval()(*batch)[0]
    torch.testing.assert_close(encoder.train()(*batch)[0], plain)


def test_spec_augment_stays_off_if_disabled_in_the_checkpoint(configuration):
    encoder = make(configuration(**AUGMENTED, apply_spec_augment=False))
    batch = noise(8000, 6000)
    plain = encoder.eval()(*batch)[0]
    torch.testing.assert_close(encoder.train()(*batch)[0], plain)


@pytest.mark.parametrize("lengths", [(400,), (400, 900), (3279, 3279), (3280,), (3600, 400)])
def test_short_batches_can_be_trained_with_spec_augment(configuration, lengths):
    # 3280 samples give 10 frames, the length of a masked span
    frames, _ = make(configuration(**AUGMENTED)).train()(*noise(*lengths))
    frames.sum().backward()
    assert frames.isfinite().all()


def test_short_batch_does_not_disable_spec_augment_permanently(configuration):
    encoder = make(configuration(**AUGMENTED))
    batch = noise(8000)
    plain = encoder.eval()(*batch)[0]
    encoder.train()(*noise(400))
    assert (encoder(*batch)[0] - plain).abs().max() > 1e-3


def test_layerdrop_overrides_the_checkpoint(configuration):
    batch = noise(4000)
    encoder = make(configuration(), spec_augment=False, layerdrop=1.0)
    plain = encoder.eval()(*batch)[0]
    assert (encoder.train()(*batch)[0] - plain).abs().max() > 1e-3


def test_layerdrop_defaults_to_the_checkpoint(configuration):
    assert make(configuration(layerdrop=0.25)).model.config.layerdrop == 0.25
    assert make(configuration(layerdrop=0.25), layerdrop=0).model.config.layerdrop == 0.0


@pytest.mark.parametrize("family", [*FAMILIES, "wav2vec2-conformer", "sew"])
def test_gradient_checkpointing_does_not_change_gradients(configuration, family):
    gradients = []
    for checkpointing in (False, True):
        options = {"gradient_checkpointing": checkpointing, "spec_augment": False}
        encoder = make(configuration(family), "feature_encoder", **options)
        layers = encoder.backbone.layers
        assert any(layer.gradient_checkpointing for layer in layers) is checkpointing
        encoder.train()(*noise(4000, 2500))[0].square().sum().backward()
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert len(gradients[0]) > 10
    torch.testing.assert_close(*gradients)


def test_recomputed_layers_use_their_own_padding_mask(configuration):
    """Two batches forward before one backward pass; a conformer masks inside its layers."""
    gradients = []
    for checkpointing in (False, True):
        options = {"gradient_checkpointing": checkpointing, "spec_augment": False}
        encoder = make(configuration("wav2vec2-conformer"), **options).train()
        batches = noise(4000, 2500), noise(3000, 900, seed=1)
        sum(encoder(*batch)[0].square().sum() for batch in batches).backward()
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*gradients)
