"""Models, weights, utterances and FLOP counts for the throughput benchmark."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from published_pipeline import RATE, PublishedModel
from scipy.stats import beta
from transformers import WavLMConfig, WavLMModel

from emosphere_sb.scale import DIMENSIONS, Scale

SHORTEST, LONGEST, MEAN = 2.75, 11.9, 5.7  # durations in s, as in MSP-Podcast
SCALE = Scale(1, 7)  # label scale of MSP-Podcast


@dataclass(frozen=True)
class Size:
    """Size of a model: arguments of WavLMConfig, and settings of the pooling layer and heads."""

    config: dict = field(default_factory=dict)
    width: int = 1024  # of the pooling layer and heads; 1024 in the paper
    pooling_dropout: float = 0.1
    head_dropout: float = 0.5


# Layerdrop is disabled in both implementations: it skips random layers in training, so the
# amount of work would be random. Dropout and SpecAugment are enabled.
SIZES = {
    "tiny": Size(
        {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 64, "conv_dim": [16] * 7, "feat_extract_norm": "layer",
            "do_stable_layer_norm": True, "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 4, "num_buckets": 64, "layerdrop": 0.0,
        },
        width=32,
    ),
    # The transformers default is the architecture of microsoft/wavlm-base and wavlm-base-plus.
    "base": Size({"layerdrop": 0.0}),
    # microsoft/wavlm-large
    "large": Size(
        {
            "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
            "intermediate_size": 4096, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
            "layerdrop": 0.0,
        }
    ),
}  # fmt: skip


def save_weights(size: Size, folder: Path) -> None:
    """Save random weights for both implementations.

    The weights are those of WavLM, in the transformers format, and of pooling and heads.
    """
    torch.manual_seed(1)
    model = new_published_model(size, WavLMModel(WavLMConfig(**size.config)))
    model.ssl.save_pretrained(folder / "wavlm")
    parts = {
        "pooling": model.pooling, "vad_head": model.vad_head, "auxiliary_head": model.region_head,
    }  # fmt: skip
    torch.save({name: part.state_dict() for name, part in parts.items()}, folder / "rest.pt")


def load_published_model(size: Size, folder: Path) -> PublishedModel:
    """Load a ``PublishedModel`` with the weights saved by ``save_weights``."""
    model = new_published_model(
        size, WavLMModel.from_pretrained(folder / "wavlm", dtype=torch.float32)
    )
    rest = torch.load(folder / "rest.pt", weights_only=True)
    model.pooling.load_state_dict(rest["pooling"])
    model.vad_head.load_state_dict(rest["vad_head"])
    model.region_head.load_state_dict(rest["auxiliary_head"])
    return model


def new_published_model(size: Size, ssl: WavLMModel) -> PublishedModel:
    """Build a ``PublishedModel`` of the given size around the WavLM model ``ssl``."""
    return PublishedModel(
        ssl, width=size.width, pooling_dropout=size.pooling_dropout, head_dropout=size.head_dropout
    )


def durations(count: int) -> np.ndarray:
    """Return durations in s of ``count`` utterances, with the range and mean of MSP-Podcast.

    The durations are equally spaced quantiles of a beta distribution in random order, so even a few
    utterances match its mean and spread.

    Raises
    ------
    ValueError
        If there are too few utterances to match the mean.
    """
    share = (MEAN - SHORTEST) / (LONGEST - SHORTEST)
    steps = (np.arange(count) + 0.5) / count
    fractions = beta.ppf(steps, 1.4, 1.4 * (1 - share) / share)
    seconds = SHORTEST + (LONGEST - SHORTEST) * fractions
    if abs(seconds.mean() - MEAN) > 0.02 or seconds.min() < SHORTEST or seconds.max() > LONGEST:
        raise ValueError(
            f"Durations must have a mean of {MEAN} s and be between {SHORTEST} and {LONGEST} s; "
            f"{count} utterances have a mean of {seconds.mean():.3f} s and range from "
            f"{seconds.min():.2f} to {seconds.max():.2f} s. Use more utterances."
        )
    return np.random.default_rng(1).permutation(seconds)


def write_corpus(folder: Path, seconds: np.ndarray) -> dict[str, dict]:
    """Write wav files of noise and return manifest rows with random labels."""
    noise, chance = np.random.default_rng(2), random.Random(2)
    folder.mkdir(parents=True)
    rows = {}
    for number, duration in enumerate(seconds):
        path, samples = folder / f"{number:05d}.wav", round(duration * RATE)
        soundfile.write(path, 0.1 * noise.standard_normal(samples), RATE)
        rows[f"u{number:05d}"] = new_row(path, samples / RATE, chance)
    return rows


def repeat_rows(rows: dict[str, dict], count: int) -> dict[str, dict]:
    """Return ``count`` manifest rows that reuse the files of a small corpus."""
    chance, files = random.Random(3), [(row["wav"], row["duration"]) for row in rows.values()]
    return {f"r{n:06d}": new_row(*files[n % len(files)], chance) for n in range(count)}


def new_row(path: Path | str, duration: float, chance: random.Random) -> dict:
    """Return a manifest row with random labels."""
    labels = {dimension: f"{chance.uniform(1, 7):.6f}" for dimension in DIMENSIONS}
    return {"wav": str(path), "duration": duration, "emotion": "", **labels}


def forward_flops(config: WavLMConfig, width: int, samples: int) -> tuple[float, float]:
    """Count the floating-point operations of one utterance; a multiply-add counts as two.

    Returns
    -------
    tuple
        Number of operations in the convolutional feature encoder and in all later layers.
    """
    frozen, channels = 0.0, 1
    for frames, kernel, size in conv_layers(config, samples):
        frozen += 2.0 * frames * kernel * channels * size
        channels = size
    hidden, inner = config.hidden_size, config.intermediate_size
    kernel = config.num_conv_pos_embeddings
    positions = frames + 1 - kernel % 2  # an even kernel adds a frame, which is dropped
    front = frames * channels * hidden
    front += positions * kernel * hidden * (hidden // config.num_conv_pos_embedding_groups)
    # Four projections, two feed-forward layers, the gate of the position bias, and attention
    layer = frames * (4 * hidden**2 + 2 * hidden * inner + 8 * hidden) + 2 * frames**2 * hidden
    # Two spectral layers, two gated convolutions with kernel size 5, attention, and output
    pooling = frames * (hidden * width + (1 + 2 * 5 * 2 + 4 + 1) * width**2)
    pooling += 2 * frames**2 * width
    heads = 2 * width**2 + (3 + 8) * width
    return frozen, 2.0 * (front + config.num_hidden_layers * layer + pooling + heads)


def conv_layers(config: WavLMConfig, samples: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of frames, kernel size and channels of each feature encoder convolution."""
    for kernel, stride, size in zip(
        config.conv_kernel, config.conv_stride, config.conv_dim, strict=True
    ):
        samples = (samples - kernel) // stride + 1
        yield samples, kernel, size


def useful_flops(size: Size, seconds: list[float]) -> dict[str, float]:
    """Count the operations for training on and evaluating utterances, without padding.

    A backward pass counts as two forward passes. The frozen convolutions have no backward pass.
    """
    config = WavLMConfig(**size.config)
    parts = [forward_flops(config, size.width, round(s * RATE)) for s in seconds]
    frozen, trained = (sum(part) for part in zip(*parts, strict=True))
    return {"train": frozen + 3 * trained, "eval": frozen + trained}
