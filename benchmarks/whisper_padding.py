"""What Whisper's encoder costs without filling up to 30 s, and how far its frames then differ.

``python benchmarks/whisper_padding.py`` times transformers' extractor and encoder (30 s whatever
the utterance) and ours on the same weights, one after the other, and writes benchmarks/RESULTS.md.
The weights are random, so the difference is that of an untrained model; ``--backbone`` names a
trained one (hub name or folder), whose figures are printed only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

import torch
from runs import ROOT, put_between

from emosphere_sb.backbones.log_mel import SAMPLE_RATE, extractor_for
from emosphere_sb.backbones.whisper import WhisperBackbone, difference_from_padding

SECONDS = (2, 5, 10)
# The encoders of openai/whisper-tiny and -base; the decoder, which is dropped, is kept small.
SIZES = {
    "tiny": {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6},
    "base": {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8},
}
DECODER = {
    "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 8,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3,
}  # fmt: skip


def random_model(size: str):
    """A Whisper of a published size with random weights, and its extractor."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    sizes = {**SIZES[size], "encoder_ffn_dim": 4 * SIZES[size]["d_model"]}
    return WhisperModel(WhisperConfig(**sizes, **DECODER)), WhisperFeatureExtractor()


def loaded_model(source: str):
    """A trained Whisper and its extractor."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(source, dtype=torch.float32)
    return model, extractor_for(model, source)


def syllables(seconds: float) -> torch.Tensor:
    """Coloured noise that comes and goes four times a second, (samples,)."""
    chance = torch.Generator().manual_seed(round(1000 * seconds))
    noise = torch.randn(round(seconds * SAMPLE_RATE), generator=chance)
    moments = torch.arange(len(noise)) / SAMPLE_RATE
    return 0.1 * (noise + 0.8 * noise.roll(1)) * (4 * torch.pi * moments).sin().abs() ** 3


@torch.no_grad()
def measure(backbone: WhisperBackbone, extractor, seconds: float, pairs: int) -> dict:
    """Times of both, interleaved, and the relative difference of the frames."""
    signal = syllables(seconds)
    batch, lengths = signal.unsqueeze(0), torch.tensor([len(signal)])

    def ours() -> None:
        backbone(batch, lengths)

    def theirs() -> None:
        given = extractor(signal.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        backbone.model(given.input_features)

    times = {ours: [], theirs: []}
    for _ in range(pairs + 1):
        for run, found in times.items():
            begin = time.perf_counter()
            run()
            found.append(time.perf_counter() - begin)
    short, padded = times[ours][1:], times[theirs][1:]  # the first of each is a warm-up
    ratios = [whole / part for whole, part in zip(padded, short, strict=True)]
    return {
        "seconds": seconds,
        "ours": statistics.median(short),
        "theirs": statistics.median(padded),
        "ratio": (statistics.median(ratios), min(ratios), max(ratios)),
        "difference": float(difference_from_padding(backbone, batch, lengths)),
    }


def report(results: dict[str, list[dict]], pairs: int, weights: str) -> str:
    """A Markdown table, and what made it."""
    lines = [
        "| encoder | utterance | filled up to 30 s | as long as it is | ratio | difference |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in results.items():
        for row in rows:
            middle, low, high = row["ratio"]
            lines.append(
                f"| {name} | {row['seconds']} s | {1000 * row['theirs']:.0f} ms | "
                f"{1000 * row['ours']:.0f} ms | {middle:.1f} ({low:.1f} to {high:.1f}) | "
                f"{row['difference']:.3f} |"
            )
    versions = ", ".join(
        [
            f"python {platform.python_version()}",
            f"torch {torch.__version__}",
            transformers_version(),
        ]
    )
    lines += [
        "",
        f"Log-mel frames and encoder, one utterance at a time, float32 on a CPU; the median of "
        f"{pairs} interleaved pairs, with the range of their ratios. Difference: its norm over the "
        f"utterance's own frames, divided by the norm of transformers' frames. {weights} Made by "
        f"`make bench` ({versions}; {torch.get_num_threads()} of "
        f"{os.cpu_count()} cores; noise in syllables).",
    ]
    return "\n".join(lines)


def transformers_version() -> str:
    import transformers

    return f"transformers {transformers.__version__}"


def main() -> None:
    """Measure, print, and write benchmarks/RESULTS.md where the weights are random."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--backbone", help="a trained Whisper instead; nothing is written")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.backbone:
        models = {arguments.backbone: loaded_model(arguments.backbone)}
        weights = "Weights as trained."
    else:
        models = {f"{size} size": random_model(size) for size in arguments.sizes}
        weights = "Weights are random: a trained model's difference is another."
    results = {}
    for name, (model, extractor) in models.items():
        backbone = WhisperBackbone(model, extractor).eval()
        results[name] = [measure(backbone, extractor, s, arguments.pairs) for s in SECONDS]
    text = report(results, arguments.pairs, weights)
    print(text)
    if not arguments.backbone and arguments.sizes == list(SIZES):
        put_between(ROOT / "benchmarks" / "RESULTS.md", "whisper-padding", text)


if __name__ == "__main__":
    main()
