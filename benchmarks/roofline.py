"""Compare the time of each part of WavLM-base with the speed of matrix products: ``make roofline``.

One utterance is processed in evaluation, by the unmodified model of transformers and by the
backbone of this package. For each part, the table in benchmarks/RESULTS.md gives the number of
floating-point operations, the time that they would take at the measured peak of a matrix product,
and the measured times. The peak limits what any implementation can gain.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version

import torch
from onnx_speed import BASE
from profiling import matrix_peak
from runs import ROOT, replace_between_markers
from sides import quiet
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel
from workload import MEAN, RATE

from emosphere_sb.backbones.waveform_models import WaveformBackbone
from emosphere_sb.inference.torch_predictor import store_in_bfloat16
from emosphere_sb.results.metrics_json import machine_description

PARTS = {
    "feature_extractor": "convolutional feature encoder",
    "feature_projection": "projection of the features",
    "encoder.pos_conv_embed": "positional convolution",
    "attention": "attention, 12 layers",
    "feed_forward": "feed-forward, 12 layers",
}
"""Parts of the model by the end of the names of their modules."""
REST = "norms and residuals"
SIDES = ("transformers, float32", "this project, float32", "this project, bfloat16")
REPETITIONS = 9


def part_of(name: str) -> str | None:
    """Return the part that a module of the model is; ``None`` for other modules."""
    for end, part in PARTS.items():
        if name == end or (name.startswith("encoder.layers.") and name.endswith(f".{end}")):
            return part
    return None


def count_flops(model: nn.Module, signal: Tensor) -> dict[str, float]:
    """Count the floating-point operations of the matrix products and convolutions of each part."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:  # it does not support the inference mode
        model(signal)
    names = {name: part_of(name) for name, _ in model.named_modules()}
    found: dict[str, float] = defaultdict(float)
    root = type(model).__name__
    for name, counts in counter.get_flop_counts().items():
        part = names.get(name.removeprefix(f"{root}."))
        if part is not None:
            found[part] += sum(counts.values())
    return dict(found)


class Timer:
    """Forward hooks that add up the time of each part of a model."""

    def __init__(self, model: nn.Module):
        self.seconds: dict[str, float] = defaultdict(float)
        self._start: dict[str, float] = {}
        for name, module in model.named_modules():
            part = part_of(name)
            if part is not None:
                module.register_forward_pre_hook(self._before(part))
                module.register_forward_hook(self._after(part))

    def _before(self, part: str) -> Callable:
        def hook(*_):
            self._start[part] = time.perf_counter()

        return hook

    def _after(self, part: str) -> Callable:
        def hook(*_):
            self.seconds[part] += time.perf_counter() - self._start[part]

        return hook

    def measure(self, work: Callable[[], object]) -> dict[str, float]:
        """Return the seconds of each part in one call, and of everything else."""
        self.seconds.clear()
        start = time.perf_counter()
        work()
        total = time.perf_counter() - start
        return {**self.seconds, REST: total - sum(self.seconds.values())}


def measure(seconds: float, repetitions: int) -> tuple[dict[str, float], dict[str, dict]]:
    """Return the operations of each part, and the median time of each part for each side."""
    torch.manual_seed(0)
    stock = AutoModel.from_config(AutoConfig.for_model(**BASE)).eval()
    fast = AutoModel.from_config(AutoConfig.for_model(**BASE)).eval()
    fast.load_state_dict(stock.state_dict())
    backbone = WaveformBackbone(fast)
    half = copy.deepcopy(backbone)
    store_in_bfloat16(half)  # as for predictions
    signal = 0.1 * torch.randn(1, round(seconds * RATE))
    lengths = torch.tensor([signal.shape[1]])
    flops = count_flops(stock, signal)
    calls = (
        (Timer(stock), lambda: stock(signal), nullcontext()),
        (Timer(fast), lambda: backbone(signal, lengths), nullcontext()),
        (Timer(half.model), lambda: half(signal, lengths), torch.autocast("cpu", torch.bfloat16)),
    )
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with torch.inference_mode():
        for repetition in range(repetitions + 1):
            for side, (timer, call, context) in zip(SIDES, calls, strict=True):
                with context:
                    result = timer.measure(call)
                if repetition:  # the first call allocates memory
                    found[side].append(result)
    medians = {
        side: {part: statistics.median(one[part] for one in results) for part in results[0]}
        for side, results in found.items()
    }
    return flops, medians


def report(
    flops: Mapping[str, float], times: Mapping[str, Mapping], peaks: Sequence[float], seconds: float
) -> str:
    """Return the table with a description of the measurement."""
    heads = ["part", "GFLOP", "float32 peak", *SIDES[:2], "bfloat16 peak", SIDES[2]]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    stock, ours, half = (times[side] for side in SIDES)
    names = [*PARTS.values(), REST]
    rows = {name: (flops.get(name, 0.0), stock[name], ours[name], half[name]) for name in names}
    rows["total"] = tuple(sum(column) for column in zip(*rows.values(), strict=True))
    for name, (work, *measured) in rows.items():
        bounds = [f"{1000 * work / peak:.0f} ms" if work else "" for peak in peaks]
        first, second, third = (f"{1000 * value:.0f} ms" for value in measured)
        cells = [f"{work / 1e9:.1f}" if work else "", bounds[0], first, second, bounds[1], third]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    work, *measured = rows["total"]
    limits = [measured[0] * peak / work for peak in peaks]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    lines += [
        "",
        f"Time of one utterance of {seconds:g} s in WavLM-base size; medians of {REPETITIONS} "
        f"alternating calls. *Peak*: time of the operations at the speed of a large matrix product "
        f"({peaks[0] / 1e9:.0f} GFLOP/s in float32, {peaks[1] / 1e9:.0f} in bfloat16). At this "
        f"speed, these operations without any other cost would be {limits[0]:.2f} times as fast "
        f"as transformers in float32, and {limits[1]:.2f} times in bfloat16; this project is "
        f"{measured[0] / measured[1]:.2f} and {measured[0] / measured[2]:.2f} times as fast. It "
        f"computes the positional convolution with FFT, which needs fewer operations. "
        f"Generated by `make roofline` ({versions}; {machine_description()}; "
        f"{torch.get_num_threads()} thread(s)).",
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the measurement and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--seconds", type=float, default=MEAN, help="duration of the utterance in s")
    add("--threads", type=int, default=1, help="number of threads (default: 1)")
    add("--print_only", action="store_true", help="write nothing")
    options = parser.parse_args(words)
    quiet()
    torch.set_num_threads(options.threads)
    peaks = [matrix_peak(), matrix_peak(dtype=torch.bfloat16)]
    flops, times = measure(options.seconds, REPETITIONS)
    text = report(flops, times, peaks, options.seconds)
    print(text)
    if not options.print_only:
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "roofline", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
