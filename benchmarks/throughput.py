"""Training and evaluation side by side: this project (ours) against the published pipeline (plain).

``make bench`` runs it. Utterances of noise with MSP-Podcast's durations, the same random weights,
optimiser, precision and size of batch on both sides, each in a process of its own, so that peaks of
memory do not mix. One epoch on each side is cut into as many parts as there are pairs; the sides
take turns (A B, B A, ...), so that a machine's drift cancels, and evaluate the same utterances
after every part. The last lines are ``train ratio R`` and ``eval ratio R``: the median of
ours / plain.
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
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from plain import BATCH
from runs import ROOT, put_between
from sides import SIDES, Job, quiet, side
from workload import (
    SIZES,
    durations,
    repeat_rows,
    save_weights,
    useful_flops,
    write_corpus,
)

from emosphere_sb.results.metrics_json import machine

TASKS = {"train": "training", "eval": "evaluation"}
PAIRS = 5
GROWTH = (200, 2000)  # utterances of 2 s
NO_GPU = "no GPU was at hand"
# The published batch is 16. In a CPU's float32 plain needs about 20 GiB for it (1.3 GiB for each
# utterance of 10.6 s), which few machines of two cores have: there both sides take 8.
DEFAULTS = {
    "cpu": {"size": "base", "batch": 8, "utterances": 80, "evaluated": 8},
    "cuda": {"size": "large", "batch": BATCH, "utterances": 640, "evaluated": 640},
}
PLACES = {"cpu": "throughput", "cuda": "throughput-gpu"}  # in benchmarks/RESULTS.md
TOLERANCE = {"cpu": 1e-3, "cuda": 0.05}  # of predictions in [-1, 1], in float32 and fp16


def benchmark(
    *, size: str, device: str, batch: int, utterances: int, evaluated: int, pairs: int
) -> dict:
    """Everything that stands in the table."""
    if min(pairs, utterances) < 1 or batch < 2:
        raise ValueError(
            f"--pairs and --utterances must be at least 1, and --batch 2, since one utterance has "
            f"no CCC; found {pairs}, {utterances} and {batch}."
        )
    if utterances % (batch * pairs):
        raise ValueError(
            f"--utterances must be a multiple of --batch times --pairs ({batch * pairs}), so that "
            f"all parts of the epoch have as many whole batches; found {utterances}."
        )
    if not 1 <= evaluated <= utterances:
        raise ValueError(f"--evaluated must lie between 1 and {utterances}; found {evaluated}.")
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        folder = Path(name)
        rows = write_corpus(folder / "audio", durations(utterances))
        save_weights(SIZES[size], folder)
        found = measure(Job("", size, folder, device, batch), rows, evaluated, pairs)
        grown = growth(folder / "growth")
    facts = {"size": size, "batch": batch, "utterances": utterances, "evaluated": evaluated}
    facts |= {"machine": machine(), "threads": torch.get_num_threads(), "growth": grown}
    return {**found, **facts, "matrix_peak": matrix_peak() if device == "cuda" else None}


def measure(job: Job, rows: dict[str, dict], evaluated: int, pairs: int) -> dict:
    """The pairs, and each side's peaks of memory."""
    steps = len(rows) // (job.batch * pairs)
    with side(job.of("plain")) as plain, side(job.of("ours")) as ours:
        calls, results = {"plain": plain, "ours": ours}, []
        for call in calls.values():
            call("load", rows, evaluated)
        difference = compare(*(call("begin") for call in calls.values()))
        if not difference <= TOLERANCE[job.device]:
            raise RuntimeError(
                f"With the same weights both sides must predict the same; they differ by up to "
                f"{difference:.2g}, so that their speeds would not be those of one model."
            )
        for number in range(pairs):
            order = SIDES if number % 2 == 0 else SIDES[::-1]
            results.append({name: calls[name]("part", steps) for name in order})
            print(f"pair {number + 1} of {pairs}: {seconds_line(results[-1])}", flush=True)
        peaks = {name: call("peaks") for name, call in calls.items()}
    for name in SIDES:
        seen = [utterance for result in results for utterance in result[name]["train"]["names"]]
        if sorted(seen) != sorted(rows):
            raise RuntimeError(f"{name} must train on each utterance once; it did on {seen}.")
    for part in (result[name][task] for result in results for name in SIDES for task in TASKS):
        part["durations"] = [rows[utterance]["duration"] for utterance in part.pop("names")]
    return {"pairs": results, "peaks": peaks, "difference": difference}


def compare(plain: dict[str, list[float]], ours: dict[str, list[float]]) -> float:
    """Largest difference between both sides' predictions."""
    if plain.keys() != ours.keys():
        raise RuntimeError(f"Both sides must predict the same utterances: {[*plain]}, {[*ours]}.")
    return max(abs(p - o) for n in plain for p, o in zip(plain[n], ours[n], strict=True))


def seconds_line(pair: dict) -> str:
    """What a pair took, while one waits."""
    parts = []
    for task, label in TASKS.items():
        seconds = (f"{name} {pair[name][task]['seconds']:.1f} s" for name in SIDES)
        parts.append(f"{label} {', '.join(seconds)}")
    return "; ".join(parts)


def growth(folder: Path) -> dict[str, list[float]]:
    """Peak host memory of each side while the corpus grows tenfold, with the tiny model."""
    folder.mkdir()
    save_weights(SIZES["tiny"], folder)
    few = write_corpus(folder / "audio", np.full(BATCH, 2.0))
    peaks = {name: [] for name in SIDES}
    for name in SIDES:
        with side(Job(name, "tiny", folder, "cpu")) as call:
            for count in GROWTH:
                call("load", repeat_rows(few, count), 1)
                call("train", -(-count // BATCH))
                peaks[name].append(call("peaks")["host"])
    return peaks


def matrix_peak(size: int = 8192, repeats: int = 20) -> float:
    """Floating-point operations per second of a large fp16 matrix product on the GPU."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.float16) for _ in range(2))
    best = math.inf
    for _ in range(5):  # the first also warms up
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 * repeats / best


# --- the table -------------------------------------------------------------------------------


def report(found: dict, command: str) -> str:
    """A Markdown table, and what made it."""
    lines = ["| | plain | ours | ours / plain |", "|---|---|---|---|"]
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
    """A row: each side's median, and the ratio's median and range."""
    cells = [form.format(statistics.median(values[name])) for name in SIDES]
    ratios = [ours / plain for plain, ours in zip(values["plain"], values["ours"], strict=True)]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"| {label} | {' | '.join(cells)} | {statistics.median(ratios):.2f}{spread} |"


def share_row(found: dict, task: str) -> str:
    """The share of the measured matrix-product peak that useful work reaches."""
    label = f"{TASKS[task]}, share of the matrix-product peak"
    if found["matrix_peak"] is None:
        return f"| {label} | {NO_GPU} | {NO_GPU} | {NO_GPU} |"
    shares = {name: [] for name in SIDES}
    for pair in found["pairs"]:
        for name in SIDES:
            flops = useful_flops(SIZES[found["size"]], pair[name][task]["durations"])[task]
            shares[name].append(flops / pair[name][task]["seconds"] / found["matrix_peak"])
    return row(label, shares, "{:.1%}")


def memory_row(found: dict, place: str) -> str:
    """The peak of host or device memory over the whole run."""
    label = f"peak {place} memory, MiB"
    peaks = {name: [found["peaks"][name][place]] for name in SIDES}
    if peaks["plain"] == [None]:
        return f"| {label} | {NO_GPU} | {NO_GPU} | {NO_GPU} |"
    return row(label, peaks, "{:,.0f}")


def rate(part: dict) -> float:
    """Seconds of audio, padding not counted, per second."""
    return sum(part["durations"]) / part["seconds"]


def pair_ratios(found: dict, task: str) -> list[float]:
    """Ours / plain of each pair."""
    return [rate(pair["ours"][task]) / rate(pair["plain"][task]) for pair in found["pairs"]]


def whole_ratio(found: dict, task: str) -> float:
    """Ours / plain over all pairs together."""
    totals = []
    for name in SIDES:
        parts = [pair[name][task] for pair in found["pairs"]]
        seconds = sum(part["seconds"] for part in parts)
        totals.append(sum(sum(part["durations"]) for part in parts) / seconds)
    return totals[1] / totals[0]


def origin(found: dict, command: str) -> str:
    """What was measured, and what made it."""
    steps = found["utterances"] // found["batch"] // len(found["pairs"])
    whole = ", ".join(f"{label} {whole_ratio(found, t):.2f}" for t, label in TASKS.items())
    peak = found["matrix_peak"]
    versions = ", ".join(f"{n} {version(n)}" for n in ("torch", "transformers", "speechbrain"))
    gpu = "" if peak is None else f" Matrix-product peak, fp16: {peak / 1e12:.0f} TFLOP/s."
    return (
        f"WavLM-{found['size']}, {'float32' if peak is None else 'fp16 autocast'}; medians and "
        f"ranges of {len(found['pairs'])} pairs, each of {steps} training "
        f"step{'s' if steps > 1 else ''} of {found['batch']} utterances and an evaluation of "
        f"{found['evaluated']}. Together the pairs are one epoch over {found['utterances']} "
        f"utterances on either side; over all of it ours / plain is: {whole}. Memory is each "
        f"process's peak, measured once. Before training the predictions of both differ by at most "
        f"{found['difference']:.1g}.{gpu} Made by `{command}` (python "
        f"{platform.python_version()}, {versions}; {found['machine']}; {found['threads']} threads)."
    )


def last_lines(found: dict) -> str:
    """The two figures that everything else explains."""
    return "\n".join(f"{t} ratio {statistics.median(pair_ratios(found, t)):.2f}" for t in TASKS)


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; what is not said depends on the device."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", choices=list(SIZES))
    parser.add_argument("--device", choices=list(DEFAULTS))
    parser.add_argument("--batch", type=int, help="utterances of a step")
    parser.add_argument("--utterances", type=int, help="of the epoch")
    parser.add_argument("--evaluated", type=int, help="utterances evaluated in each pair")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    arguments = parser.parse_args(words)
    if arguments.device is None:
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device=cuda needs a GPU; PyTorch finds none.")
    for name, value in DEFAULTS[arguments.device].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def main() -> None:
    """Measure, print, and write benchmarks/RESULTS.md where all is as the device's default says."""
    arguments = vars(read_arguments())
    device = arguments["device"]
    default = arguments == {"device": device, "pairs": PAIRS, **DEFAULTS[device]}
    command = "make bench" if default else " ".join(["benchmarks/throughput.py", *sys.argv[1:]])
    quiet()
    found = benchmark(**arguments)
    text = report(found, command)
    print(f"\n{text}\n")
    if default:
        put_between(ROOT / "benchmarks" / "RESULTS.md", PLACES[device], text)
    print(last_lines(found))


if __name__ == "__main__":
    main()
