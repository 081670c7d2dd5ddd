"""Compare ONNX in float32 and int8 with PyTorch: time, file size, predictions and CCC.

First run ``make demo``, then ``make bench-onnx``, which writes the tables in benchmarks/RESULTS.md.
Use ``--run=`` and ``--corpus=`` for another run and the corpus on which it was trained. (The script
is not called onnx.py because that name would shadow the package.)
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from runs import DIMENSIONS, ROOT, replace_between_markers

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.lobes import SSLEncoder, StylePooling, VADHead, WaveformNormaliser
from emosphere_sb.onnx_export.export import ExportResult, ccc_on_files, export, synthetic_signals
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
from emosphere_sb.release.model import ModelInfo, ReleasedModel
from emosphere_sb.release.parts import describe_call
from emosphere_sb.release.release import release
from emosphere_sb.release.write import write_released
from emosphere_sb.results.metrics_json import package_versions
from emosphere_sb.scale import Scale

RUN = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7"
CORPUS = ROOT / "results" / "demo_corpus" / "MSP-Podcast" / "demo"
SET = "test1"
THREADS = 2
SECONDS = 5.0
BASE = {"model_type": "wavlm"}
"""Configuration of WavLM-base, the transformers default: 12 layers of size 768, group norm."""
WIDTH = 768
SIDES = ("torch", "onnxruntime float32", "onnxruntime int8")
FILES = {
    "torch": "model.safetensors",
    SIDES[1]: "model.onnx",
    SIDES[2]: "model_int8.onnx",
}


def main(words: Sequence[str] | None = None) -> None:
    """Export the models, run the benchmark, and write the tables."""
    options = build_parser().parse_args(words)
    if not (options.run / "metrics.json").is_file():
        raise SystemExit(
            f"No finished run found in {options.run}. Run `make demo` first, or use --run=FOLDER "
            f"and --corpus=FOLDER to specify another run and its corpus."
        )
    torch.set_num_threads(THREADS)
    rows, repetitions = [], 3 if options.quick else 15
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release(options.run, folder / "demo", resamples=100)
        models = {"demo": folder / "demo"}
        if not options.quick:
            models["WavLM-base size, random weights"] = write_base(folder / "base")
        for label, model in models.items():
            rows += measure(label, model, repetitions)
        scores = ccc_of_sides(folder / "demo", *labels_of(options.run, options.corpus))
    text = "\n\n".join([speed_table(rows), ccc_table(scores), origin(options, repetitions)])
    print(text)
    if not options.quick:
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "onnx", text)


def build_parser() -> argparse.ArgumentParser:
    """Build the command-line parser."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--run", type=Path, default=RUN, help="folder of a finished run of the demo preset"
    )
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, help="folder of the corpus of that run"
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure only the demo model; write nothing"
    )
    return parser


def write_base(folder: Path, settings: Mapping = BASE, width: int = WIDTH) -> Path:
    """Write a released model with random weights, by default of the size of WavLM-base."""
    folder.mkdir()
    configuration = folder.with_suffix(".json")
    configuration.write_text(json.dumps(settings))
    torch.manual_seed(0)
    encoder = SSLEncoder(str(configuration), freeze="all", spec_augment=False)
    pooling, head = StylePooling(width), VADHead(1024)
    model = ReleasedModel(WaveformNormaliser("none"), encoder, pooling, head)
    described = {
        "normaliser": {"mode": "none"},
        "encoder": {"layers": "last"},
        "pooling": describe_call("StylePooling", width),
        "vad_head": describe_call("VADHead", 1024),
        "class_head": None,
    }
    about = ModelInfo("base size", Scale(1, 7), licence="None.", synthetic=True)
    write_released(folder, model.eval(), about, described, "# Random weights\n")
    return folder


def measure(label: str, model: Path, repetitions: int) -> list[dict]:
    """Measure time per second of audio, file size in MB and VAD difference of each runtime."""
    out = model.with_name(model.name + "-onnx")
    found = export(model, out, int8=True)
    sides = {
        SIDES[0]: EmoSphere.from_pretrained(model, device="cpu"),
        SIDES[1]: OnnxEmoSphere.from_pretrained(out, threads=THREADS),
        SIDES[2]: OnnxEmoSphere.from_pretrained(out, int8=True, threads=THREADS),
    }
    (sound,) = synthetic_signals([SECONDS])
    signals = {SIDES[0]: torch.from_numpy(sound), SIDES[1]: sound, SIDES[2]: sound}
    calls = {name: (lambda m=m, s=signals[name]: m._forward([s])) for name, m in sides.items()}
    times = interleaved(calls, repetitions)
    return [
        {
            "model": label,
            "side": name,
            "times": [seconds / SECONDS for seconds in times[name]],
            "size": size_of(model if name == SIDES[0] else out, FILES[name]),
            "difference": difference_of(found, name),
        }
        for name in SIDES
    ]


def interleaved(calls: Mapping[str, Callable], repetitions: int) -> dict[str, list[float]]:
    """Time interleaved calls, so that other load affects all equally; return the times in s."""
    for call in calls.values():
        call()  # the first call allocates memory
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def size_of(folder: Path, name: str) -> float:
    """Return the size of a model file in MB, including its external weights in the same folder."""
    return sum(path.stat().st_size for path in folder.glob(f"{name}*")) / 1e6


def difference_of(found: ExportResult, side: str) -> float | None:
    """Return the largest difference in VAD from PyTorch, or None for PyTorch itself."""
    return None if side == SIDES[0] else found.deviations[FILES[side]]["vad"]


def labels_of(run: Path, corpus: Path) -> tuple[list[str], np.ndarray]:
    """Return the paths and labels, shape (files, 3), of the audio files of a run's test set."""
    paths = {path.stem: path for path in corpus.rglob("*.wav")}
    with open(run / "predictions" / f"{SET}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [row["ID"] for row in rows if row["ID"] not in paths]
    if missing:
        raise SystemExit(
            f"{len(missing)} of the {len(rows)} {SET} files of the run {run} were not found in "
            f"{corpus}. Use --corpus=FOLDER to specify the corpus of this run."
        )
    labels = np.array([[float(row[name]) for name in DIMENSIONS] for row in rows])
    return [str(paths[row["ID"]]) for row in rows], labels


def ccc_of_sides(
    model: Path, paths: Sequence[str], labels: np.ndarray
) -> dict[str, dict[str, float]]:
    """Compute the CCC of each runtime on labelled files."""
    out = model.with_name(model.name + "-onnx")
    sides = {
        SIDES[0]: EmoSphere.from_pretrained(model, device="cpu"),
        SIDES[1]: OnnxEmoSphere.from_pretrained(out, threads=THREADS),
        SIDES[2]: OnnxEmoSphere.from_pretrained(out, int8=True, threads=THREADS),
    }
    scores = {name: ccc_on_files(side, paths, labels) for name, side in sides.items()}
    return {name: {**row, "files": len(paths)} for name, row in scores.items()}


def speed_table(rows: Sequence[Mapping]) -> str:
    """Return time, size and difference as a Markdown table."""
    lines = [
        "| model | runtime | s per second of audio | relative to torch | MB | VAD difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        base = next(r for r in rows if r["model"] == row["model"] and r["side"] == SIDES[0])
        ratios = np.divide(row["times"], base["times"])  # ratios of interleaved calls
        low, high = np.quantile(row["times"], [0.25, 0.75])
        difference = "" if row["difference"] is None else f"{row['difference']:.1e}"
        lines.append(
            f"| {row['model']} | {row['side']} | {statistics.median(row['times']):.4f} "
            f"({low:.4f} to {high:.4f}) | {statistics.median(ratios):.2f} | {row['size']:.1f} | "
            f"{difference} |"
        )
    return "\n".join(lines)


def ccc_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return the CCC as a Markdown table."""
    names = (*DIMENSIONS, "mean")
    lines = [
        f"| {SET} of the demo (synthetic speech) | {' | '.join(names)} | loss in mean CCC |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for side, row in scores.items():
        loss = scores[SIDES[0]]["mean"] - row["mean"]
        cells = " | ".join(f"{row[name]:.4f}" for name in names)
        lines.append(f"| {side} | {cells} | {loss:+.4f} |")
    return "\n".join(lines)


def origin(options: argparse.Namespace, repetitions: int) -> str:
    """Describe how the tables were generated."""
    metrics = json.loads((options.run / "metrics.json").read_text(encoding="utf-8"))
    count = metrics[SET]["utterances"]
    used = {
        name: package_versions()[name]
        for name in ("emosphere_sb", "python", "torch", "transformers")
    }
    listed = ", ".join(f"{name} {version}" for name, version in used.items())
    return (
        f"Utterances of {SECONDS:g} s, one at a time, {THREADS} threads; medians (with quartiles) "
        f"of {repetitions} interleaved calls, and medians of their ratios, on a shared machine. "
        f"VAD "
        f"difference: largest absolute difference over three synthetic signals, individually and "
        f"in "
        f"a batch. The CCC is computed over {count} files. Generated by `make demo; make "
        f"bench-onnx` (seed "
        f"{metrics['protocol']['seed']}; {listed}, onnxruntime {onnxruntime.__version__}; "
        f"{metrics['run']['machine']})."
    )


if __name__ == "__main__":
    main()
