"""Whisper without padding: equal to transformers at 30 s, independence of the batch, training."""

import pytest
import torch
from torch.nn.functional import gelu
from transformers import AutoModel, WhisperFeatureExtractor

from emosphere_sb.backbones.whisper import (
    WhisperBackbone,
    difference_from_padding,
    padded_encoding,
)

AUGMENTED = {"apply_spec_augment": True, "mask_time_prob": 0.5}


@pytest.fixture
def make(save, load):
    """Function that creates a narrow backbone with ``save_pretrained`` and ``from_pretrained``."""

    def build(extractor=None, options=None, **changes):
        folder = save("whisper", extractor, **changes)
        return load(WhisperBackbone, folder, **(options or {}))

    return build


def states(given):
    """Return the output of a layer; transformers 5.0 adds attention weights."""
    return given[0] if isinstance(given, tuple) else given


# ---- comparison with transformers ------------------------------------------------------------


@torch.no_grad()
def test_thirty_seconds_match_transformers(make, draw, pad):
    backbone = make()
    (signal,) = draw(1, 480000)
    features, mel_lengths = backbone.log_mel(*pad([signal]))
    assert features.shape == (1, 80, 3000) and mel_lengths.tolist() == [3000]
    model = AutoModel.from_config(backbone.model.config).eval()
    model.encoder.load_state_dict(backbone.model.state_dict())
    expected = model.encoder(features).last_hidden_state
    found = backbone(*pad([signal]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    # From the waveform, with the extractor of transformers, which computes in float32:
    given = WhisperFeatureExtractor()(signal.numpy(), sampling_rate=16000, return_tensors="pt")
    expected = model.encoder(given.input_features).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_short_utterances_match_modules_of_transformers(make, draw, pad, attention):
    backbone = make()
    model = backbone.model
    model.set_attn_implementation(attention)
    for signal in draw(5, 201):
        features = WhisperFeatureExtractor()._np_extract_fbank_features(signal.numpy()[None], "cpu")
        hidden = gelu(model.conv2(gelu(model.conv1(torch.from_numpy(features))))).transpose(1, 2)
        hidden = hidden + model.embed_positions(torch.arange(hidden.shape[1]))
        for layer in model.layers:
            hidden = states(layer(hidden, None))
        expected = model.layer_norm(hidden)
        found = backbone(*pad([signal]))
        assert backbone.frame_lengths(torch.tensor([len(signal)])).tolist() == [found.shape[1]]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_difference_from_padding_uses_valid_frames_only(make, draw, pad):
    backbone = make(max_source_positions=200)
    batch = pad(draw(3, 4000))
    found = difference_from_padding(backbone.train(), *batch)
    assert backbone.training and backbone.model.layers[0].training
    backbone.eval()
    for row, length in enumerate(batch[1].tolist()):
        signal = batch[0][row : row + 1, :length]
        short = backbone(signal, torch.tensor([length]))[0]
        full = torch.nn.functional.pad(signal, (0, 64000 - length))
        features, _ = backbone.log_mel(full, torch.tensor([64000]))
        padded = backbone.model(features).last_hidden_state[0, : len(short)]
        torch.testing.assert_close(found[row], (short - padded).norm() / padded.norm())
    assert (found > 1e-3).all()


@torch.no_grad()
def test_difference_from_padding_is_zero_for_full_length(make, draw, pad):
    backbone = make(max_source_positions=50)
    assert backbone.max_samples == 16000
    batch = pad(draw(1, 16000))
    assert float(difference_from_padding(backbone, *batch)) < 1e-6
    longer = pad(draw(1, 16100))  # also 100 frames: the remaining samples are less than a hop
    assert padded_encoding(backbone, *longer).shape == backbone(*longer).shape == (1, 50, 32)


# ---- independence of the batch ---------------------------------------------------------------


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("bins", [80, 128])
def test_utterance_does_not_depend_on_its_batch(make, draw, check_invariance, attention, bins):
    backbone = make(num_mel_bins=bins)
    backbone.model.set_attn_implementation(attention)
    assert backbone.masked and backbone.receptive_field == 201
    check_invariance(backbone, backbone.frame_lengths, draw(6, 201), 1e-5)


def test_frame_lengths_for_10000_lengths(chance, make):
    lengths = torch.randint(201, 480001, (10000,), generator=chance)
    # There is a mel frame per complete hop; the second convolution has a stride of 2.
    hops = torch.arange(160, 480001, 320)
    expected = (hops.unsqueeze(0) <= lengths.unsqueeze(1)).sum(dim=1)
    assert torch.equal(make().frame_lengths(lengths), expected)


@torch.no_grad()
def test_frame_lengths_match_extractor_and_convolutions(chance, make):
    backbone, extractor = make(), WhisperFeatureExtractor()
    lengths = [201, 319, 320, 321, 479, 480, 481]
    lengths += torch.randint(201, 40000, (30,), generator=chance).tolist()
    for length in lengths:
        signal = torch.zeros(length).numpy()
        given = extractor(signal, sampling_rate=16000, padding=False, return_tensors="pt")
        hidden = backbone.model.conv2(backbone.model.conv1(given.input_features))
        assert backbone.frame_lengths(torch.tensor([length])).tolist() == [hidden.shape[-1]]


def test_too_long_utterance_raises(make):
    backbone = make(max_source_positions=50)
    backbone(torch.zeros(1, 16159), torch.tensor([16159]))
    with pytest.raises(ValueError, match=r"at most 1 s; .* of 1\.01 s.*--max_duration=1 "):
        backbone(torch.zeros(2, 16160), torch.tensor([4000, 16160]))


def test_too_short_utterance_raises(make):
    with pytest.raises(ValueError, match="at least 201 samples; found 200"):
        make()(torch.zeros(2, 4000), torch.tensor([4000, 200]))


# ---- modules ---------------------------------------------------------------------------------


def test_state_has_no_decoder_and_each_weight_once(make):
    backbone = make()
    assert set(backbone.state_dict()) == {f"model.{name}" for name in backbone.model.state_dict()}
    assert not any("decoder" in name for name, _ in backbone.named_modules())
    assert backbone.output_size == 32


def test_layers_are_those_of_the_model(make, draw, pad):
    backbone = make()
    batch, seen = pad(draw(2, 4000)), []
    for layer in backbone.layers:
        layer.register_forward_hook(lambda *arguments: seen.append(states(arguments[-1])))
    frames = backbone(*batch)
    assert len(seen) == 2
    torch.testing.assert_close(backbone.model.layer_norm(seen[-1]), frames)
    del backbone.layers[1:]
    torch.testing.assert_close(backbone(*batch), backbone.model.layer_norm(seen[0]))


def test_frozen_feature_encoder_has_no_graph(make, draw, pad):
    backbone = make()
    backbone.feature_encoder.requires_grad_(False)
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    parts = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "embed_positions.weight")
    assert frozen == {f"model.{part}" for part in parts}
    seen = []
    backbone.model.conv2.register_forward_hook(lambda *arguments: seen.append(arguments[-1]))
    backbone.train()(*pad(draw(2, 4000))).sum().backward()
    assert not seen[0].requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_affect_log_mel(make, draw, pad, dtype):
    backbone, batch = make(), pad(draw(2, 4000))
    before = backbone.log_mel(*batch)[0]
    expected = backbone(*batch)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(backbone.log_mel(*batch)[0], before)
        torch.testing.assert_close(backbone(*batch).float(), expected, rtol=0, atol=0.1)
    found = backbone.to(dtype)(*batch)
    assert found.dtype == dtype and torch.equal(backbone.log_mel(*batch)[0], before)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.1)


# ---- training --------------------------------------------------------------------------------


def test_twenty_steps_halve_the_loss(make, draw, pad, halves_its_loss):
    halves_its_loss(make(), pad(draw(4, 4000)))


def test_spec_augment_follows_the_configuration_in_training_only(make, draw, pad):
    batch = pad(draw(3, 8000))
    for changes, options, changed in [
        (AUGMENTED, {}, True),
        (AUGMENTED, {"spec_augment": False}, False),
        ({"apply_spec_augment": False, "mask_time_prob": 0.5}, {}, False),
        ({}, {}, False),  # default of Whisper
        ({"apply_spec_augment": True, "mask_time_prob": 0.0, "mask_feature_prob": 0.5}, {}, True),
    ]:
        backbone = make(options=options, **changes)
        plain = backbone(*batch)
        assert torch.equal(backbone(*batch), plain)
        difference = (backbone.train()(*batch) - plain).abs().max()
        assert (difference > 1e-3) == changed, (changes, options)


@pytest.mark.parametrize("lengths", [(201,), (1600, 1600), (1759,), (1760, 201), (3200, 400)])
def test_short_batches_can_be_trained_with_spec_augment(make, lengths):
    # 1600 samples are 10 mel frames, as many as a masked span
    frames = make(**AUGMENTED).train()(
        torch.randn(len(lengths), max(lengths)), torch.tensor(lengths)
    )
    frames.sum().backward()
    assert frames.isfinite().all()


def test_layerdrop_skips_layers(make, draw, pad):
    backbone, batch = make(encoder_layerdrop=0.25), pad(draw(2, 4000))
    assert backbone.layerdrop == 0.25
    backbone.layerdrop = 1.0
    seen = []
    for layer in backbone.layers:
        layer.register_forward_hook(lambda *_: seen.append(1))
    backbone.train()(*batch)
    assert not seen and backbone.model.config.encoder_layerdrop == 1.0
    backbone.eval()(*batch)
    assert len(seen) == 2


def test_gradient_checkpointing_does_not_change_gradients(save, load, draw, pad):
    folder, batch, gradients = save("whisper"), pad(draw(3, 4000)), []
    for checkpointing in (False, True):
        backbone = load(WhisperBackbone, folder).train()
        if checkpointing:
            backbone.model.gradient_checkpointing_enable()
        frames = backbone(*batch)
        frames[0].square().sum().backward()
        gradients.append({n: p.grad for n, p in backbone.named_parameters() if p.requires_grad})
    torch.testing.assert_close(*gradients)
