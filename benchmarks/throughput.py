"""Compare the speed and memory of this project with the published pipeline: ``make bench``.

Both sides process noise files with the durations of MSP-Podcast utterances and use the same random
weights, optimiser, precision and batch size. Each side runs in a separate process, so its peak
memory can be measured. The epoch of each side is split into one part per pair. The sides alternate
(A B, B A, ...) to cancel drifts in the speed of the machine, and they evaluate the same utterances
after each part. The last lines of the output are ``train ratio R`` and ``eval ratio R``, the median
speed-ups of this project.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from published_pipeline import BATCH, default_precision
from runs import ROOT, replace_between_markers
from sides import LABELS, SIDES, Job, quiet, wait, worker_process
from workload import (
    SIZES,
    durations,
    repeat_rows,
    save_weights,
    useful_flops,
    write_corpus,
)

from emosphere_sb.results.metrics_json import machine_description

TASKS = {"train": "training", "eval": "evaluation"}
PAIRS = 5
GROWTH = (200, 2000)  # utterances of 2 s
NO_GPU = "no GPU available"
# The batch size of the paper is 16. In float32 on a CPU, the published pipeline needs about 20 GiB
# for such a batch (1.3 GiB per utterance of 10.6 s), more than most machines with two cores have.
# On a CPU, both sides therefore use a batch size of 8.
DEFAULTS = {
    "cpu": {"size": "base", "batch": 8, "utterances": 80, "evaluated": 8},
    "cuda": {"size": "large", "batch": BATCH, "utterances": 640, "evaluated": 640},
}
MARKERS = {"cpu": "throughput", "cuda": "throughput-gpu"}  # names of the blocks in RESULTS.md
# Largest difference of predictions in [-1, 1] between both sides. On a GPU, fp32 includes TF32,
# which SpeechBrain enables.
TOLERANCE = {"cpu": {"fp32": 1e-3, "bf16": 0.1}, "cuda": {"fp32": 0.01, "fp16": 0.05, "bf16": 0.1}}


def benchmark(
    *, size: str, device: str, batch: int, utterances: int, evaluated: int, pairs: int
) -> dict:
    """Perform all measurements for the table."""
    if min(pairs, utterances) < 1 or batch < 2:
        raise ValueError(
            f"--pairs and --utterances must be at least 1 and --batch at least 2 (the CCC of one "
            f"utterance is undefined); found {pairs}, {utterances} and {batch}."
        )
    if utterances % (batch * pairs):
        raise ValueError(
            f"--utterances must be a multiple of --batch times --pairs ({batch * pairs}) so that "
            f"all parts of the epoch have the same number of full batches; found {utterances}."
        )
    if not 1 <= evaluated <= utterances:
        raise ValueError(f"--evaluated must be between 1 and {utterances}; found {evaluated}.")
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        folder = Path(name)
        rows = write_corpus(folder / "audio", durations(utterances))
        save_weights(SIZES[size], folder)
        found = measure(Job("", size, folder, device, batch), rows, evaluated, pairs)
        grown = growth(folder / "growth")
    settings = {"size": size, "batch": batch, "utterances": utterances, "evaluated": evaluated}
    settings |= {
        "machine": machine_description(),
        "threads": torch.get_num_threads(),
        "growth": grown,
    }
    return {**found, **settings, "matrix_peak": matrix_peak() if device == "cuda" else None}


def measure(
    job: Job,
    rows: dict[str, dict],
    evaluated: int,
    pairs: int,
    *,
    lead_in: int = 0,
    profiled: int = 0,
) -> dict:
    """Measure all pairs and the peak memory of each side.

    The first ``lead_in`` steps of each part are not measured. Afterwards, ``profiled`` steps of
    each side are profiled.
    """
    steps = len(rows) // (job.batch * pairs)
    with ExitStack() as stack:
        calls = {name: stack.enter_context(worker_process(job.for_side(name))) for name in SIDES}
        results = []
        for call in calls.values():
            call("load", rows, evaluated)
        difference = compare(*(call("begin") for call in calls.values()))
        tolerance = TOLERANCE[job.device][job.precision or default_precision(job.device)]
        if not difference <= tolerance:
            raise RuntimeError(
                f"With the same weights, the predictions of the two sides must agree to within "
                f"{tolerance:g}; they differ by {difference:.2g}. Their speeds are therefore not "
                f"comparable."
            )
        for number in range(pairs):
            order = SIDES if number % 2 == 0 else SIDES[::-1]
            results.append({name: calls[name]("part", steps, lead_in) for name in order})
            print(f"pair {number + 1} of {pairs}: {seconds_line(results[-1])}", flush=True)
        peaks = {name: call("peaks") for name, call in calls.items()}
        profiles = {}
        if profiled:
            profiles = {name: call("profile", profiled) for name, call in calls.items()}
    for name in SIDES:
        parts = [result[name]["train"] for result in results]
        seen = [utterance for part in parts for utterance in part.pop("lead_in") + part["names"]]
        if sorted(seen) != sorted(rows):
            raise RuntimeError(
                f"The side {LABELS[name]!r} must use each utterance exactly once for training; "
                f"found {seen}."
            )
    for part in (result[name][task] for result in results for name in SIDES for task in TASKS):
        part["durations"] = [rows[utterance]["duration"] for utterance in part.pop("names")]
    return {
        "pairs": results, "peaks": peaks, "difference": difference, "profiles": profiles,
    }  # fmt: skip


def compare(published: dict[str, list[float]], recipe: dict[str, list[float]]) -> float:
    """Return the largest difference between the predictions of the two sides."""
    if published.keys() != recipe.keys():
        raise RuntimeError(
            f"Both sides must predict the same utterances; found {[*published]} and {[*recipe]}."
        )
    pairs = (zip(published[name], recipe[name], strict=True) for name in published)
    return max(abs(p - r) for pair in pairs for p, r in pair)


def seconds_line(pair: dict) -> str:
    """Return a progress message with the times of a pair."""
    parts = []
    for task, label in TASKS.items():
        seconds = (f"{LABELS[name]} {pair[name][task]['seconds']:.1f} s" for name in SIDES)
        parts.append(f"{label} {', '.join(seconds)}")
    return "; ".join(parts)


def growth(folder: Path) -> dict[str, list[float]]:
    """Measure the peak host memory of each side for two corpus sizes, with the tiny model."""
    folder.mkdir()
    save_weights(SIZES["tiny"], folder)
    few = write_corpus(folder / "audio", np.full(BATCH, 2.0))
    peaks = {name: [] for name in SIDES}
    for name in SIDES:
        with worker_process(Job(name, "tiny", folder, "cpu")) as call:
            for count in GROWTH:
                call("load", repeat_rows(few, count), 1)
                call("train", -(-count // BATCH))
                peaks[name].append(call("peaks")["host"])
    return peaks


def matrix_peak(
    size: int = 8192, repeats: int = 20, dtype: torch.dtype = torch.float16, device: str = "cuda"
) -> float:
    """Measure the peak FLOP/s of a large matrix product, by default in fp16 on the GPU."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = math.inf
    for _ in range(5):  # the first iteration includes the warm-up
        wait(device)
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 * repeats / best


# --- the table -------------------------------------------------------------------------------


def report(found: dict, command: str) -> str:
    """Return the results as a Markdown table with a description of the measurement."""
    lines = [f"| | {' | '.join(LABELS.values())} | ratio |", "|---|---|---|---|"]
    for task, label in TASKS.items():
        rates = {name: [rate(pair[name][task]) for pair in found["pairs"]] for name in SIDES}
        lines.append(row(f"{label}, audio seconds per second", rates, "{:.2f}"))
    lines += [share_row(found, task) for task in TASKS]
    lines += [memory_row(found, place) for place in ("host", "device")]
    few, many = ({name: [found["growth"][name][at]] for name in SIDES} for at in range(2))
    lines.append(row(f"host memory, {GROWTH[0]:,} utterances of 2 s, MiB", few, "{:.0f}"))
    lines.append(row(f"host memory, {GROWTH[1]:,} utterances of 2 s, MiB", many, "{:.0f}"))
    return "\n".join([*lines, "", origin(found, command)])


def row(label: str, values: dict[str, Sequence[float]], form: str) -> str:
    """Return a row with the median of each side, and the median and range of the ratio."""
    cells = [form.format(statistics.median(values[name])) for name in SIDES]
    published, recipe = (values[name] for name in SIDES)
    ratios = [r / p for p, r in zip(published, recipe, strict=True)]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"| {label} | {' | '.join(cells)} | {statistics.median(ratios):.2f}{spread} |"


def share_row(found: dict, task: str) -> str:
    """Return a row with the useful FLOP/s relative to the peak of a matrix product."""
    label = f"{TASKS[task]}, useful FLOP/s relative to the matrix-product peak"
    if found["matrix_peak"] is None:
        return f"| {label} | {NO_GPU} | {NO_GPU} | {NO_GPU} |"
    shares = {name: [] for name in SIDES}
    for pair in found["pairs"]:
        for name in SIDES:
            flops = useful_flops(SIZES[found["size"]], pair[name][task]["durations"])[task]
            shares[name].append(flops / pair[name][task]["seconds"] / found["matrix_peak"])
    return row(label, shares, "{:.1%}")


def memory_row(found: dict, place: str) -> str:
    """Return a row with the peak host or device memory."""
    label = f"peak {place} memory, MiB"
    peaks = {name: [found["peaks"][name][place]] for name in SIDES}
    if peaks["published"] == [None]:
        return f"| {label} | {NO_GPU} | {NO_GPU} | {NO_GPU} |"
    return row(label, peaks, "{:,.0f}")


def rate(part: dict) -> float:
    """Return the number of audio seconds, without padding, processed per second."""
    return sum(part["durations"]) / part["seconds"]


def pair_ratios(found: dict, task: str) -> list[float]:
    """Return the speed-up of this project for each pair."""
    return [rate(pair["recipe"][task]) / rate(pair["published"][task]) for pair in found["pairs"]]


def overall_ratio(found: dict, task: str) -> float:
    """Return the speed-up of this project over all pairs."""
    totals = []
    for name in SIDES:
        parts = [pair[name][task] for pair in found["pairs"]]
        seconds = sum(part["seconds"] for part in parts)
        totals.append(sum(sum(part["durations"]) for part in parts) / seconds)
    return totals[1] / totals[0]


def origin(found: dict, command: str) -> str:
    """Describe the measurement and how it was generated."""
    steps = found["utterances"] // found["batch"] // len(found["pairs"])
    overall = " and ".join(
        f"{overall_ratio(found, t):.2f} in {label}" for t, label in TASKS.items()
    )
    peak = found["matrix_peak"]
    versions = ", ".join(f"{n} {version(n)}" for n in ("torch", "transformers", "speechbrain"))
    gpu = "" if peak is None else f" Matrix-product peak, fp16: {peak / 1e12:.0f} TFLOP/s."
    return (
        f"WavLM-{found['size']}, {'fp16 autocast' if peak else 'float32'}; medians and "
        f"ranges of {len(found['pairs'])} pairs, each of {steps} training "
        f"step{'s' if steps > 1 else ''} of {found['batch']} utterances and an evaluation of "
        f"{found['evaluated']}. For each side, all pairs together are one epoch over "
        f"{found['utterances']} utterances; the ratio over the entire epoch is {overall}. Memory "
        f"is "
        f"the peak of each process, measured once. Before training, the predictions of the two "
        f"sides "
        f"differ by at most "
        f"{found['difference']:.1g}.{gpu} Generated by `{command}` (python "
        f"{platform.python_version()}, {versions}; {found['machine']}; {found['threads']} threads)."
    )


def last_lines(found: dict) -> str:
    """Return the final lines with the two median ratios."""
    return "\n".join(f"{t} ratio {statistics.median(pair_ratios(found, t)):.2f}" for t in TASKS)


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line and fill in the defaults of the device."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", choices=list(SIZES))
    parser.add_argument("--device", choices=list(DEFAULTS))
    parser.add_argument("--batch", type=int, help="utterances per step")
    parser.add_argument("--utterances", type=int, help="utterances per epoch")
    parser.add_argument("--evaluated", type=int, help="number of utterances evaluated in each pair")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    arguments = parser.parse_args(words)
    if arguments.device is None:
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device=cuda requires a GPU, but PyTorch found none. Use --device=cpu.")
    for name, value in DEFAULTS[arguments.device].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def main() -> None:
    """Run the benchmark; write benchmarks/RESULTS.md if all options have their defaults."""
    arguments = vars(read_arguments())
    device = arguments["device"]
    default = arguments == {"device": device, "pairs": PAIRS, **DEFAULTS[device]}
    command = "make bench" if default else " ".join(["benchmarks/throughput.py", *sys.argv[1:]])
    quiet()
    found = benchmark(**arguments)
    text = report(found, command)
    print(f"\n{text}\n")
    if default:
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", MARKERS[device], text)
    print(last_lines(found))


if __name__ == "__main__":
    main()
