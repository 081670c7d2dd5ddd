"""Compare training in bfloat16 and in float32 on a CPU: speed, memory and scores.

``make bench-bf16 TAVA=… ENCODER=…`` trains a model of the size of WavLM-base with both precisions
alternately, and the preset ``finetune_top`` on real speech (TAVA) with pretrained Whisper base,
two seeds each (finished runs are skipped). It writes the tables in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import torch
from prediction import load_average
from runs import ROOT, add_encoder, add_tava, mean_and_sd, replace_between_markers, run_recipe
from sides import Job, quiet, worker_process
from throughput import DEFAULTS, TASKS
from workload import SIZES, durations, save_weights, write_corpus

from emosphere_sb.results.metrics_json import machine_description, package_versions

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
SEEDS = (1, 2)
STEPS = 5
RESULTS = ROOT / "results" / "bfloat16"


def measure_speed(folder: Path, size: str = "base", steps: int = STEPS) -> dict[str, dict]:
    """Time single training steps and evaluations; both precisions alternate."""
    settings = DEFAULTS["cpu"]
    rows = write_corpus(folder / "audio", durations(settings["batch"] * steps))
    save_weights(SIZES[size], folder)
    found = {name: {"train": [], "eval": []} for name in PRECISIONS}
    with ExitStack() as stack:
        calls = {
            name: stack.enter_context(
                worker_process(Job("recipe", size, folder, "cpu", settings["batch"], name))
            )
            for name in PRECISIONS
        }
        for call in calls.values():
            call("load", rows, settings["evaluated"])
        predictions = {name: call("begin") for name, call in calls.items()}
        for number in range(steps):
            for name in sorted(calls, reverse=number % 2 == 1):
                part = calls[name]("part", 1)
                for task in TASKS:
                    found[name][task].append(part[task]["seconds"])
        for name, call in calls.items():
            found[name]["memory"] = call("peaks")["host"]
    first, second = predictions.values()
    difference = max(
        abs(a - b) for key in first for a, b in zip(first[key], second[key], strict=True)
    )
    return found | {
        "difference": difference,
        "seconds": sum(row["duration"] for row in rows.values()),
        "load": load_average(),
    }


def measure_scores(data: Path, encoder: Path, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return the mean CCCs of ``finetune_top`` on TAVA's split.

    Finished runs with the same settings and versions are not repeated.
    """
    found = {name: {"valid": [], "test": []} for name in PRECISIONS}
    for seed in SEEDS:
        for name, result in found.items():
            run = folder / f"{name}-{seed}"
            options = [
                "--preset=finetune_top", f"--data_folder={data}", f"--backbone={encoder}",
                "--label_low=-1", "--label_high=1", f"--seed={seed}", f"--precision={name}",
                "--device=cpu",
            ]  # fmt: skip
            metrics = finished(run, options)
            if metrics is None:
                more = [*options, f"--results_folder={folder / 'results'}"]
                metrics = run_recipe("OwnData", more, run)
            for part, scores in result.items():
                scores.append(metrics[part]["mean_ccc"])
    return found


def finished(run: Path, options: Sequence[str]) -> dict | None:
    """Return the metrics of a finished run with these options and the current versions."""
    if not (run / "metrics.json").is_file():
        return None
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    same = set(options) <= set(shlex.split(metrics["run"]["command"]))
    return metrics if same and metrics["protocol"]["versions"] == package_versions() else None


def report(speed: Mapping, scores: Mapping) -> str:
    """Return both tables with a description of the measurement."""
    lines = ["| WavLM-base | float32 | bfloat16 | float32 / bfloat16 |", "|---|---|---|---|"]
    for task, label in TASKS.items():
        slow, fast = (speed[name][task] for name in PRECISIONS)
        ratios = [a / b for a, b in zip(slow, fast, strict=True)]
        lines.append(
            f"| {label}, s | {statistics.median(slow):.2f} | {statistics.median(fast):.2f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    single, half = (speed[name]["memory"] for name in PRECISIONS)
    lines.append(f"| peak memory, MiB | {single:,.0f} | {half:,.0f} | {single / half:.2f} |")
    lines += [
        "",
        "| `finetune_top` on TAVA | valid | test | seeds |",
        "|---|---|---|---|",
    ]
    for name, label in PRECISIONS.items():
        result = scores[name]
        cells = [mean_and_sd(result[part]) for part in ("valid", "test")]
        lines.append(f"| {' | '.join([label, *cells, str(len(SEEDS))])} |")
    losses = [a - b for a, b in zip(scores["fp32"]["test"], scores["bf16"]["test"], strict=True)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    batch, evaluated = DEFAULTS["cpu"]["batch"], DEFAULTS["cpu"]["evaluated"]
    lines += [
        "",
        f"First table: random weights, noise with the durations of MSP-Podcast utterances; medians "
        f"and ranges of {STEPS} alternating steps of {batch} utterances and evaluations of "
        f"{evaluated}; before training, predictions differ by at most {speed['difference']:.1g}. "
        f"Second table: mean CCC on TAVA's split with pretrained Whisper base, one thread; loss in "
        f"test CCC by seed: {', '.join(f'{loss:+.4f}' for loss in losses)}. Load average during "
        f"the measurement of the speed: {speed['load']}. Generated by `make bench-bf16` (seeds "
        f"{', '.join(map(str, SEEDS))}; {versions}; {machine_description()}; "
        f"{torch.get_num_threads()} threads).",
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_tava(parser, required=False)
    add_encoder(parser, required=False)
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for runs; finished runs are skipped"
    )
    parser.add_argument(
        "--quick", action="store_true", help="only the speed of a tiny model; write nothing"
    )
    options = parser.parse_args(words)
    if not options.quick and not (options.data and options.encoder):
        parser.error("--data and --encoder are required without --quick")
    quiet()
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        folder = Path(name)
        if options.quick:
            print(measure_speed(folder, "tiny", 2))
            return 0
        speed = measure_speed(folder)
    scores = measure_scores(options.data, options.encoder, options.results.resolve())
    text = report(speed, scores)
    print(text)
    replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "bfloat16", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
