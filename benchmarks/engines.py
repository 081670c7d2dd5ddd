"""Compare the engines of ``emosphere predict`` with a plain transformers loop: speed and accuracy.

``make bench-engines TAVA=… ENCODER=…`` predicts 64 files with a model of the size of WavLM-base
(random weights) and with a plain loop over the files. On real speech (TAVA, with the pretrained
encoder of Whisper base), it trains the preset ``frozen`` and reports how the scores on the test
speakers depend on the engine. It writes the tables in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
import torch
from onnx_speed import write_base
from prediction import load_average, write_files
from runs import DIMENSIONS, ROOT, add_encoder, add_tava, replace_between_markers, run_recipe
from sides import quiet

from data_prep.manifest import read_manifest_rows
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.onnx_export.export import add_onnx, ccc_on_files
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
from emosphere_sb.release.release import release
from emosphere_sb.results.metrics_json import machine_description

FILES, BLOCKS = 64, 4
LOOP = "transformers, one file at a time"
ENGINES = ("PyTorch, float32", "PyTorch, bfloat16", "ONNX Runtime, float32", "ONNX Runtime, int8")
TARGETS = {"float32": 1.15, "fastest": 2.0}
SEED = 1


def load_engines(folder: Path) -> dict[str, TorchPredictor | OnnxEmoSphere]:
    """Load a released model with an ONNX copy with each engine; all use the same threads."""
    threads = torch.get_num_threads()
    models = (
        TorchPredictor.from_pretrained(folder, device="cpu"),
        TorchPredictor.from_pretrained(folder, device="cpu", precision="bf16"),
        OnnxEmoSphere.from_pretrained(folder, threads=threads),
        OnnxEmoSphere.from_pretrained(folder, int8=True, threads=threads),
    )
    return dict(zip(ENGINES, models, strict=True))


def plain_loop(model: TorchPredictor) -> Callable[[Sequence[str]], np.ndarray]:
    """Return a function that predicts files one by one with the unmodified transformers model."""
    from transformers import AutoModel

    released = model.model
    backbone = AutoModel.from_config(released.encoder.model.config).eval()
    backbone.load_state_dict(released.encoder.model.state_dict())

    @torch.inference_mode()
    def predict(paths: Sequence[str]) -> np.ndarray:
        found = []
        for path in paths:
            signal = torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None]
            frames = backbone(signal).last_hidden_state
            embedding = released.pooling(frames, torch.tensor([frames.shape[1]]))
            found.append(released.vad_head(embedding)[0].numpy())
        return np.stack(found)

    return predict


def predict_with(model: TorchPredictor | OnnxEmoSphere, paths: Sequence[str]) -> np.ndarray:
    """Predict files in one call; return V, A and D in [-1, 1], shape (files, 3)."""
    # The plain loop does not detect speech either
    options = {"max_seconds": None, "speech_detection": "off"}
    return np.stack([found.vad for found in model.predict(list(paths), **options)])


def measure_speed(folder: Path, files: int, blocks: int) -> dict[str, dict]:
    """Time blocks of files with all engines, which alternate, and compare the predictions."""
    paths = write_files(folder / "files", files)
    model = write_base(folder / "base")
    add_onnx(model, int8=True)
    engines = load_engines(model)
    calls = {LOOP: plain_loop(engines[ENGINES[0]])}
    for name, engine in engines.items():
        calls[name] = lambda part, engine=engine: predict_with(engine, part)
    found = {name: {"seconds": [], "vad": []} for name in calls}
    for call in calls.values():
        call(paths[:2])  # the first call allocates memory
    for block in range(blocks):
        part = paths[block::blocks]
        for name, call in calls.items():
            start = time.perf_counter()
            found[name]["vad"].append(call(part))
            found[name]["seconds"].append(time.perf_counter() - start)
    audio = sum(soundfile.info(path).duration for path in paths)
    expected = np.concatenate(found[LOOP]["vad"])
    for result in found.values():
        vad = np.concatenate(result.pop("vad"))
        result |= {"audio": audio, "difference": float(np.abs(vad - expected).max())}
    return found


def measure_accuracy(data: Path, encoder: Path, folder: Path) -> tuple[dict[str, dict], int]:
    """Train ``frozen`` on TAVA and score the test speakers with each engine."""
    run = folder / "run"
    options = [
        "--preset=frozen", f"--data_folder={data}", f"--backbone={encoder}", "--label_low=-1",
        "--label_high=1", f"--seed={SEED}", f"--results_folder={folder / 'results'}",
    ]  # fmt: skip
    run_recipe("OwnData", options, run)
    model = folder / "model"
    release(run, model, resamples=100)
    add_onnx(model, int8=True)
    (manifest,) = (folder / "results" / "OwnData" / "manifests").glob("*/test.csv")
    rows = read_manifest_rows(manifest, data_root=data).values()
    paths = [row["wav"] for row in rows]
    labels = np.array([[float(row[name]) for name in DIMENSIONS] for row in rows])
    found, expected = {}, None
    for name, engine in load_engines(model).items():
        vad = predict_with(engine, paths)
        expected = vad if expected is None else expected
        scores = ccc_on_files(engine, paths, labels)
        found[name] = {"ccc": scores, "difference": float(np.abs(vad - expected).max())}
    return found, len(paths)


def speed_table(found: Mapping[str, Mapping], files: int) -> list[str]:
    """Return the lines of the table of speeds."""
    lines = [
        f"| {files} files | time | × real time | relative speed | VAD difference |",
        "|---|---|---|---|---|",
    ]
    base = found[LOOP]["seconds"]
    for name, result in found.items():
        ratios = [a / b for a, b in zip(base, result["seconds"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        total = sum(result["seconds"])
        difference = "" if name == LOOP else f"{result['difference']:.0e}"
        lines.append(
            f"| {name} | {total:.1f} s | {result['audio'] / total:.1f} | {spread} | {difference} |"
        )
    return lines


def accuracy_table(found: Mapping[str, Mapping]) -> list[str]:
    """Return the lines of the table of scores on real speech."""
    lines = [
        "| engine | valence | arousal | dominance | mean | loss in mean CCC | VAD difference |",
        "|---|---|---|---|---|---|---|",
    ]
    reference = found[ENGINES[0]]["ccc"]["mean"]
    for name, result in found.items():
        scores = [f"{result['ccc'][key]:.4f}" for key in (*DIMENSIONS, "mean")]
        loss = reference - result["ccc"]["mean"]
        lines.append(
            f"| {name} | {' | '.join(scores)} | {loss:+.4f} | {result['difference']:.0e} |"
        )
    return lines


def report(speed: Mapping, accuracy: Mapping, utterances: int) -> str:
    """Return both tables with a description of the measurement."""
    names = ("torch", "transformers", "onnxruntime")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return "\n".join(
        [
            *speed_table(speed, FILES),
            "",
            f"WavLM-base size, random weights, noise with the durations of MSP-Podcast utterances. "
            f"Each engine predicts the files in {BLOCKS} calls, alternating with the others; "
            f"relative speed: median and range over the calls. The loop reads a file, runs the "
            f"unmodified model of transformers in float32, pooling and head. Targets: "
            f"{TARGETS['float32']} in float32 with differences of at most 1e-4, and "
            f"{TARGETS['fastest']:.1f} with the fastest engine.",
            "",
            *accuracy_table(accuracy),
            "",
            f"TAVA's {utterances} test clips, pretrained Whisper base, preset `frozen` "
            f"(seed {SEED}) trained in float32. VAD difference: largest absolute difference from "
            f"the first row, in [-1, 1]. Load average during the measurement: {load_average()}. "
            f"Generated by `make bench-engines` ({versions}; {machine_description()}; "
            f"{torch.get_num_threads()} threads).",
        ]
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_tava(parser, required=False)
    add_encoder(parser, required=False)
    parser.add_argument(
        "--quick", action="store_true", help="only the speed, on few files; write nothing"
    )
    options = parser.parse_args(words)
    if not options.quick and not (options.data and options.encoder):
        parser.error("--data and --encoder are required without --quick")
    quiet()
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        folder = Path(name)
        if options.quick:
            print("\n".join(speed_table(measure_speed(folder, 4, 2), 4)))
            return 0
        accuracy, utterances = measure_accuracy(options.data, options.encoder, folder / "tava")
        speed = measure_speed(folder, FILES, BLOCKS)
    text = report(speed, accuracy, utterances)
    print(text)
    replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "engines", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
