"""Feature encoder as matrix products, compared with the convolutions of transformers.

Signals are drawn anew in every run; a failure names the seed that repeats it.
"""

import copy
import secrets

import pytest
import torch
from transformers import AutoModel, Data2VecAudioConfig, HubertConfig, Wav2Vec2Config, WavLMConfig

from emosphere_sb.backbones.feature_encoder import (
    CHUNK_FRAMES,
    FeatureEncoder,
    fold_group_norm,
    frame_count,
    frame_count_from_config,
    is_supported_encoder,
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
    """Return transformers' feature encoder and its replacement with the same weights."""
    torch.manual_seed(SEED)
    family, changes = KINDS[kind]
    config = family(**SMALL, conv_dim=[width] * 7, **changes)
    stock = AutoModel.from_config(config).feature_extractor.eval()
    for parameter in stock.parameters():  # the initial 1 and 0 of norms would hide errors
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
def test_frames_do_not_depend_on_padding(kind, frozen, together):
    """Padding is NaN if rows run one by one, as on the CPU, because it must not be read."""
    stock, fast = pair(kind)
    if frozen:
        fast._freeze_parameters()
    chance = torch.Generator().manual_seed(SEED)
    lengths = [int(n) for n in torch.randint(400, 9000, (4,), generator=chance)] + [400, 719, 720]
    signals, counts = draw(*lengths)
    if together:  # as on a GPU
        fast._encode_rows = fast._encode_batch
        signals = signals.nan_to_num(0.0)
    fast.lengths = counts
    found = fast(signals)
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
def test_gradients_match_transformers(kind):
    stock, fast = pair(kind)
    signals, _ = draw(3000, 3000)
    signals.requires_grad_()
    weights = torch.randn(24, frame_count(stock.conv_layers, 3000))
    gradients = []
    for encoder in (stock.double(), fast.double()):
        inputs = signals.detach().double().requires_grad_()
        (encoder(inputs) * weights).sum().backward()
        named = {name: p.grad for name, p in encoder.named_parameters()}
        gradients.append({**named, "signals": inputs.grad})
    assert len(gradients[0]) > 7
    if (
        kind == "group, bias"
    ):  # a bias before a norm over time has no effect: the gradient is 0 up to rounding
        first = "conv_layers.0.conv.bias"
        assert gradients[0].pop(first).abs().max() < 1e-9
        assert gradients[1].pop(first) is None
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)


def test_chunks_of_a_long_utterance_match_one_pass():
    stock, fast = pair("layer", width=8)
    fast._freeze_parameters()
    samples = 320 * (2 * CHUNK_FRAMES + 7) + 123
    signals, _ = draw(samples)
    sizes = []
    stack = fast._apply_convs
    fast._apply_convs = lambda part, *first: sizes.append(len(part)) or stack(part, *first)
    torch.testing.assert_close(fast(signals), stock(signals), rtol=1e-4, atol=1e-5)
    assert len(sizes) == 3
    assert max(sizes) == 320 * (CHUNK_FRAMES - 1) + 400


@pytest.mark.parametrize("kind", ["group", "layer"])
def test_rounding_error_is_similar_to_transformers(kind):
    """At the real width. Rounding differs: the measured error is .9 to 1.4 times as large."""
    stock, fast = pair(kind, width=512)
    for encoder in (stock, fast):
        encoder.requires_grad_(False)
        for parameter in encoder.parameters():
            if parameter.dim() == 3:
                torch.nn.init.kaiming_normal_(parameter, generator=torch.manual_seed(SEED))
    signals, _ = draw(16000)
    errors = []
    reference = copy.deepcopy(stock).double()(signals.double())
    for encoder in (stock, fast):
        errors.append(float((encoder(signals).double() - reference).square().mean().sqrt()))
    assert errors[1] <= 2 * errors[0], f"seed {SEED}"
    assert errors[1] < 1e-6 * float(reference.abs().max()), f"seed {SEED}"


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", ["group", "layer", "data2vec"])
def test_autocast_error_is_similar_to_transformers(kind, frozen):
    stock, fast = pair(kind)
    if frozen:
        fast._freeze_parameters()
    signals, _ = draw(6000)
    reference, errors = stock(signals), []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for encoder in (stock, fast):
            found = encoder(signals)
            assert found.dtype == torch.bfloat16
            errors.append((found.float() - reference).square().mean().sqrt().item())
    assert 0 < errors[1] < 2 * errors[0], f"seed {SEED}"


def test_cached_blocks_are_updated_when_weights_change():
    stock, fast = pair("layer")
    fast._freeze_parameters()
    signals, _ = draw(2000)
    first = fast(signals)
    for encoder in (stock, fast):
        torch.manual_seed(SEED + 1)
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    assert not torch.allclose(fast(signals), first)
    torch.testing.assert_close(fast(signals), stock(signals), rtol=1e-4, atol=1e-5)
    copy.deepcopy(fast)  # the cache is not copied
    assert fast.state_dict().keys() == stock.state_dict().keys()


def test_fold_group_norm_by_hand():
    """Windows (1), (3) of one tap: mean 2, variance 1; a weight of 2 gives mean 4, SD 2."""
    norm = torch.nn.GroupNorm(1, 1, eps=0.0)
    torch.nn.init.constant_(norm.weight, 5.0)
    torch.nn.init.constant_(norm.bias, 1.0)
    windows = torch.tensor([[1.0], [3.0], [99.0]], dtype=torch.float64)
    weight, bias = fold_group_norm(windows, torch.tensor([2]), torch.tensor([[2.0]]).double(), norm)
    # (2x - 4) / 2 · 5 + 1
    assert (weight.item(), bias.item()) == (5.0, -9.0)


def test_frame_count_matches_convolutions_for_10000_lengths():
    """Run the convolutions on the meta device, which computes shapes only."""
    stock, _ = pair("layer", width=1)
    config = WavLMConfig()
    chance = torch.Generator().manual_seed(SEED)
    lengths = [*range(400, 9900), *torch.randint(9900, 500_000, (500,), generator=chance).tolist()]
    layers = [layer.conv.to("meta") for layer in stock.conv_layers]
    for length in lengths:
        frames = torch.empty(1, 1, length, device="meta")
        for conv in layers:
            frames = conv(frames)
        assert frame_count(stock.conv_layers, length) == frames.shape[-1], length
    found = frame_count_from_config(config, torch.tensor(lengths))
    assert found.tolist() == [frame_count(stock.conv_layers, length) for length in lengths]


def test_unsupported_encoders_are_rejected():
    stock, _ = pair("layer")
    assert is_supported_encoder(stock)
    stock.conv_layers[2].conv.padding = (1,)
    assert not is_supported_encoder(stock)
    assert not is_supported_encoder(torch.nn.Linear(1, 1))


def test_too_short_utterance_raises():
    _, fast = pair("layer")
    with pytest.raises(ValueError, match=r"at least 400 samples \(one frame\); found 399"):
        fast(torch.zeros(1, 399))
