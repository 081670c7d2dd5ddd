"""What a run leaves behind: predictions of every set, and metrics.json read from them."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from emosphere_sb import __version__
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.results.predictions import read_predictions, write_predictions
from emosphere_sb.results.scores import figures, write_json
from emosphere_sb.scale import DIMENSIONS

PACKAGES = ("torch", "torchaudio", "speechbrain", "transformers", "numpy")


def report_sets(folder: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, dict]:
    """Write each set's predictions, and compute its figures from the file that was written.

    Sets without labels (predict-only) get their predictions and no figures.
    """
    results = {}
    for name, table in tables.items():
        path = folder / "predictions" / f"{name}.csv"
        write_predictions(table, path)
        written = read_predictions(path)
        if written[list(DIMENSIONS)].notna().any(axis=None):
            results[name] = figures(written)
    return results


def predictions_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each set's predictions: whoever reads them later sees whether they are these."""
    return {name: digest_of(folder / "predictions" / f"{name}.csv") for name in names}


def write_metrics(
    path: Path, results: Mapping, protocol: Mapping, run: Mapping, beside: Mapping
) -> dict:
    """Write a file such as ``metrics.json``: figures by set, their protocol, the run's cost.

    ``beside`` holds what the figures must be held against: a baseline, the cap of synthetic labels.
    """
    metrics = {**results, "protocol": {**protocol, "versions": versions()}, "run": dict(run)}
    metrics["beside"] = {name: facts for name, facts in beside.items() if facts}
    write_json(metrics, path)
    return metrics


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    own = {"emosphere_sb": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in PACKAGES}


def machine() -> str:
    """Processor, cores, and GPU, as a result's place of origin."""
    import os

    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return f"{processor()}, {os.cpu_count()} cores{gpu}"


def memory() -> dict[str, int]:
    """Peak memory of this process and, where there is one, of the GPU, in MiB."""
    import resource
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    facts = {"peak_memory_mib": round(peak)}
    if torch.cuda.is_available():
        facts["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return facts


def processor() -> str:
    """The processor's name where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
