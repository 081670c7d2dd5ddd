"""Measure training from cached features of a frozen backbone: ``make bench-cache``.

The script times an epoch over the same utterances (noise with the durations of MSP-Podcast
utterances) without a cache, from the cache on disk, and from features that are already in memory.
The last of these is the cost of pooling and heads alone. Filling the cache is timed separately.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from recipe_pipeline import command
from runs import ROOT, replace_between_markers
from sides import quiet
from workload import SIZES, durations, save_weights, write_corpus

from emosphere_sb.data import dataset
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.recipe.build import make_brain
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.results.metrics_json import machine_description
from emosphere_sb.scale import Scale
from emosphere_sb.training.feature_extraction import use_cached_features

PRESETS = {"mean": "mean_pooling", "style": ""}
DEFAULTS = {"size": "base", "utterances": 32, "repeats": 5}


class FrozenTraining:
    """Brain with a frozen backbone, and the data loader of its training set."""

    def __init__(
        self,
        pooling: str,
        size: str,
        rows: dict,
        folder: Path,
        device: str,
        batch: int,
        precision: str | None = None,
    ):
        words = command(SIZES[size], folder, device, batch, precision)
        words += ["--freeze=all", "--feature_cache=frames", f"--results_folder={folder}"]
        if PRESETS[pooling]:  # replaces style pooling, whose settings then have no effect
            words = [word for word in words if not word.startswith("--pooling_")]
            words.append(f"--preset={PRESETS[pooling]}")
        unique = {word.partition("=")[0]: word for word in words}  # later options override
        request = read_command(list(unique.values()), corpus="MSP-Podcast")
        tree, options = request.tree, request.run_options
        self.hparams = hparams = build_objects(tree)
        self.set = dataset.SpeechDataset(rows, scale=Scale(1, 7), task=hparams["task"])
        output = folder / pooling
        output.mkdir(exist_ok=True)
        self.brain = make_brain(hparams, options, {"train": self.set, "valid": self.set}, output)
        hparams["task"].set_targets(self.set.targets())
        hparams["normaliser"].set_statistics(0.0, 1.0)
        self.brain.on_fit_start()
        self.brain.on_stage_start(_train_stage(), 1)
        sampler = PooledBatchSampler(self.set.durations, batch, seed=1)
        workers = {"num_workers": hparams["num_workers"]}
        self.loader = dataset.train_loader(self.set, sampler, micro_batch=batch, **workers)

    def epoch(self, steps=None) -> None:
        """Train for one epoch on ``steps``, or by default on the batches of the data loader."""
        self.brain.modules.train()
        for step in self.loader if steps is None else steps:
            self.brain.fit_batch(step)
        if self.brain.device_type == "cuda":
            torch.cuda.synchronize()

    def fill(self, folder: Path) -> None:
        """Fill the feature cache and use it in all later epochs."""
        use_cached_features(self.brain, self.hparams, {"train": self.set}, folder)


def _train_stage():
    from speechbrain.core import Stage

    return Stage.TRAIN


def seconds(call: Callable[[], None]) -> float:
    """Run a function and return its duration in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(pooling: str, arguments: argparse.Namespace, rows: dict, folder: Path) -> dict:
    """Measure the epochs in each setting and the filling of the cache; return the times in s."""
    frozen = FrozenTraining(
        pooling, arguments.size, rows, folder, arguments.device, arguments.batch
    )
    found = {"without": [seconds(frozen.epoch)]}
    found["filling"] = [seconds(lambda: frozen.fill(folder / f"cache-{pooling}"))]
    batches = list(frozen.loader)
    frozen.epoch()  # warm-up
    for name in ("cached", "memory"):
        found[name] = []
    for _ in range(arguments.repeats):
        found["cached"].append(seconds(frozen.epoch))
        found["memory"].append(seconds(lambda: frozen.epoch(batches)))
    return found


def report(
    found: dict[str, dict], arguments: argparse.Namespace, hours: float, generated_by: str
) -> str:
    """Return the results as a Markdown table with a description of the measurement."""
    lines = [
        "| pooling | without cache | filling the cache | from the cache | features in memory | "
        "without / cache | cache / memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for pooling, times in found.items():
        median = {name: statistics.median(values) for name, values in times.items()}
        over = [a / b for a, b in zip(times["cached"], times["memory"], strict=True)]
        names = ("without", "filling", "cached", "memory")
        cells = [f"{median[name]:.2f} s" for name in names]
        cells.append(f"{median['without'] / median['cached']:.0f}")
        cells.append(f"{statistics.median(over):.2f} ({min(over):.2f} to {max(over):.2f})")
        lines.append(f"| {pooling} | {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    lines += [
        "",
        f"Time of an epoch over {arguments.utterances} utterances ({hours * 60:.1f} minutes of "
        f"noise with the durations of MSP-Podcast utterances) with a frozen "
        f"WavLM-{arguments.size} in float32 and batches of {arguments.batch}; medians of "
        f"{arguments.repeats} interleaved epochs, except for *without cache* (a single epoch). "
        f"Generated by `{generated_by}` ({versions}; "
        f"{machine_description()}; {torch.get_num_threads()} threads).",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark; write benchmarks/RESULTS.md if all options have their defaults."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", choices=list(SIZES), default=DEFAULTS["size"])
    parser.add_argument("--utterances", type=int, default=DEFAULTS["utterances"])
    parser.add_argument("--repeats", type=int, default=DEFAULTS["repeats"])
    parser.add_argument("--batch", type=int, default=16)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        folder = Path(name)
        rows = write_corpus(folder / "audio", durations(arguments.utterances))
        save_weights(SIZES[arguments.size], folder)
        found = {pooling: measure(pooling, arguments, rows, folder) for pooling in PRESETS}
    hours = sum(row["duration"] for row in rows.values()) / 3600
    text = report(found, arguments, hours, "make bench-cache")
    print(text)
    if all(getattr(arguments, key) == value for key, value in DEFAULTS.items()):
        replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "feature-cache", text)


if __name__ == "__main__":
    main()
