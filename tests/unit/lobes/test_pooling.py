"""Pooling against an independent NumPy implementation, values by hand, invalid arguments."""

import math

import numpy as np
import pytest
import torch

from emosphere_sb.lobes.pooling import (
    AttentiveStatsPooling,
    GatedConvolution,
    MeanPooling,
    SelfAttention,
    StylePooling,
    attention_scale,
)
from tests.helpers import style_pooling_reference as reference

FEATURE, WIDTH, LENGTHS = 5, 8, (9, 1, 4, 6)
# Names of the module's parameters in the reference.
LAYERS = {
    "spectral.0": "spectral.0",
    "spectral.1": "spectral.3",
    "temporal.0": "temporal.0.convolution",
    "temporal.1": "temporal.1.convolution",
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "attention_output": "attention.project",
    "output": "output",
}
SCALES = {"d_model": 1 / math.sqrt(WIDTH), "d_head": 1 / math.sqrt(WIDTH / 2), 0.7: 0.7}


def make_style(scale="d_model", **options):
    """Return a float64 style pooling with random parameters, and the parameters in NumPy."""
    torch.manual_seed(3)
    pooling = StylePooling(FEATURE, WIDTH, attention_scale=scale, **options).double().eval()
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.normal_(std=0.3)
    return pooling, {name: tensor.detach().numpy() for name, tensor in named(pooling).items()}


def named(pooling):
    """Return all parameters of the module by their names in the reference."""
    own = dict(pooling.named_parameters())
    shapes = reference.parameter_shapes(FEATURE, WIDTH)
    found = {name: own.pop(f"{LAYERS[name[: name.rindex('.')]]}.{name.split('.')[-1]}")
             for name in shapes}  # fmt: skip
    assert not own
    return found


def make_batch(filler=0.0):
    """Return frames of unequal lengths, with ``filler`` in padding."""
    chance = torch.Generator().manual_seed(11)
    frames = torch.randn(len(LENGTHS), max(LENGTHS) + 2, FEATURE, generator=chance).double()
    for row, length in enumerate(LENGTHS):
        frames[row, length:] = filler
    return frames, torch.tensor(LENGTHS)


def pooled_by_reference(frames, parameters, scale):
    rows = zip(frames, LENGTHS, strict=True)
    return np.stack(
        [reference.style_pooling(row[:n], parameters, scale=SCALES[scale]) for row, n in rows]
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("filler", [0.0, 1e4])
def test_style_pooling_matches_the_reference(scale, filler):
    pooling, parameters = make_style(scale)
    frames, lengths = make_batch(filler)
    expected = pooled_by_reference(frames.numpy(), parameters, scale)
    np.testing.assert_allclose(pooling(frames, lengths).detach(), expected, rtol=0, atol=1e-10)


def test_scales_give_different_results():
    frames, lengths = make_batch()
    found = [make_style(scale)[0](frames, lengths) for scale in SCALES]
    assert (found[0] - found[1]).abs().max() > 1e-3 < (found[1] - found[2]).abs().max()


@pytest.mark.parametrize("scale", ["d_model", "d_head"])
def test_style_pooling_gradient_of_frames(scale):
    pooling, parameters = make_style(scale)
    frames, lengths = make_batch(filler=2.0)
    upstream = np.random.default_rng(0).standard_normal((len(LENGTHS), WIDTH))
    leaf = frames.clone().requires_grad_()
    pooling(leaf, lengths).backward(torch.from_numpy(upstream))
    indices = range(0, frames.numel(), 3)
    expected = reference.numerical_gradient(
        lambda x: pooled_by_reference(x, parameters, scale), frames.numpy(), upstream, indices
    )
    np.testing.assert_allclose(leaf.grad.flatten()[list(indices)], expected, rtol=0, atol=1e-7)
    assert np.abs(expected).max() > 0.01
    for row, length in enumerate(LENGTHS):
        assert not leaf.grad[row, length:].any()


@pytest.mark.parametrize("scale", ["d_model", "d_head"])
@pytest.mark.parametrize("name", list(reference.parameter_shapes(FEATURE, WIDTH)))
def test_style_pooling_gradient_of_each_parameter(scale, name):
    pooling, parameters = make_style(scale)
    frames, lengths = make_batch()
    upstream = np.random.default_rng(0).standard_normal((len(LENGTHS), WIDTH))
    pooling(frames, lengths).backward(torch.from_numpy(upstream))
    found = named(pooling)[name].grad.flatten().numpy()
    indices = np.random.default_rng(1).permutation(found.size)[:6]

    def pooled(values):
        return pooled_by_reference(frames.numpy(), {**parameters, name: values}, scale)

    expected = reference.numerical_gradient(pooled, parameters[name], upstream, indices)
    np.testing.assert_allclose(found[indices], expected, rtol=0, atol=1e-6)
    # The key bias adds a constant to all scores of a query, which has no effect on the softmax.
    assert (np.abs(expected).max() > 1e-4) == (name != "key.bias")


def test_defaults_are_the_published_values():
    pooling = StylePooling(4)
    assert pooling.output_size == 1024
    assert pooling.attention.heads == 2
    assert pooling.attention.scale == 1 / 32
    assert {layer.convolution.kernel_size for layer in pooling.temporal} == {(5,)}
    assert {layer.convolution.out_channels for layer in pooling.temporal} == {2048}
    dropouts = [m.p for m in pooling.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropouts == [0.1] * 5  # two spectral, two temporal, one after the attention


def test_d_head_scale_is_the_usual_one():
    assert StylePooling(4, attention_scale="d_head").attention.scale == 1 / math.sqrt(512)


def test_dropout_is_applied_in_training_only():
    pooling = make_style(dropout=0.5)[0]
    frames, lengths = make_batch()
    assert torch.equal(pooling(frames, lengths), pooling(frames, lengths))
    pooling.train()
    assert not torch.equal(pooling(frames, lengths), pooling(frames, lengths))


def dropout_factors(seed, time, rate, heads=2):
    """Draw the dropout factors of a batch in the order of the layers, from a random state."""
    torch.manual_seed(seed)
    rows, shape = len(LENGTHS), (len(LENGTHS), time, WIDTH)
    layers = dict.fromkeys(("spectral.0", "spectral.1", "temporal.0", "temporal.1"), shape)
    layers |= {"attention": (rows, heads, time, time), "attention_output": shape}
    return {
        name: torch.nn.functional.dropout(torch.ones(size).double(), rate).numpy()
        for name, size in layers.items()
    }


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_style_pooling_in_training_matches_the_reference(scale, rate):
    pooling, parameters = make_style(scale, dropout=rate)
    frames, lengths = make_batch(filler=1e4)
    pooling.train()
    torch.manual_seed(5)
    found = pooling(frames, lengths).detach()
    factors = dropout_factors(5, frames.shape[1], rate)
    assert (factors["attention"] == 0).any()
    expected = []
    for row, length in enumerate(LENGTHS):
        own = {name: value[row][..., :length, :] for name, value in factors.items()}
        own["attention"] = own["attention"][..., :length]
        expected.append(
            reference.style_pooling(
                frames[row, :length].numpy(), parameters, scale=SCALES[scale], dropout=own
            )
        )
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-10)


def plain_attention(hidden, mask, layers, rate):
    """Compute the published attention: scale 1/sqrt(d_model), dropout of weights and output."""
    query, key, value, project = layers
    width = hidden.shape[-1]
    heads = []
    weights = []
    for columns in (slice(0, width // 2), slice(width // 2, width)):
        scores = query(hidden)[..., columns] @ key(hidden)[..., columns].mT / math.sqrt(width)
        weights.append(scores.masked_fill(~mask[:, None, :], -math.inf).softmax(-1))
    dropped = torch.nn.functional.dropout(torch.stack(weights, dim=1), rate)
    for head, columns in enumerate((slice(0, width // 2), slice(width // 2, width))):
        heads.append(dropped[:, head] @ value(hidden)[..., columns])
    attended = project(torch.cat(heads, dim=-1))
    return hidden + torch.nn.functional.dropout(attended, rate)


def test_training_in_float32_matches_a_plain_implementation():
    """Values and gradients of the published layers, written out with PyTorch's functions."""
    torch.manual_seed(2)
    pooling = StylePooling(FEATURE, WIDTH).train()
    frames, lengths = make_batch()
    frames = frames.float()
    mask = torch.arange(frames.shape[1]) < lengths[:, None]
    functional, linear = torch.nn.functional, torch.nn.functional.linear

    def plain(hidden):
        for layer in (0, 3):
            own = pooling.spectral[layer]
            hidden = functional.dropout(functional.mish(linear(hidden, own.weight, own.bias)), 0.1)
        for block in pooling.temporal:
            conv = block.convolution
            hidden = hidden * mask[..., None]
            mixed = functional.conv1d(hidden.mT, conv.weight, conv.bias, padding=2).mT
            content, gate = mixed.chunk(2, dim=-1)
            hidden = hidden + functional.dropout((content * gate.sigmoid()).contiguous(), 0.1)
        own = pooling.attention
        layers = (own.query, own.key, own.value, own.project)
        hidden = pooling.output(plain_attention(hidden, mask, layers, 0.1)) * mask[..., None]
        return hidden.sum(dim=1) / lengths[:, None]

    results = []
    for function in (lambda x: pooling(x, lengths), plain):
        pooling.zero_grad()
        leaf = frames.clone().requires_grad_()
        torch.manual_seed(9)
        output = function(leaf)
        output.sin().sum().backward()
        results.append([output, leaf.grad, *(p.grad.clone() for p in pooling.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_attention_weights_are_dropped_in_training_only():
    attention = SelfAttention(4, 2, 0.5)
    attention.project = torch.nn.Identity()
    hidden, mask = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    values = attention.value(hidden)
    attention.query = attention.key = torch.nn.Identity()
    torch.nn.init.zeros_(attention.value.weight)  # all values equal the bias
    with torch.no_grad():
        kept = attention.eval()(hidden, mask) - hidden
        torch.testing.assert_close(kept, attention.value.bias.expand_as(values))
        attention.train().dropout.train()
        torch.manual_seed(0)
        ratio = (attention(hidden, mask) - hidden) / attention.value.bias / 2
    # Without dropout of the weights, the output would be 0 or 2 times the bias.
    kept = ratio[ratio != 0]
    assert len(kept) and not torch.allclose(kept, torch.ones_like(kept), atol=1e-3)


def test_mean_pooling_by_hand():
    frames = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[5.0, 6.0], [7.0, 7.0], [0, 0]]])
    assert MeanPooling(2)(frames, torch.tensor([2, 1])).tolist() == [[2.0, 2.0], [5.0, 6.0]]


def test_mean_pooling_is_exact_beyond_bfloat16_counts():
    frames = torch.ones(1, 1000, 1, dtype=torch.bfloat16)
    assert MeanPooling(1)(frames, torch.tensor([1000])).item() == 1.0


def attentive_statistics(frames, pooling):
    """Pool one utterance (time, feature) by equations 2 to 6 of Okabe et al. (2018) in NumPy."""
    weight, bias, vector = (p.detach().numpy() for p in pooling.parameters())
    scores = np.tanh(frames @ weight.T + bias) @ vector[0]
    share = np.exp(scores) / np.exp(scores).sum()
    mean = share @ frames
    deviation = np.sqrt(np.maximum(share @ frames**2 - mean**2, 1e-5))
    return np.concatenate([mean, deviation])


@pytest.mark.parametrize("filler", [0.0, 1e4, math.nan])
def test_attentive_statistics_match_the_paper(filler):
    torch.manual_seed(0)
    pooling = AttentiveStatsPooling(FEATURE).double()
    frames, lengths = make_batch(filler)
    rows = zip(frames.numpy(), LENGTHS, strict=True)
    expected = np.stack([attentive_statistics(row[:n], pooling) for row, n in rows])
    np.testing.assert_allclose(pooling(frames, lengths).detach(), expected, rtol=0, atol=1e-9)


def test_attentive_statistics_in_training_match_a_plain_implementation():
    """Equal random states, which the layer does not use: it has no dropout."""
    torch.manual_seed(4)
    pooling = AttentiveStatsPooling(FEATURE).train()
    frames, lengths = make_batch()
    frames = frames.float()

    def plain(values):
        rows = []
        for row, length in zip(values, LENGTHS, strict=True):
            own = row[:length]
            scores = torch.tanh(pooling.hidden(own)) @ pooling.score.weight[0]
            share = torch.exp(scores - scores.max())
            share = (share / share.sum())[:, None]
            mean = (share * own).sum(dim=0)
            variance = (share * (own - mean) ** 2).sum(dim=0)
            rows.append(torch.cat([mean, variance.clamp(min=1e-5).sqrt()]))
        return torch.stack(rows)

    results = []
    for function in (lambda x: pooling(x, lengths), plain):
        pooling.zero_grad()
        leaf = frames.clone().requires_grad_()
        torch.manual_seed(9)
        output = function(leaf)
        output.sin().sum().backward()
        results.append([output, leaf.grad, *(p.grad.clone() for p in pooling.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def attended_frames(pooling, frames):
    """Return the effective number of attended frames, 1 / sum of squared weights."""
    share = pooling.score(torch.tanh(pooling.hidden(frames))).squeeze(-1).softmax(dim=-1)
    return float((1 / share.square().sum(dim=-1)).mean())


def test_attentive_statistics_have_the_official_initialisation():
    torch.manual_seed(0)
    official, uniform = AttentiveStatsPooling(1024), AttentiveStatsPooling(1024, "uniform")
    assert float(official.score.weight.detach().std()) == pytest.approx(1.0, abs=0.08)
    assert float(uniform.score.weight.detach().std()) == pytest.approx(1 / math.sqrt(3072), rel=0.1)
    frames = torch.randn(20, 300, 1024)
    with torch.no_grad():
        # As measured with the official code: it attends to about two of 300 frames.
        assert attended_frames(official, frames) < 5
        assert attended_frames(uniform, frames) > 280


def test_fault_unknown_initialisation():
    with pytest.raises(ValueError, match="one of normal, uniform; found 'xavier'"):
        AttentiveStatsPooling(4, "xavier")


def test_attentive_statistics_train_on_constant_frames():
    pooling = AttentiveStatsPooling(3)
    frames = torch.ones(2, 4, 3, requires_grad=True)
    pooling(frames, torch.tensor([4, 1])).sum().backward()
    assert frames.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in pooling.parameters())


def test_attentive_statistics_are_float32_under_autocast():
    pooling = AttentiveStatsPooling(3)
    frames, lengths = torch.randn(2, 300, 3), torch.tensor([300, 120])
    expected = pooling(frames, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pooling(frames, lengths)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


@pytest.mark.parametrize("make", [StylePooling, MeanPooling, AttentiveStatsPooling])
def test_output_has_output_size(make):
    pooling = make(6)
    found = pooling(torch.randn(2, 5, 6), torch.tensor([5, 1]))
    assert found.shape == (2, pooling.output_size)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"heads": 3}, r"width \(8\) must be divisible by heads \(3\)"),
        ({"heads": 0}, r"divisible by heads \(0\)"),
        ({"kernel_size": 4}, "kernel_size must be odd, .*; found 4"),
        ({"kernel_size": -1}, "kernel_size must be odd"),
    ],
)
def test_invalid_sizes_raise(options, text):
    with pytest.raises(ValueError, match=text):
        StylePooling(4, 8, **options)


@pytest.mark.parametrize("scale", ["dmodel", 0, -1.0, math.inf, math.nan, True, None, [1.0]])
def test_invalid_scales_raise(scale):
    with pytest.raises(ValueError, match="attention_scale must be d_model"):
        attention_scale(scale, 8, 2)


def test_gated_convolution_keeps_the_length():
    for time in (1, 2, 7):
        assert GatedConvolution(4, 7)(torch.zeros(1, time, 4)).shape == (1, time, 4)


def test_attention_ignores_padded_keys():
    attention = SelfAttention(4, 2, 0.0).eval()
    hidden, mask = torch.randn(1, 3, 4), torch.tensor([[True, True, False]])
    alone = attention(hidden[:, :2], mask[:, :2])
    hidden[:, 2] = 1e3
    torch.testing.assert_close(attention(hidden, mask)[:, :2], alone)


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 9, 8), (4, 9, 8)])
@pytest.mark.parametrize("training", [True, False])
def test_gated_convolution_matches_pytorch(shape, training):
    block = GatedConvolution(8, 5, dropout=0.0).double().train(training)
    hidden = torch.randn(shape, dtype=torch.float64)

    def stock(values):
        mixed = block.convolution(values.transpose(1, 2))
        return values + torch.nn.functional.glu(mixed, dim=1).transpose(1, 2)

    found = []
    for function in (block, stock):
        block.zero_grad()
        values = hidden.clone().requires_grad_()
        output = function(values)
        output.sin().sum().backward()
        found.append([output, values.grad, *(p.grad for p in block.parameters())])
    for value, expected in zip(*found, strict=True):
        torch.testing.assert_close(value, expected)
    with torch.no_grad():
        for _ in range(2):  # in evaluation the second pass uses the cached kernel
            torch.testing.assert_close(block(hidden), stock(hidden))
            block.convolution.weight.mul_(-1.5)
