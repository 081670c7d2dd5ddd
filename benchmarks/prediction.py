"""Benchmark prediction of many files and of a long recording: ``make bench-predict``.

The script predicts files in one call and in one call per file. The weights are random and the audio
is amplitude-modulated noise; neither affects the speed. Memory is measured in separate processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
import torch
from runs import ROOT, replace_between_markers
from sides import quiet
from workload import SIZES, durations

from emosphere_sb.results.metrics_json import machine_description

RATE = 16000
BACKBONES = {"demo": "hparams/backbones/wavlm_demo.json", "base": "WavLM-base"}
WIDTHS = {"demo": (64, 128), "base": (1024, 1024)}
"""Widths of the pooling layer and of the head."""
FULL = {"files": {"demo": 256, "base": 16}, "seconds": {"demo": 3600, "base": 120}, "repeats": 3}
QUICK = {"files": {"demo": 16, "base": 2}, "seconds": {"demo": 60, "base": 8}, "repeats": 1}


def model_of(size: str, folder: Path):
    """Build a model of the given size with random weights, as in the recipes."""
    from emosphere_sb.inference.interface import EmoSphere
    from emosphere_sb.lobes import SSLEncoder, StylePooling, VADHead, WaveformNormaliser
    from emosphere_sb.release.model import ModelInfo, ReleasedModel
    from emosphere_sb.scale import Scale

    torch.manual_seed(1)
    configuration = ROOT / BACKBONES["demo"]
    if size == "base":
        from transformers import WavLMConfig

        configuration = folder / "base.json"
        text = WavLMConfig(**SIZES["base"].config).to_json_string(use_diff=False)
        configuration.write_text(text, encoding="utf-8")
    encoder, (width, hidden) = SSLEncoder(str(configuration), freeze="all"), WIDTHS[size]
    parts = [StylePooling(encoder.output_size, width), VADHead(width, hidden)]
    model = ReleasedModel(WaveformNormaliser("none"), encoder, *parts)
    return EmoSphere(model, ModelInfo(size, Scale(1, 7)), "cpu")


def modulated_noise(seconds: float, seed: int) -> np.ndarray:
    """Generate noise with 4 Hz amplitude modulation, shape (samples,), float32."""
    samples = round(seconds * RATE)
    envelope = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * np.arange(samples) / RATE)
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (0.05 * envelope * noise).astype(np.float32)


def write_files(folder: Path, count: int) -> list[str]:
    """Write files with the durations of MSP-Podcast utterances and return their paths."""
    folder.mkdir()
    paths = [str(folder / f"{number:04d}.wav") for number in range(count)]
    lengths = durations(max(count, 80))[:count]
    for number, (path, seconds) in enumerate(zip(paths, lengths, strict=True)):
        soundfile.write(path, modulated_noise(seconds, number), RATE)
    return paths


def write_long(path: Path, seconds: int) -> None:
    """Write a long recording minute by minute, to save memory."""
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for number in range(0, seconds, 60):
            file.write(modulated_noise(min(60, seconds - number), number))


def measure_files(size: str, folder: Path, repeats: int) -> dict:
    """Time the prediction of all files in one call and in one call per file, interleaved."""
    model = model_of(size, folder)
    paths = sorted(str(path) for path in (folder / "files").iterdir())
    model.predict(paths[:2])  # warm-up
    found: dict[str, list[float]] = {"together": [], "alone": []}
    for _ in range(repeats):
        start = time.perf_counter()
        together = model.predict(paths)
        middle = time.perf_counter()
        alone = [model.predict(path) for path in paths]
        found["together"].append(middle - start)
        found["alone"].append(time.perf_counter() - middle)
    pairs = zip(together, alone, strict=True)
    difference = max(float(np.abs(a.vad - b.vad).max()) for a, b in pairs)
    return {**found, "difference": difference, "audio": sum(one.duration for one in alone)}


def measure_timeline(size: str, folder: Path) -> dict:
    """Measure the time (s) and peak memory (GB, with the model) needed to compute a timeline."""
    from emosphere_sb.inference.timeline import summarise_timeline, timeline

    model = model_of(size, folder)
    before = peak()
    start, used = time.perf_counter(), time.process_time()
    summary = summarise_timeline(timeline(model, folder / "long.wav"))
    return {
        "taken": time.perf_counter() - start, "used": time.process_time() - used,
        "windows": summary.windows, "audio": summary.end, "before": before, "peak": peak(),
    }  # fmt: skip


def peak() -> float:
    """Return the peak resident memory of the current process in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def run_in_subprocess(kind: str, size: str, folder: Path, repeats: int) -> dict:
    """Run a measurement in a separate process."""
    command = [sys.executable, __file__, f"--child={kind}", f"--size={size}", f"--folder={folder}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, f"--repeats={repeats}"], env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def folder_row(size: str, found: dict, files: int) -> str:
    """Return a row of the table of file predictions."""
    ratios = [b / a for a, b in zip(found["together"], found["alone"], strict=True)]
    together, alone = (statistics.median(found[name]) for name in ("together", "alone"))
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return (
        f"| {size} | {files} | {found['audio'] / 60:.1f} min | {together:.2f} s "
        f"({found['audio'] / together:.0f} × real time) | {alone:.2f} s | {spread} | "
        f"{found['difference']:.0e} |"
    )


def long_row(size: str, found: dict) -> str:
    """Return a row of the table of timelines."""
    speed = found["audio"] / found["taken"]
    return (
        f"| {size} | {found['audio'] / 60:.0f} min | {found['windows']:,} | {found['taken']:.0f} s "
        f"| {speed:.1f} | {found['used']:.0f} s | {found['before']:.2f} GB "
        f"| {found['peak']:.2f} GB |"
    )


def report(rows: list[str], long_rows: list[str], repeats: int) -> str:
    """Return both tables with a description of the measurement."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    return "\n".join(
        [
            "| model | files | audio | one call | one call per file | ratio | difference |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "`emosphere timeline` with windows of 4 s and a hop of 1 s:",
            "",
            "| model | recording | windows | time | × real time | CPU time | initial memory | "
            "peak memory |",
            "|---|---|---|---|---|---|---|---|",
            *long_rows,
            "",
            "Float32, random weights, amplitude-modulated noise; files have the durations of "
            "MSP-Podcast utterances. Models: *demo* has the sizes of the `demo` preset; *base* is "
            "WavLM-base with pooling and head as in the paper. Times are medians of "
            f"{repeats} interleaved pairs, with the range of their ratios. Difference: largest "
            "absolute difference in V, A or D between the two methods. CPU time: sum over all "
            "threads, which depends least on the load of the machine. Memory: resident memory of a "
            "separate process; initial memory: after loading the model. Load average during the "
            f"measurement: {load_average()}. Generated by `make bench-predict` ({versions}; "
            f"{machine_description()}; "
            f"{torch.get_num_threads()} threads).",
        ]
    )


def load_average() -> str:
    """Return the 15-minute load average and the number of cores."""
    average = f"{os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"{average} on {os.cpu_count()} cores"


def main() -> None:
    """Run the benchmark; write benchmarks/RESULTS.md unless ``--quick`` is set."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="measure few files; write nothing")
    parser.add_argument("--child", choices=("folder", "long"), help=argparse.SUPPRESS)
    for name in ("size", "folder"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    quiet()
    if arguments.child:
        folder = Path(arguments.folder)
        if arguments.child == "folder":
            found = measure_files(arguments.size, folder, arguments.repeats)
        else:
            found = measure_timeline(arguments.size, folder)
        print(json.dumps(found))
        return
    amount = QUICK if arguments.quick else FULL
    rows, long_rows = [], []
    for size in BACKBONES:
        with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
            folder = Path(name)
            files = len(write_files(folder / "files", amount["files"][size]))
            write_long(folder / "long.wav", amount["seconds"][size])
            repeats = amount["repeats"]
            rows.append(folder_row(size, run_in_subprocess("folder", size, folder, repeats), files))
            long_rows.append(long_row(size, run_in_subprocess("long", size, folder, repeats)))
            print(rows[-1], long_rows[-1], sep="\n", flush=True)
    text = report(rows, long_rows, amount["repeats"])
    print(text)
    if not arguments.quick:
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "prediction", text)


if __name__ == "__main__":
    main()
