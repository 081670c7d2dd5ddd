"""FFT positional convolution: values and gradients against PyTorch's convolution."""

import copy
import pickle
import secrets

import pytest
import torch
from torch import nn

from emosphere_sb.backbones import positional_conv
from emosphere_sb.backbones.positional_conv import (
    SpectralConv1d,
    is_supported_convolution,
    patch_positional_conv,
)
from emosphere_sb.backbones.weight_cache import WeightCache

SEED = secrets.randbelow(2**32)


def pair(kernel=128, padding=64, bias=True):
    torch.manual_seed(SEED)
    stock = nn.Conv1d(32, 48, kernel, padding=padding, groups=4, bias=bias)
    fast = copy.deepcopy(stock)
    fast.__class__, fast.weight_cache = SpectralConv1d, WeightCache()
    return stock, fast


@pytest.mark.parametrize("options", [{}, {"kernel": 33, "padding": 5}, {"bias": False}])
@pytest.mark.parametrize("frames", [1, 49, 300])
def test_values_and_gradients_match_pytorch(frames, options, monkeypatch):
    monkeypatch.setattr(positional_conv, "MIN_TRAINING_FRAMES", 0)
    stock, fast = pair(**options)
    if frames + 2 * stock.padding[0] < stock.kernel_size[0]:
        pytest.skip("no frame comes out")
    values = torch.randn(3, 32, frames)
    found = []
    for conv in (stock.double(), fast):
        inputs = values.to(conv.weight.dtype).requires_grad_()
        output = conv(inputs)
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(SEED))
        (output * weights.to(output.dtype)).sum().backward()
        found.append([output.detach(), inputs.grad, *(p.grad for p in conv.parameters())])
    for expected, value in zip(*found, strict=True):
        error = (value.double() - expected).abs().max() / expected.abs().max()
        assert error < 5e-6, f"seed {SEED}"


def test_other_dtypes_use_pytorch_convolution():
    stock, fast = pair()
    values = torch.randn(1, 32, 20, dtype=torch.float64)
    assert torch.equal(stock.double()(values), fast.double()(values))


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_frames_are_convolved_in_float32(autocast):
    stock, fast = pair()
    values = torch.randn(2, 32, 70).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast), torch.no_grad():
        found = fast(values)
    assert found.dtype == torch.bfloat16
    expected = stock(values.float())
    assert (found - expected).abs().max() <= 2**-8 * expected.abs().max(), f"seed {SEED}"


def test_model_in_bfloat16():
    stock, fast = pair()
    values = torch.randn(2, 32, 70).bfloat16()
    with torch.no_grad():
        expected = stock.bfloat16()(values).float()
        found = fast.bfloat16()(values)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() <= 2**-6 * expected.abs().max(), f"seed {SEED}"


def test_weight_norm_is_preserved():
    torch.manual_seed(SEED)
    conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 8, 64, padding=32, groups=2), dim=2)
    model = nn.Module()
    model.encoder = nn.Module()
    model.encoder.pos_conv_embed = nn.Sequential(conv, nn.GELU())
    names, values = set(model.state_dict()), torch.randn(2, 8, 30)
    expected = conv(values)
    patch_positional_conv(model)
    assert isinstance(conv, SpectralConv1d) and set(model.state_dict()) == names
    torch.testing.assert_close(conv(values), expected, rtol=1e-4, atol=1e-5)
    conv(values).sum().backward()
    assert all(p.grad is not None for p in conv.parameters())
    with torch.no_grad():
        conv.parametrizations.weight.original0.mul_(2.0)
    torch.testing.assert_close(
        conv(values) - conv.bias[:, None], 2 * (expected - conv.bias[:, None]), rtol=1e-3, atol=1e-4
    )


def test_unsupported_convolutions_are_not_patched():
    assert is_supported_convolution(nn.Conv1d(4, 4, 128, padding=64))
    assert not is_supported_convolution(nn.Conv1d(4, 4, 19, padding=9))
    assert not is_supported_convolution(nn.Conv1d(4, 4, 128, padding="same"))
    assert not is_supported_convolution(nn.Conv1d(4, 4, 128, stride=2))


def test_small_batches_use_pytorch_convolution_in_training(monkeypatch):
    stock, fast = pair()
    monkeypatch.setattr(fast, "_spectrum", lambda size: pytest.fail("no spectrum is needed"))
    values = torch.randn(2, 32, 100)
    assert torch.equal(stock(values), fast(values))


@pytest.mark.parametrize("change", ["in place", "loaded", "past autograd, in training"])
def test_evaluation_uses_updated_weights(change):
    stock, fast = (conv.eval() for conv in pair())
    values = torch.randn(2, 32, 100)
    with torch.no_grad():
        first = fast(values)
        torch.testing.assert_close(first, stock(values), rtol=1e-4, atol=1e-5)
        if change == "in place":
            fast.weight.mul_(2.0)
        elif change == "loaded":
            fast.load_state_dict({"weight": 2 * fast.weight, "bias": fast.bias})
        else:  # as third-party optimisers do; not recorded by autograd's version counter
            fast.train()(values)
            fast.weight.data.mul_(2.0)
            fast.eval()
        bias = fast.bias[:, None]
        torch.testing.assert_close(fast(values) - bias, 2 * (first - bias), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_evaluation_uses_weights_updated_by_a_fused_optimiser(fused):
    """Fused steps do not change autograd's version counter, and small batches use no spectrum."""
    _, fast = pair()
    values = torch.randn(2, 32, 100)
    optimizer = torch.optim.AdamW(fast.parameters(), 0.1, fused=fused)
    for _ in range(2):
        with torch.no_grad():
            found = fast.eval()(values)
            expected = nn.functional.conv1d(values, fast.weight, fast.bias, padding=64, groups=4)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        fast.train()(values).sum().backward()
        optimizer.step()


def test_cache_is_not_saved():
    _, fast = pair()
    values = torch.randn(2, 32, 100)
    with torch.inference_mode():
        expected = fast.eval()(values)
    assert fast.weight_cache._value is not None and not fast.weight_cache._value.is_inference()
    for other in (pickle.loads(pickle.dumps(fast)), copy.deepcopy(fast)):
        assert other.weight_cache._value is None
        with torch.no_grad():
            assert torch.equal(other(values), expected)
