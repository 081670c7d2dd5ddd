"""Measure the time and memory of everything but audio for corpora of up to 264,705 utterances.

``make bench-scale`` writes manifests and predictions of different sizes without audio. Separate
processes prepare a training, write predictions, and write a report, each first on a small corpus,
so that imports are not measured. The tables are written to benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runs import ROOT, replace_between_markers

SIZES = (10_000, 100_000, 264_705)
WARM_UP = 500
"""Number of rows of the corpus on which each process runs first."""
SPEAKER_SIZE = 100
"""Mean number of utterances per speaker."""
MAX_KB = 1.5
"""Target: memory per row and process in KB."""
MAX_START = 15.0
"""Target: seconds until a training on the largest corpus starts."""
EMOTIONS = ("angry", "sad", "happy", "neutral", "other")


def write_manifest(path: Path, rows: int) -> None:
    """Write a manifest with the durations, labels and paths of MSP-Podcast (random values)."""
    from data_prep.schema import MANIFEST_COLUMNS, write_csv

    chance = random.Random(rows)

    def line(number: int) -> list:
        name = f"MSP-PODCAST_{number // 1000:04d}_{number % 1000:04d}"
        values: dict[str, Any] = dict.fromkeys(MANIFEST_COLUMNS, "")
        values |= {
            "ID": name, "duration": f"{2.75 + 9.15 * chance.betavariate(1.4, 3.0):.4f}",
            "wav": f"$data_root/Audios/{name}.wav", "sample_rate": 16000,
            "emotion": chance.choice(EMOTIONS), "gender": chance.choice(("male", "female")),
            "speaker": chance.randrange(max(2, rows // SPEAKER_SIZE)), "n_raters": 5,
        }  # fmt: skip
        values |= {f"{d}_sd": "1.2" for d in ("valence", "arousal", "dominance")}
        for dimension in ("valence", "arousal", "dominance"):  # means of 5 to 9 ratings
            raters = chance.randrange(5, 10)
            mean = sum(chance.randrange(1, 8) for _ in range(raters)) / raters
            values[dimension] = f"{mean:.6f}".rstrip("0").rstrip(".")
        return list(values.values())

    write_csv(path, MANIFEST_COLUMNS, map(line, range(rows)))


# --- the measured steps; each takes and extends the state of its process -------------------------


def read_manifest(state: dict) -> None:
    """Read the manifest."""
    from data_prep.schema import read_manifest_rows

    state["rows"] = read_manifest_rows(state["manifest"], data_root="/data/MSP-PODCAST")


def create_dataset(state: dict) -> None:
    """Create the dataset."""
    from emosphere_sb.data.dataset import SpeechDataset
    from emosphere_sb.lobes import RegionTask

    state["task"] = RegionTask()
    state["set"] = SpeechDataset(
        state.pop("rows"), scale=label_scale(), task=state["task"], max_seconds=12.0
    )


def compute_statistics(state: dict) -> None:
    """Compute the class weights and the label statistics."""
    state["task"].set_targets(state["set"].targets())
    state["mean"] = state["set"].labels().nanmean(0)


def iterate_sampler(state: dict) -> None:
    """Iterate over the batches of an epoch."""
    from emosphere_sb.data.sampler import PooledBatchSampler

    sampler = PooledBatchSampler(state["set"].durations, 32, seed=1)
    state["batches"] = sum(1 for _ in sampler)


def predict(state: dict) -> None:
    """Make predictions: labels with noise, as collected by the Brain."""
    import numpy as np

    rng = np.random.default_rng(1)
    scale = label_scale()
    state["vad"], state["scores"] = {}, {}
    for key, row in state["rows"].items():
        truth = scale.normalise([float(row[d]) for d in ("valence", "arousal", "dominance")])
        state["vad"][key] = (truth + rng.normal(scale=0.3, size=3)).astype(np.float32)
        state["scores"][key] = rng.dirichlet(np.ones(8)).astype(np.float32)


def write_table(state: dict) -> None:
    """Write the predictions, read them again, and compute the metrics."""
    from emosphere_sb.results.metrics_json import (
        prediction_digests,
        write_and_score_sets,
        write_metrics,
    )
    from emosphere_sb.results.predictions import predictions_table
    from emosphere_sb.sphere.regions import SphericalRegions

    regions, folder = SphericalRegions(90), state["folder"]
    tables = {
        "test1": predictions_table(
            state["rows"], state.pop("vad"), scale=label_scale(), regions=regions,
            probabilities=state.pop("scores"), classes=regions.names,
        )
    }  # fmt: skip
    results = write_and_score_sets(folder, tables)
    protocol = {
        "corpus": "MSP-Podcast", "release": "synthetic", "scale": label_scale().to_dict(),
        "synthetic": True, "preset": "published", "partition": "official", "seed": 1,
        "utterances": {"test1": len(state["rows"])}, "regions": {"step": 90, "centre_radius": 0.0},
        "backbone": "none", "heads": {"test1": "region"},
    }  # fmt: skip
    run = {"folder": str(folder), "seed": 1, "predictions": prediction_digests(folder, results)}
    write_metrics(folder / "metrics.json", results, protocol, run, {})
    (folder / "hyperparams.yaml").write_text("preset: published\n", encoding="utf-8")


def read_predictions(state: dict) -> None:
    """Read the run with its predictions."""
    from emosphere_sb.report.read.runs import read_source

    state["runs"] = read_source(state["folder"])


def assemble(state: dict) -> None:
    """Compute metrics, intervals (10,000 resamples of speakers) and calibration."""
    from emosphere_sb.report.assembly import ReportRequest, assemble_report

    state["report"] = assemble_report(state["runs"], ReportRequest())


def write_page(state: dict) -> None:
    """Draw the plots and write the page."""
    from emosphere_sb.commands.report import write_report

    write_report(state["folder"] / "report", state["report"], state["runs"])


PROCESSES: dict[str, dict[str, Callable[[dict], None]]] = {
    "training": {
        "read manifest": read_manifest,
        "create dataset": create_dataset,
        "statistics": compute_statistics,
        "batches of an epoch": iterate_sampler,
    },
    "predictions": {
        "read manifest": read_manifest,
        "collect predictions": predict,
        "write, read, score": write_table,
    },
    "report": {
        "read run": read_predictions,
        "metrics and intervals": assemble,
        "plots and page": write_page,
    },
}
"""Steps of each process, by name. Training ends where the first batch would be read."""


def label_scale():
    """Return the label scale of MSP-Podcast."""
    from emosphere_sb.scale import Scale

    return Scale(1, 7)


def run_process(process: str, folder: Path, rows: int) -> dict:
    """Run the steps of a process on the small and then on the large corpus; return measurements."""
    for size in (WARM_UP, rows):
        place = folder / str(size)
        state = {"manifest": place / "test1.csv", "folder": place / "run"}
        before, steps = peak_bytes(), {}
        for name, step in PROCESSES[process].items():
            start = time.perf_counter(), time.process_time()
            step(state)
            seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
            steps[name] = {"seconds": seconds, "cpu": cpu, "peak": peak_bytes() - before}
    return {"rows": rows, "steps": steps}


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(folder: Path, rows: int) -> dict[str, dict]:
    """Run all processes on a corpus."""
    for size in (WARM_UP, rows):
        (folder / str(size) / "run").mkdir(parents=True, exist_ok=True)
        write_manifest(folder / str(size) / "test1.csv", size)
    found = {}
    for process in PROCESSES:
        command = [sys.executable, __file__, f"--process={process}", f"--folder={folder}"]
        done = subprocess.run(
            [*command, f"--rows={rows}"], cwd=ROOT, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        found[process] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(results: Sequence[dict[str, dict]], command: str) -> str:
    """Return the results as a Markdown table with a description of the measurement."""
    sizes = [result["training"]["rows"] for result in results]
    lines = [
        "| process | step | " + " | ".join(f"{size:,} rows" for size in sizes) + " | µs per row |",
        "|---|---|" + "---|" * (len(sizes) + 1),
    ]
    for process, steps in PROCESSES.items():
        parts = [result[process]["steps"] for result in results]
        for name in steps:
            cells = " | ".join(f"{part[name]['cpu']:.2f} s" for part in parts)
            rates = [1e6 * p[name]["cpu"] / n for p, n in zip(parts, sizes, strict=True)]
            shown = " / ".join(f"{rate:.0f}" for rate in rates)
            lines.append(f"| {process} | {name} | {cells} | {shown} |")
        peaks = [max(step["peak"] for step in part.values()) for part in parts]
        cells = " | ".join(f"{peak / 2**20:.0f} MiB" for peak in peaks)
        per_row = " / ".join(f"{p / n / 1000:.2f}" for p, n in zip(peaks, sizes, strict=True))
        lines.append(f"| {process} | memory | {cells} | {per_row} KB |")
    start = sum(step["seconds"] for step in results[-1]["training"]["steps"].values())
    names = ("torch", "pandas", "speechbrain")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines += [
        "",
        f"CPU time of one process, without imports; the last column is the time (or memory) per "
        f"row at each size. Memory is the growth of the peak over that of a corpus of {WARM_UP} "
        f"rows (target: at most {MAX_KB} KB per row and process at the largest size, where fixed "
        f"costs matter least). Steps of a training until its first batch: {start:.1f} s for "
        f"{sizes[-1]:,} rows (target: {MAX_START:.0f} s). Random labels, one speaker per "
        f"{SPEAKER_SIZE} utterances, no audio. Generated by `{command}` (python "
        f"{platform.python_version()}, {versions}; {os.cpu_count()} cores).",
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark and write the table, or run one process."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="only 1,000 rows; write nothing")
    parser.add_argument("--process", choices=PROCESSES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.process:
        print(json.dumps(run_process(options.process, options.folder, options.rows)))
        return
    results = []
    for rows in (1000,) if options.quick else SIZES:
        with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
            results.append(measure(Path(name), rows))
    text = report(results, "make bench-scale")
    print(text)
    if not options.quick:
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "scale", text)


if __name__ == "__main__":
    main()
