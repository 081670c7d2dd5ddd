"""Prediction: a folder of files against one call per file, and an hour through the timeline.

``make bench-predict`` runs it. Weights are random, sound is noise in syllables: neither changes how
long it takes. Every figure of memory comes from a process of its own.
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
from runs import ROOT, put_between
from sides import quiet
from workload import SIZES, durations

from emosphere_sb.results.metrics_json import machine

RATE = 16000
DEMO = {"demo": "hparams/backbones/wavlm_demo.json", "base": "WavLM-base"}
WIDTHS = {"demo": (64, 128), "base": (1024, 1024)}
"""Of pooling and of the head."""
FULL = {"files": {"demo": 256, "base": 16}, "seconds": {"demo": 3600, "base": 120}, "repeats": 3}
QUICK = {"files": {"demo": 16, "base": 2}, "seconds": {"demo": 60, "base": 8}, "repeats": 1}


def model_of(size: str, folder: Path):
    """A model of this size with random weights, as recipes build it."""
    from emosphere_sb.inference.interface import EmoSphere
    from emosphere_sb.lobes import SSLEncoder, StylePooling, VADHead, WaveformNormaliser
    from emosphere_sb.release.model import About, ReleasedModel
    from emosphere_sb.scale import Scale

    torch.manual_seed(1)
    configuration = ROOT / DEMO["demo"]
    if size == "base":
        from transformers import WavLMConfig

        configuration = folder / "base.json"
        text = WavLMConfig(**SIZES["base"].config).to_json_string(use_diff=False)
        configuration.write_text(text, encoding="utf-8")
    encoder, (width, hidden) = SSLEncoder(str(configuration), freeze="all"), WIDTHS[size]
    parts = [StylePooling(encoder.output_size, width), VADHead(width, hidden)]
    model = ReleasedModel(WaveformNormaliser("none"), encoder, *parts)
    return EmoSphere(model, About(size, Scale(1, 7)), "cpu")


def syllables(seconds: float, seed: int) -> np.ndarray:
    """Noise that swells four times a second, shape (samples,), float32."""
    samples = round(seconds * RATE)
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * np.arange(samples) / RATE)
    drawn = np.random.default_rng(seed).standard_normal(samples)
    return (0.05 * swell * drawn).astype(np.float32)


def write_files(folder: Path, count: int) -> list[str]:
    """Files with MSP-Podcast's durations."""
    folder.mkdir()
    paths = [str(folder / f"{number:04d}.wav") for number in range(count)]
    lengths = durations(max(count, 80))[:count]
    for number, (path, seconds) in enumerate(zip(paths, lengths, strict=True)):
        soundfile.write(path, syllables(seconds, number), RATE)
    return paths


def write_long(path: Path, seconds: int) -> None:
    """A recording, a minute at a time."""
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for number in range(0, seconds, 60):
            file.write(syllables(min(60, seconds - number), number))


def folder_child(size: str, folder: Path, repeats: int) -> dict:
    """Seconds for all files, in one call and in one call for each, in turns."""
    model = model_of(size, folder)
    paths = sorted(str(path) for path in (folder / "files").iterdir())
    model.predict(paths[:2])  # warm
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


def long_child(size: str, folder: Path) -> dict:
    """Seconds and peak memory of a timeline, model and all."""
    from emosphere_sb.inference.timeline import summarise, timeline

    model = model_of(size, folder)
    before = peak()
    start, used = time.perf_counter(), time.process_time()
    whole = summarise(timeline(model, folder / "long.wav"))
    return {
        "taken": time.perf_counter() - start, "used": time.process_time() - used,
        "windows": whole.windows, "audio": whole.end, "before": before, "peak": peak(),
    }  # fmt: skip


def peak() -> float:
    """Peak resident memory of this process, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def in_process(kind: str, size: str, folder: Path, repeats: int) -> dict:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, f"--child={kind}", f"--size={size}", f"--folder={folder}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, f"--repeats={repeats}"], env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def folder_row(size: str, found: dict, files: int) -> str:
    """A row of the first table."""
    ratios = [b / a for a, b in zip(found["together"], found["alone"], strict=True)]
    together, alone = (statistics.median(found[name]) for name in ("together", "alone"))
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return (
        f"| {size} | {files} | {found['audio'] / 60:.1f} min | {together:.2f} s "
        f"({found['audio'] / together:.0f} × real time) | {alone:.2f} s | {spread} | "
        f"{found['difference']:.0e} |"
    )


def long_row(size: str, found: dict) -> str:
    """A row of the second table."""
    speed = found["audio"] / found["taken"]
    return (
        f"| {size} | {found['audio'] / 60:.0f} min | {found['windows']:,} | {found['taken']:.0f} s "
        f"| {speed:.1f} | {found['used']:.0f} s | {found['before']:.2f} GB "
        f"| {found['peak']:.2f} GB |"
    )


def report(rows: list[str], long_rows: list[str], repeats: int) -> str:
    """Both tables, and what made them."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    return "\n".join(
        [
            "| model | files | audio | one call | one call per file | ratio | difference |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "`emosphere timeline`, windows of 4 s every second:",
            "",
            "| model | recording | windows | took | × real time | CPU time | memory before | "
            "peak memory |",
            "|---|---|---|---|---|---|---|---|",
            *long_rows,
            "",
            "Float32, random weights, noise in syllables; files have MSP-Podcast's durations. "
            "demo: row `demo`; base: WavLM-base with the published pooling and head. Medians "
            f"of {repeats} interleaved pairs with the range of their ratios; difference: the "
            "largest between the two ways, of V, A and D. CPU time: over all threads, which other "
            "work on the machine lengthens least. Memory: resident, of a process of its own; "
            f"before: with the model loaded. Load of the machine while it ran: {load()}. "
            f"Made by `make bench-predict` ({versions}; {machine()}; "
            f"{torch.get_num_threads()} threads).",
        ]
    )


def load() -> str:
    """Processes that wanted to run over the last quarter of an hour, beside the cores there are."""
    wanted = f"{os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"{wanted} on {os.cpu_count()} cores"


def main() -> None:
    """Measure, print, and write benchmarks/RESULTS.md unless it is quick."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="small; writes nothing")
    parser.add_argument("--child", choices=("folder", "long"), help=argparse.SUPPRESS)
    for name in ("size", "folder"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    quiet()
    if arguments.child:
        folder = Path(arguments.folder)
        if arguments.child == "folder":
            found = folder_child(arguments.size, folder, arguments.repeats)
        else:
            found = long_child(arguments.size, folder)
        print(json.dumps(found))
        return
    amount = QUICK if arguments.quick else FULL
    rows, long_rows = [], []
    for size in DEMO:
        with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
            folder = Path(name)
            files = len(write_files(folder / "files", amount["files"][size]))
            write_long(folder / "long.wav", amount["seconds"][size])
            repeats = amount["repeats"]
            rows.append(folder_row(size, in_process("folder", size, folder, repeats), files))
            long_rows.append(long_row(size, in_process("long", size, folder, repeats)))
            print(rows[-1], long_rows[-1], sep="\n", flush=True)
    text = report(rows, long_rows, amount["repeats"])
    print(text)
    if not arguments.quick:
        put_between(ROOT / "benchmarks" / "RESULTS.md", "prediction", text)


if __name__ == "__main__":
    main()
