"""Where the time goes on a CPU: ``make profile``, two minutes.

Both sides of the throughput benchmark under PyTorch's profiler, one step and one evaluation each:
how much of the time is matrix products, how fast these run, and what the machine's measured peak
would leave. Writes the table in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from runs import ROOT, put_between
from sides import SIDES, Job, Worker, quiet
from throughput import DEFAULTS, TASKS
from torch.profiler import ProfilerActivity, profile
from workload import SIZES, durations, save_weights, useful_flops, write_corpus

from emosphere_sb.results.metrics_json import machine

# Names under which PyTorch runs matrix products, convolutions and fused attention on a CPU
PRODUCTS = ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_", "mkldnn_convolution",
            "convolution_backward", "thnn_conv2d", "_slow_conv2d_forward",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention_for_cpu_backward")  # fmt: skip


def matrix_peak(size: int = 3072, seconds: float = 3.0) -> float:
    """Floating-point operations per second of a large float32 matrix product, the best seen."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def profiled(work: Callable) -> tuple[float, float, list]:
    """Seconds of a call, those in matrix products, and the largest other operations."""
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        work()
    total = time.perf_counter() - start
    times = {
        e.key.removeprefix("aten::"): e.self_cpu_time_total / 1e6 for e in found.key_averages()
    }
    products = sum(spent for name, spent in times.items() if name in PRODUCTS)
    others = sorted(((t, n) for n, t in times.items() if n not in PRODUCTS), reverse=True)[:4]
    return total, products, others


def measure(side: str, folder: Path, rows: dict, facts: dict) -> list[str]:
    """A row of the table for each task."""
    size = SIZES[facts["size"]]
    worker = Worker(Job(side, facts["size"], folder, "cpu", facts["batch"]))
    worker.load(rows, facts["evaluated"])
    worker.begin()
    worker.pipeline.train(1)  # what it keeps is in its place
    lines, names = [], []
    work = {
        "train": lambda: names.extend(worker.pipeline.train(1)[0]),
        "eval": lambda: names.extend(worker.pipeline.evaluate()),
    }
    for task, label in TASKS.items():
        names.clear()
        total, products, others = profiled(work[task])
        seconds = [rows[name]["duration"] for name in names]
        flops = useful_flops(size, seconds)[task]
        rest = ", ".join(f"{name} {spent / total:.0%}" for spent, name in others)
        lines.append(
            f"| {side}, {label} | {sum(seconds):.0f} s | {total:.1f} s | {products / total:.0%} | "
            f"{flops / total / 1e9:.0f} | {flops / facts['peak']:.1f} s | {rest} |"
        )
    return lines


def main() -> None:
    """Measure, print, and write benchmarks/RESULTS.md."""
    quiet()
    facts = {**DEFAULTS["cpu"], "peak": matrix_peak()}
    lines = [
        "| | audio | time | in matrix products | useful GFLOP/s | at the peak | most of the rest |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        rows = write_corpus(Path(name) / "audio", durations(facts["utterances"]))
        save_weights(SIZES[facts["size"]], Path(name))
        for side in SIDES:
            lines += measure(side, Path(name), rows, facts)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    lines += [
        "",
        f"WavLM-{facts['size']}, float32, {facts['batch']} utterances a step. Measured peak of a "
        f"matrix product: {facts['peak'] / 1e9:.0f} GFLOP/s; *at the peak* is what the useful work "
        f"alone, padding not counted, would take there. The profiler itself costs time. Made by "
        f"`make profile` ({versions}; {machine()}; {torch.get_num_threads()} threads).",
    ]
    text = "\n".join(lines)
    put_between(ROOT / "benchmarks" / "RESULTS.md", "profile", text)
    print(text)


if __name__ == "__main__":
    main()
