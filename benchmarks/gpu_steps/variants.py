"""Variants of expensive parts of WavLM: time and memory of each in a training step, in bf16."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable

import torch
from published_pipeline import RATE
from sides import wait
from torch import Tensor, nn
from torch.nn import functional
from transformers import WavLMConfig
from transformers.models.wavlm.modeling_wavlm import (
    WavLMAttention,
    WavLMFeatureEncoder,
    WavLMPositionalConvEmbedding,
)
from workload import SIZES

from emosphere_sb.backbones import wavlm_attention
from emosphere_sb.backbones.feature_encoder import FeatureEncoder, frame_count_from_config
from emosphere_sb.backbones.wavlm_attention import GatedAttention
from gpu_steps.step import Outcome, Settings, passed_if

DURATION = {"cuda": 8.0, "cpu": 0.5}  # of an utterance, in s
SECONDS = {"cuda": 1.0, "cpu": 0.02}  # time to measure each variant
TOLERANCE = 0.1  # largest difference of the outputs, relative to the largest output
ALIGNMENT = 16  # the row length of a bias that PyTorch need not copy before fused attention


def variants(settings: Settings) -> Outcome:
    """Measure variants of feature encoder, attention and positional convolution.

    The check requires that all variants have the same output. The results show which variant to use
    on a GPU.
    """
    torch.manual_seed(1)
    config = WavLMConfig(**SIZES[settings.size].config)
    samples = round(DURATION[settings.device] * RATE)
    frames = frame_count_from_config(config, samples)
    signals = torch.randn(settings.batch, samples, device=settings.device)
    hidden = torch.randn(settings.batch, frames, config.hidden_size, device=settings.device)
    found = {
        "feature encoder": feature_encoders(config, signals),
        "attention": attentions(config, hidden),
        "positional convolution": positional_convolutions(config, hidden),
    }
    texts, correct = [], True
    for part, results in found.items():
        times = ", ".join(f"{name} {r['seconds'] * 1e3:.3g} ms" for name, r in results.items())
        texts.append(f"{part}: {times}")
        correct &= all(result["difference"] <= TOLERANCE for result in results.values())
    return passed_if(correct, "; ".join(texts), frames=frames, **found)


def feature_encoders(config: WavLMConfig, signals: Tensor) -> dict:
    """Measure the frozen feature encoder of transformers and that of this project."""
    stock = WavLMFeatureEncoder(config).to(signals.device).requires_grad_(False).eval()
    fast = FeatureEncoder(copy.deepcopy(stock))
    return compare_variants(
        {"convolutions": lambda: stock(signals), "matrix products": lambda: fast(signals)},
        signals.device.type,
    )


def positional_convolutions(config: WavLMConfig, hidden: Tensor) -> dict:
    """Measure the positional convolution with its backward pass."""
    stock = WavLMPositionalConvEmbedding(config).to(hidden.device)
    hidden = hidden.clone().requires_grad_()
    return compare_variants({"convolution": lambda: stock(hidden)}, hidden.device.type)


def attentions(config: WavLMConfig, hidden: Tensor) -> dict:
    """Measure variants of one attention layer with its backward pass."""
    batch, frames, _ = hidden.shape
    options = {"num_buckets": config.num_buckets, "max_distance": config.max_bucket_distance}
    stock = WavLMAttention(
        config.hidden_size, config.num_attention_heads, config.attention_dropout, **options
    ).to(hidden.device)
    fast = copy.deepcopy(stock)
    fast.__class__ = GatedAttention
    bias = fast.compute_bias(frames, frames).detach().requires_grad_()
    repeated = bias.detach().repeat(batch, 1, 1).requires_grad_()
    # As in most batches, the last utterance is shorter than the others.
    mask = torch.ones(batch, frames, dtype=torch.long, device=hidden.device)
    mask[-1, -(frames // 4) :] = 0
    hidden = hidden.clone().requires_grad_()

    def run(attend: Callable) -> Callable[[], Tensor]:
        def call() -> Tensor:
            usual, wavlm_attention.attend = wavlm_attention.attend, attend
            try:
                output = fast(hidden, attention_mask=mask, position_bias=bias)[0]
            finally:
                wavlm_attention.attend = usual
            return output * mask.unsqueeze(-1)

        return call

    def transformers() -> Tensor:
        output = stock(hidden, attention_mask=mask, position_bias=repeated)[0]
        return output * mask.unsqueeze(-1)

    calls = {
        "transformers": transformers,
        "recomputed bias": run(wavlm_attention.attend),
        "stored bias": run(wavlm_attention._fused_attention),
        "stored aligned bias": run(attend_aligned),
        "stored aligned bf16 bias": run(attend_aligned_bf16),
    }
    modules = (stock, fast)
    return compare_variants(calls, hidden.device.type, modules)


def attend_aligned(query, key, value, gate, bias, valid, dropout) -> Tensor:
    """Compute ``attend`` with a bias whose rows are padded in memory, so it is not copied."""
    frames = bias.shape[-1]
    spare = -frames % ALIGNMENT
    mask = (gate.unsqueeze(-1) * functional.pad(bias, (0, spare))).to(query.dtype)
    if valid is not None:
        valid = functional.pad(valid, (0, spare))
        mask = mask.masked_fill(~valid[:, None, None, :], -torch.inf)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask[..., :frames], dropout_p=dropout
    )


def attend_aligned_bf16(query, key, value, gate, bias, valid, dropout) -> Tensor:
    """Compute ``attend_aligned`` with the product of gate and bias in the dtype of the query."""
    gate, bias = gate.to(query.dtype), bias.to(query.dtype)
    return attend_aligned(query, key, value, gate, bias, valid, dropout)


def compare_variants(
    calls: dict[str, Callable[[], Tensor]], device: str, modules: tuple[nn.Module, ...] = ()
) -> dict[str, dict]:
    """Return time, peak memory and the difference from the output of the first variant.

    Outputs are compared in evaluation mode; times are measured in training mode.
    """
    outputs, found = {}, {}
    with warnings.catch_warnings(), torch.autocast(device, torch.bfloat16):
        warnings.simplefilter("ignore")  # PyTorch warns about a call in transformers
        for module in modules:
            module.eval()
        with torch.no_grad():
            outputs = {name: call().float() for name, call in calls.items()}
        for module in modules:
            module.train()
        expected = next(iter(outputs.values()))
        for name, call in calls.items():
            difference = (outputs[name] - expected).abs().max() / expected.abs().max()
            found[name] = measure(call, device) | {"difference": float(difference)}
    return found


def measure(call: Callable[[], Tensor], device: str) -> dict:
    """Return the time of a call with its backward pass in s, and its peak memory in MiB."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    for _ in range(3):  # warm-up
        run_with_backward(call)
    wait(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS[device]:
        for _ in range(5):
            run_with_backward(call)
        wait(device)
        count += 5
    found = {"seconds": (time.perf_counter() - start) / count}
    if device == "cuda":
        found["mib"] = (torch.cuda.max_memory_allocated() - before) / 2**20
    return found


def run_with_backward(call: Callable[[], Tensor]) -> None:
    """Run a call, and a backward pass if its output requires one."""
    output = call()
    if output.requires_grad:
        output.backward(torch.ones_like(output))
