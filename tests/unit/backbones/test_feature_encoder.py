"""The feature encoder as matrix products against transformers' own convolutions.

Signals are drawn anew in every run; a failure names the seed that repeats it.
"""

import copy
import secrets

import pytest
import torch
from transformers import AutoModel, Data2VecAudioConfig, HubertConfig, Wav2Vec2Config, WavLMConfig

from emosphere_sb.backbones.feature_encoder import (
    PIECE,
    FeatureEncoder,
    fold_group_norm,
    is_supported,
    number_of_frames,
    number_of_frames_of,
)

SEED = secrets.randbelow(2**32)
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
KINDS = {
    "group": (WavLMConfig, {"feat_extract_norm": "group"}),
    "layer": (WavLMConfig, {"feat_extract_norm": "layer"}),
    "layer, bias": (Wav2Vec2Config, {"feat_extract_norm": "layer", "conv_bias": True}),
    "group, bias": (HubertConfig, {"feat_extract_norm": "group", "conv_bias": True}),
    "relu": (WavLMConfig, {"feat_extract_activation": "relu"}),
    "data2vec": (Data2VecAudioConfig, {}),
}


def pair(kind, width=24):
    """transformers' feature encoder and ours on the same weights."""
    torch.manual_seed(SEED)
    family, changes = KINDS[kind]
    config = family(**SMALL, conv_dim=[width] * 7, **changes)
    stock = AutoModel.from_config(config).feature_extractor.eval()
    for parameter in stock.parameters():  # norms begin as 1 and 0, which would hide their use
        torch.nn.init.normal_(parameter, std=0.3)
    return stock, FeatureEncoder(copy.deepcopy(stock))


def draw(*lengths):
    chance = torch.Generator().manual_seed(SEED)
    signals = torch.full((len(lengths), max(lengths)), float("nan"))
    for row, length in enumerate(lengths):
        signals[row, :length] = torch.randn(length, generator=chance)
    return signals, torch.tensor(lengths)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_of_each_utterance_alone(kind, frozen, together):
    """Padding is NaN: it must not be touched where rows run one by one, as on a CPU."""
    stock, ours = pair(kind)
    if frozen:
        ours._freeze_parameters()
    chance = torch.Generator().manual_seed(SEED)
    lengths = [int(n) for n in torch.randint(400, 9000, (4,), generator=chance)] + [400, 719, 720]
    signals, counts = draw(*lengths)
    if together:  # as on a GPU
        ours._by_row = ours._together
        signals = signals.nan_to_num(0.0)
    ours.lengths = counts
    found = ours(signals)
    assert found.requires_grad is not frozen
    for row, length in enumerate(lengths):
        alone = stock(signals[row : row + 1, :length].clone())[0]
        message = f"{kind}, {length} samples, seed {SEED}"
        part = found[row, :, : alone.shape[1]]
        torch.testing.assert_close(
            part, alone, rtol=1e-4, atol=1e-5, msg=lambda text, m=message: f"{m}: {text}"
        )
        assert not found[row, :, alone.shape[1] :].any()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_transformers_own(kind):
    stock, ours = pair(kind)
    signals, _ = draw(3000, 3000)
    signals.requires_grad_()
    weights = torch.randn(24, number_of_frames(stock.conv_layers, 3000))
    gradients = []
    for encoder in (stock.double(), ours.double()):
        inputs = signals.detach().double().requires_grad_()
        (encoder(inputs) * weights).sum().backward()
        named = {name: p.grad for name, p in encoder.named_parameters()}
        gradients.append({**named, "signals": inputs.grad})
    assert len(gradients[0]) > 7
    if kind == "group, bias":  # a bias before a norm over time does nothing: 0 but for rounding
        first = "conv_layers.0.conv.bias"
        assert gradients[0].pop(first).abs().max() < 1e-9
        assert gradients[1].pop(first) is None
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)


def test_a_long_utterance_runs_in_pieces_that_fit_together():
    stock, ours = pair("layer", width=8)
    ours._freeze_parameters()
    samples = 320 * (2 * PIECE + 7) + 123
    signals, _ = draw(samples)
    sizes = []
    stack = ours._stack
    ours._stack = lambda part, *first: sizes.append(len(part)) or stack(part, *first)
    torch.testing.assert_close(ours(signals), stock(signals), rtol=1e-4, atol=1e-5)
    assert len(sizes) == 3
    assert max(sizes) == 320 * (PIECE - 1) + 400


@pytest.mark.parametrize("kind", ["group", "layer"])
def test_as_near_to_float64_as_transformers_own(kind):
    """At the real width. The two round differently: measured, ours is .9 to 1.4 times as far."""
    stock, ours = pair(kind, width=512)
    for encoder in (stock, ours):
        encoder.requires_grad_(False)
        for parameter in encoder.parameters():
            if parameter.dim() == 3:
                torch.nn.init.kaiming_normal_(parameter, generator=torch.manual_seed(SEED))
    signals, _ = draw(16000)
    errors = []
    reference = copy.deepcopy(stock).double()(signals.double())
    for encoder in (stock, ours):
        errors.append(float((encoder(signals).double() - reference).square().mean().sqrt()))
    assert errors[1] <= 2 * errors[0], f"seed {SEED}"
    assert errors[1] < 1e-6 * float(reference.abs().max()), f"seed {SEED}"


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", ["group", "layer", "data2vec"])
def test_autocast_is_as_near_to_float32_as_transformers_own(kind, frozen):
    stock, ours = pair(kind)
    if frozen:
        ours._freeze_parameters()
    signals, _ = draw(6000)
    reference, errors = stock(signals), []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for encoder in (stock, ours):
            found = encoder(signals)
            assert found.dtype == torch.bfloat16
            errors.append((found.float() - reference).square().mean().sqrt().item())
    assert 0 < errors[1] < 2 * errors[0], f"seed {SEED}"


def test_frozen_weights_are_read_again_when_they_change():
    stock, ours = pair("layer")
    ours._freeze_parameters()
    signals, _ = draw(2000)
    first = ours(signals)
    for encoder in (stock, ours):
        torch.manual_seed(SEED + 1)
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    assert not torch.allclose(ours(signals), first)
    torch.testing.assert_close(ours(signals), stock(signals), rtol=1e-4, atol=1e-5)
    copy.deepcopy(ours)  # what is kept is not copied
    assert ours.state_dict().keys() == stock.state_dict().keys()


def test_group_norm_folded_by_hand():
    """Windows (1), (3) of one tap: mean 2, variance 1; weight 2 gives mean 4, deviation 2."""
    norm = torch.nn.GroupNorm(1, 1, eps=0.0)
    torch.nn.init.constant_(norm.weight, 5.0)
    torch.nn.init.constant_(norm.bias, 1.0)
    windows = torch.tensor([[1.0], [3.0], [99.0]], dtype=torch.float64)
    weight, bias = fold_group_norm(windows, torch.tensor([2]), torch.tensor([[2.0]]).double(), norm)
    # (2x - 4) / 2 · 5 + 1
    assert (weight.item(), bias.item()) == (5.0, -9.0)


def test_frames_of_10000_lengths_are_those_of_the_convolutions():
    """On a device without numbers only sizes are computed, by the convolutions themselves."""
    stock, _ = pair("layer", width=1)
    config = WavLMConfig()
    chance = torch.Generator().manual_seed(SEED)
    lengths = [*range(400, 9900), *torch.randint(9900, 500_000, (500,), generator=chance).tolist()]
    layers = [layer.conv.to("meta") for layer in stock.conv_layers]
    for length in lengths:
        frames = torch.empty(1, 1, length, device="meta")
        for conv in layers:
            frames = conv(frames)
        assert number_of_frames(stock.conv_layers, length) == frames.shape[-1], length
    found = number_of_frames_of(config, torch.tensor(lengths))
    assert found.tolist() == [number_of_frames(stock.conv_layers, length) for length in lengths]


def test_what_is_not_supported_is_left_alone():
    stock, _ = pair("layer")
    assert is_supported(stock)
    stock.conv_layers[2].conv.padding = (1,)
    assert not is_supported(stock)
    assert not is_supported(torch.nn.Linear(1, 1))


def test_too_short_an_utterance_says_so():
    _, ours = pair("layer")
    with pytest.raises(ValueError, match="A frame needs 400 samples; found 399"):
        ours(torch.zeros(1, 399))
