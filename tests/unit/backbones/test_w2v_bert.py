"""w2v-BERT 2.0 against transformers on single utterances, and independence of the batch."""

import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor

from emosphere_sb.backbones.w2v_bert import W2vBertBackbone

AUGMENTED = {"mask_time_prob": 0.5}
ADAPTER = {"add_adapter": True, "output_hidden_size": 24, "num_adapter_layers": 2}
POSITIONS = ("relative_key", "relative", "rotary", None)


@pytest.fixture
def make(save, load):
    """Function that creates a narrow backbone with ``save_pretrained`` and ``from_pretrained``."""

    def build(extractor=None, options=None, **changes):
        folder = save("wav2vec2-bert", extractor, **changes)
        return load(W2vBertBackbone, folder, **(options or {}))

    return build


def states(given):
    """Return the output of a layer; transformers 5.0 adds attention weights."""
    return given[0] if isinstance(given, tuple) else given


def transformers_own(backbone, signal, extractor=None):
    """Run extractor and model of transformers; return the frames and the extractor's mask."""
    extractor = extractor or SeamlessM4TFeatureExtractor()
    given = extractor(signal.numpy(), sampling_rate=16000, return_tensors="pt")
    return backbone.model(**given).last_hidden_state[0], given.attention_mask[0]


# ---- comparison with transformers ------------------------------------------------------------


@pytest.mark.parametrize("filler", [0.0, 1.0])
@pytest.mark.parametrize("positions", POSITIONS)
@torch.no_grad()
def test_each_utterance_matches_transformers(make, draw, pad, in_float64, positions, filler):
    extractor = SeamlessM4TFeatureExtractor(padding_value=filler)
    backbone = make(extractor, position_embeddings_type=positions)
    signals = draw(5, 560)
    batch = pad(signals)
    found, lengths = backbone(*batch), backbone.frame_lengths(batch[1])
    for row, signal in enumerate(signals):
        expected, mask = transformers_own(backbone, signal, extractor)
        assert int(mask.sum()) == int(lengths[row])
        expected = expected[mask.bool()]
        # Over a few frames, rounding errors may be divided by a tiny SD, see test_log_mel.py.
        allowed = 1e-4 if len(signal) > 4000 else 1e-2  # usually 5e-6; 5e-5 in 1% of runs
        torch.testing.assert_close(found[row, : len(expected)], expected, rtol=0, atol=allowed)


@torch.no_grad()
def test_rounding_of_the_extractor_has_a_small_effect(make, draw, pad):
    # The unpatched extractor rounds the bands to float32, see test_log_mel.py.
    backbone = make()
    for signal in draw(5, 4000):
        found = backbone(*pad([signal]))[0]
        expected, mask = transformers_own(backbone, signal)
        torch.testing.assert_close(found, expected[mask.bool()], rtol=0, atol=1e-3)


@torch.no_grad()
def test_adapter_matches_transformers_without_padding(make, draw, pad, in_float64):
    backbone = make(**ADAPTER)
    assert not backbone.masked and backbone.output_size == 24
    for signal in draw(5, 4000):
        batch = pad([signal])
        found, (length,) = backbone(*batch)[0], backbone.frame_lengths(batch[1]).tolist()
        expected, _ = transformers_own(backbone, signal)
        assert 0 < length <= len(found) == len(expected)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


# ---- independence of the batch ---------------------------------------------------------------


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_utterance_does_not_depend_on_its_batch(make, draw, check_invariance, positions, attention):
    backbone = make(position_embeddings_type=positions)
    backbone.model.set_attn_implementation(attention)
    assert backbone.masked and backbone.receptive_field == 560
    check_invariance(backbone, backbone.frame_lengths, draw(6, 560), 1e-5)


def test_long_kernel_is_causal(make, draw, check_invariance):
    backbone = make(conv_depthwise_kernel_size=63)
    check_invariance(backbone, backbone.frame_lengths, draw(4, 560, 12000), 1e-5)


@torch.no_grad()
def test_adapter_needs_equal_lengths(make, draw, pad):
    backbone, signals = make(**ADAPTER), draw(3, 8000)
    found = backbone(*pad([signal[:8000] for signal in signals]))
    for row, signal in enumerate(signals):
        alone = backbone(*pad([signal[:8000]]))[0]
        torch.testing.assert_close(found[row], alone, rtol=0, atol=1e-5)


def test_frame_lengths_for_10000_lengths(chance, make):
    lengths = torch.randint(560, 640000, (10000,), generator=chance)
    # The second frame of each stack ends after 400 samples, 160 samples after the first.
    ends = torch.arange(160 + 400, 640001, 320)
    expected = (ends.unsqueeze(0) <= lengths.unsqueeze(1)).sum(dim=1)
    assert torch.equal(make().frame_lengths(lengths), expected)


def test_frame_lengths_match_the_mask_of_the_extractor(chance, make):
    backbone, extractor = make(), SeamlessM4TFeatureExtractor()
    lengths = [560, 719, 720, 721, 879, 880, 881]
    lengths += torch.randint(560, 40000, (30,), generator=chance).tolist()
    expected = [
        int(extractor(torch.zeros(n).numpy(), sampling_rate=16000)["attention_mask"].sum())
        for n in lengths
    ]
    assert backbone.frame_lengths(torch.tensor(lengths)).tolist() == expected


@pytest.mark.parametrize("kernel, stride", [(3, 2), (3, 3), (7, 6)])
@torch.no_grad()
def test_frame_lengths_of_an_adapter_match_its_convolutions(chance, make, kernel, stride):
    backbone = make(**ADAPTER, adapter_kernel_size=kernel, adapter_stride=stride)
    for length in torch.randint(4000, 40000, (8,), generator=chance).tolist():
        stacks = backbone.log_mel.frame_lengths(torch.tensor([length]))
        hidden = torch.zeros(1, int(stacks), 24)
        for layer in backbone.model.adapter.layers:
            hidden = layer(hidden)
        assert backbone.frame_lengths(torch.tensor([length])).tolist() == [hidden.shape[1]]


def test_too_short_utterance_raises(make):
    with pytest.raises(ValueError, match="at least 560 samples; found 559"):
        make()(torch.zeros(2, 4000), torch.tensor([4000, 559]))


# ---- modules ---------------------------------------------------------------------------------


def test_state_has_each_weight_once(make):
    backbone = make()
    assert set(backbone.state_dict()) == {f"model.{name}" for name in backbone.model.state_dict()}
    assert backbone.feature_encoder is None and backbone.output_size == 32


def test_layers_are_those_of_the_model(make, draw, pad):
    backbone = make()
    batch, seen = pad(draw(2, 4000)), []
    for layer in backbone.layers:
        layer.register_forward_hook(lambda *arguments: seen.append(states(arguments[-1])))
    frames = backbone(*batch)
    assert len(seen) == 2 and torch.equal(seen[-1], frames)
    del backbone.layers[1:]
    assert torch.equal(backbone(*batch), seen[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_affect_log_mel(make, draw, pad, dtype):
    backbone, batch = make(), pad(draw(2, 4000))
    before = backbone.log_mel(*batch)[0]
    expected = backbone(*batch)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(backbone.log_mel(*batch)[0], before)
        torch.testing.assert_close(backbone(*batch).float(), expected, rtol=0, atol=0.2)
    found = backbone.to(dtype)(*batch)
    assert found.dtype == dtype and torch.equal(backbone.log_mel(*batch)[0], before)


def test_loudness_has_no_effect(make, draw, pad):
    backbone = make()
    signals, lengths = pad([torch.randn(8000).clamp(-1, 1) * 0.1 for _ in range(2)])
    frames = backbone(signals, lengths)
    torch.testing.assert_close(backbone(signals * 8, lengths), frames, rtol=0, atol=1e-4)


# ---- training --------------------------------------------------------------------------------


def test_twenty_steps_halve_the_loss(make, draw, pad, halves_its_loss):
    halves_its_loss(make(mask_time_prob=0.0), pad(draw(4, 4000)))


def test_spec_augment_follows_the_configuration_in_training_only(make, draw, pad):
    batch = pad(draw(3, 8000))
    for changes, options, changed in [
        (AUGMENTED, {}, True),
        (AUGMENTED, {"spec_augment": False}, False),
        ({**AUGMENTED, "apply_spec_augment": False}, {}, False),
        ({"mask_time_prob": 0.0}, {}, False),
    ]:
        backbone = make(options=options, **changes)
        before = backbone.model.config.apply_spec_augment
        plain = backbone(*batch)
        difference = (backbone.train()(*batch) - plain).abs().max()
        assert (difference > 1e-3) == changed, (changes, options)
        assert backbone.model.config.apply_spec_augment is before


@pytest.mark.parametrize("lengths", [(560,), (3440, 3440), (3759,), (3760, 560), (4000, 720)])
def test_short_batches_can_be_trained_with_spec_augment(make, lengths):
    # 3440 samples are 10 frames, as many as a masked span
    backbone = make(**AUGMENTED).train()
    frames = backbone(torch.randn(len(lengths), max(lengths)), torch.tensor(lengths))
    frames.sum().backward()
    assert frames.isfinite().all()


def test_layerdrop_skips_layers(make, draw, pad):
    backbone, batch = make(layerdrop=1.0, **ADAPTER, mask_time_prob=0.0), pad(draw(2, 4000))
    assert backbone.layerdrop == 1.0
    seen = []
    for layer in backbone.layers:
        layer.register_forward_hook(lambda *_: seen.append(1))
    # Adapter layers halve the frame rate and are never skipped.
    trained = backbone.train()(*batch)
    assert not seen
    assert trained.shape == backbone.eval()(*batch).shape and len(seen) == 2
    backbone.layerdrop = 0.0
    backbone.train()(*batch)
    assert len(seen) == 4 and backbone.model.config.layerdrop == 0.0


def test_gradient_checkpointing_does_not_change_gradients(save, load, draw, pad):
    folder, gradients = save("wav2vec2-bert", mask_time_prob=0.0), []
    batch = pad(draw(3, 4000))
    for checkpointing in (False, True):
        backbone = load(W2vBertBackbone, folder).train()
        if checkpointing:
            backbone.model.gradient_checkpointing_enable()
        backbone(*batch)[0].square().sum().backward()
        gradients.append({n: p.grad for n, p in backbone.named_parameters()})
    torch.testing.assert_close(*gradients)
