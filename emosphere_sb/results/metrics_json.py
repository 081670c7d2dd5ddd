"""Write the results of a run: predictions of each set, and ``metrics.json``."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from emosphere_sb import __version__
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.results.predictions import read_predictions, write_predictions
from emosphere_sb.results.scores import prediction_metrics, write_json
from emosphere_sb.scale import DIMENSIONS

PACKAGES = ("torch", "torchaudio", "speechbrain", "transformers", "numpy")


def write_and_score_sets(folder: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, dict]:
    """Write the predictions of each set and compute its metrics from the written file.

    Sets without labels (predict-only) have predictions but no metrics.
    """
    results = {}
    for name, table in tables.items():
        path = folder / "predictions" / f"{name}.csv"
        write_predictions(table, path)
        written = read_predictions(path)
        if written[list(DIMENSIONS)].notna().any(axis=None):
            results[name] = prediction_metrics(written)
    return results


def prediction_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 digest of each predictions file, used later to detect modified files."""
    return {name: digest_of(folder / "predictions" / f"{name}.csv") for name in names}


def write_metrics(
    path: Path, results: Mapping, protocol: Mapping, run: Mapping, beside: Mapping
) -> dict:
    """Write a file such as ``metrics.json``: metrics by set, the protocol, and data on the run.

    ``beside`` holds reference values: the acoustic baseline and the ceiling of synthetic labels.
    """
    metrics = {
        **results,
        "protocol": {**protocol, "versions": package_versions()},
        "run": dict(run),
    }
    metrics["beside"] = {name: values for name, values in beside.items() if values}
    write_json(metrics, path)
    return metrics


def package_versions() -> dict[str, str]:
    """Return the versions of this package, Python and the main dependencies."""
    own = {"emosphere_sb": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in PACKAGES}


def machine_description() -> str:
    """Describe the hardware: processor, number of cores, and GPU."""
    import os

    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return f"{processor_name()}, {os.cpu_count()} cores{gpu}"


def peak_memory() -> dict[str, int]:
    """Return the peak memory of this process and, if available, of the GPU, in MiB."""
    import resource
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    usage = {"peak_memory_mib": round(peak)}
    if torch.cuda.is_available():
        usage["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return usage


def processor_name() -> str:
    """Return the model name of the processor if available, otherwise its architecture."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
