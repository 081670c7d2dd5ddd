"""WavLM attention: outputs and gradients against transformers on random data."""

import copy
import secrets
import sys

import pytest
import torch
from transformers import WavLMConfig, WavLMModel
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from emosphere_sb import backbones
from emosphere_sb.backbones import wavlm_attention
from emosphere_sb.backbones.waveform_models import WaveformBackbone, wavlm_attention_is_supported
from emosphere_sb.backbones.wavlm_attention import GatedAttention, attend, matches_transformers

SEED = secrets.randbelow(2**32)
NARROW = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0,
    "mask_time_prob": 0.0,
}  # fmt: skip
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def pair(**changes):
    """Return transformers' attention and its replacement with the same random weights."""
    torch.manual_seed(SEED)
    options = {"embed_dim": 32, "num_heads": 4, "num_buckets": 32, "max_distance": 40}
    stock = WavLMAttention(**{**options, **changes})
    for parameter in stock.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    fast = copy.deepcopy(stock)
    fast.__class__ = GatedAttention
    return stock, fast


def run(module, frames, mask=None):
    """Return the output and all gradients, including those of frames and position bias."""
    module.zero_grad()
    frames = frames.clone().requires_grad_()
    first, _, bias = module(frames, attention_mask=mask)
    output, _, _ = module(first, attention_mask=mask, position_bias=bias)
    valid = torch.ones(frames.shape[:2], dtype=torch.bool) if mask is None else mask
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(SEED))
    (output * weights.to(output.dtype))[valid].sum().backward()
    return {name: p.grad for name, p in module.named_parameters()} | {
        "frames": frames.grad[valid], "output": output.detach()[valid],
    }  # fmt: skip


@pytest.mark.parametrize("padded", [False, True])
def test_output_and_gradients_match_transformers(padded):
    stock, fast = pair()
    chance = torch.Generator().manual_seed(SEED)
    size = int(torch.randint(20, 90, (1,), generator=chance))
    lengths = torch.randint(1, size + 1, (5,), generator=chance)
    lengths[0] = size
    frames = torch.randn(5, size, 32, generator=chance)
    mask = torch.arange(size) < lengths.unsqueeze(1) if padded else None
    found, expected = run(fast, frames, mask), run(stock, frames, mask)
    scale = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        error = float((found[name] - value).abs().max())
        assert error < 1e-5 * scale, f"{name}: {error:.1e} of {scale:.1e} (seed {SEED})"
    # In float64 the difference vanishes, so it is due to rounding.
    found, expected = run(fast.double(), frames.double(), mask), run(
        stock.double(), frames.double(), mask
    )  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("norm", [LAYER, {"feat_extract_norm": "group"}])
def test_model_output_matches_transformers(norm):
    torch.manual_seed(SEED)
    stock = WavLMModel(WavLMConfig(**{**NARROW, **norm})).eval()
    fast = WaveformBackbone(copy.deepcopy(stock))
    assert isinstance(fast.model.encoder.layers[0].attention, GatedAttention)
    assert fast.model.state_dict().keys() == stock.state_dict().keys()
    chance = torch.Generator().manual_seed(SEED)
    lengths = [9000, 2500, 400, 5000]
    signals = torch.zeros(4, 9000)
    for row, length in enumerate(lengths):
        signals[row, :length] = torch.randn(length, generator=chance)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            found = fast(signals, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            with torch.no_grad():
                alone = stock(signals[row : row + 1, :length]).last_hidden_state[0]
            error = float((found[row, : len(alone)] - alone).abs().max())
            assert error < 1e-5, f"{length} samples: {error:.1e} (seed {SEED})"


def test_model_gradients_match_transformers():
    torch.manual_seed(SEED)
    stock = WavLMModel(WavLMConfig(**NARROW, **LAYER)).eval().double()
    fast = WaveformBackbone(copy.deepcopy(stock))
    signals = torch.randn(3, 6000, dtype=torch.float64)
    lengths = torch.tensor([6000, 6000, 6000])
    weights = torch.randn(3, 18, 32, dtype=torch.float64)
    (stock(signals).last_hidden_state * weights).sum().backward()
    (fast(signals, lengths) * weights).sum().backward()
    expected = {name: p.grad for name, p in stock.named_parameters() if p.grad is not None}
    found = {name: p.grad for name, p in fast.model.named_parameters() if p.grad is not None}
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_gated_bias_by_hand():
    """With queries of 0, the weights are softmax(gate · bias) over valid frames."""
    zero = torch.zeros(1, 1, 2, 1)
    value = torch.tensor([[[[1.0], [3.0]]]])
    bias = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])
    gate = torch.tensor([[[2.0, 0.5]]])
    share = torch.tensor([2.0, -1.0]).sigmoid()  # of the second frame
    for tensors in ((zero, zero), (zero.clone().requires_grad_(), zero)):
        found = attend(*tensors, value, gate, bias, None).flatten()
        torch.testing.assert_close(found, 1 + 2 * share)
        alone = attend(*tensors, value, gate, bias, torch.tensor([[True, False]])).flatten()
        torch.testing.assert_close(alone[:1], torch.ones(1))  # the other frame is padding


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradients_match_finite_differences(dropout, monkeypatch):
    """With dropout, the mask is fixed."""
    chance = torch.Generator().manual_seed(SEED)

    def draw(*shape):
        return torch.randn(*shape, generator=chance, dtype=torch.float64).requires_grad_()

    keep = torch.rand(2, 5, 5, generator=chance) >= dropout
    monkeypatch.setattr(
        wavlm_attention, "keep_mask", lambda shape, p: keep[:, : shape[1], : shape[2]].contiguous()
    )
    inputs = [draw(2, 2, 5, 3), draw(2, 2, 5, 3), draw(2, 2, 5, 3), draw(2, 2, 5), draw(2, 5, 5)]
    valid = torch.tensor([[True] * 5, [True, True, True, False, False]])
    assert torch.autograd.gradcheck(lambda *t: attend(*t, valid, dropout), inputs)


def test_attention_dropout_is_unbiased_and_reproducible():
    query = torch.zeros(1, 1, 200, 4, requires_grad=True)
    value = torch.ones(1, 1, 200, 4)
    gate, bias = torch.zeros(1, 1, 200), torch.zeros(1, 200, 200)
    outputs = []
    for _ in range(2):
        torch.manual_seed(SEED)
        outputs.append(attend(query, query, value, gate, bias, None, 0.3))
    assert torch.equal(*outputs)
    # Each value is a mean of 200 values that are 0 or 1 / 0.7.
    assert outputs[0].mean().item() == pytest.approx(1.0, abs=0.02)
    assert outputs[0][0, 0, :, 0].std().item() == pytest.approx((0.3 / 0.7 / 200) ** 0.5, rel=0.3)


def test_bias_matches_transformers():
    stock, fast = pair()
    for frames in (1, 2, 17, 130):
        assert torch.equal(fast.compute_bias(frames, frames), stock.compute_bias(frames, frames))


def test_check_works_while_a_released_model_is_built():
    with torch.device("meta"):
        assert matches_transformers()


def test_different_transformers_attention_is_not_patched(monkeypatch, caplog):
    assert matches_transformers()
    right = wavlm_attention.GatedAttention._gate
    monkeypatch.setattr(GatedAttention, "_gate", lambda self, heads: 1.01 * right(self, heads))
    assert not matches_transformers()
    wavlm_attention_is_supported.cache_clear()
    try:
        model = WaveformBackbone(WavLMModel(WavLMConfig(**NARROW))).model
        assert type(model.encoder.layers[0].attention) is WavLMAttention
        assert "Falling back to the transformers implementation" in caplog.text
    finally:
        wavlm_attention_is_supported.cache_clear()


def test_missing_transformers_attention_is_not_patched(monkeypatch, caplog):
    monkeypatch.delattr(backbones, "wavlm_attention")
    monkeypatch.setitem(sys.modules, "emosphere_sb.backbones.wavlm_attention", None)
    wavlm_attention_is_supported.cache_clear()
    try:
        model = WaveformBackbone(WavLMModel(WavLMConfig(**NARROW))).model
        assert type(model.encoder.layers[0].attention) is WavLMAttention
        assert "Falling back to the transformers implementation" in caplog.text
    finally:
        wavlm_attention_is_supported.cache_clear()


def test_matches_transformers_with_disabled_weight_initialisation():
    from transformers.initialization import no_init_weights

    with no_init_weights():
        assert all(matches_transformers() for _ in range(3))


def test_matches_transformers_keeps_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    matches_transformers()
    assert torch.equal(torch.rand(1), expected)


def test_matches_transformers_while_a_model_is_built_without_memory():
    with torch.device("meta"):
        assert matches_transformers()
