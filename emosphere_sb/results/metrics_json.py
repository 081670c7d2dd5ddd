"""Write the results of a run: predictions of each set, and ``metrics.json``."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from emosphere_sb import __version__
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.fileio.json_file import read_json_mapping
from emosphere_sb.results.constants import NON_SET_KEYS
from emosphere_sb.results.predictions import read_predictions, write_predictions
from emosphere_sb.results.scores import plain_values, prediction_metrics, write_json
from emosphere_sb.scale import DIMENSIONS

CHECKSUM = "checksum"
"""Key of the section ``run`` with the checksum of the file's own content."""
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
    metrics["run"][CHECKSUM] = metrics_digest(metrics)
    write_json(metrics, path)
    return metrics


def metrics_digest(metrics: Mapping) -> str:
    """Return the SHA-256 of the content of a metrics file, without the checksum itself."""
    run = {key: value for key, value in metrics["run"].items() if key != CHECKSUM}
    text = json.dumps(plain_values({**metrics, "run": run}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_modified(metrics: Mapping) -> bool:
    """Return whether the content of a metrics file differs from its checksum, if it has one."""
    run = metrics["run"]
    return CHECKSUM in run and run[CHECKSUM] != metrics_digest(metrics)


def results_error(path: Path) -> str:
    """Compare a metrics file and the predictions that it lists with their checksums.

    Arguments
    ---------
    path : Path
        Metrics file of a finished run, such as ``metrics.json``.

    Returns
    -------
    str
        Description of the first file that is missing, damaged or modified; empty otherwise.
    """
    try:
        metrics = read_json_mapping(path, remedy="", keys=("protocol", "run"))
        digests = dict(metrics["run"]["predictions"])
        if is_modified(metrics):
            return f"{path.name} was modified after the run"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().removeprefix(f"{path} ").rstrip(".")
        return f"{path.name} is damaged ({reason or type(error).__name__})"
    sets = [name for name in metrics if name not in NON_SET_KEYS]
    if unknown := [name for name in sets if name not in digests]:
        return f"{path.name} has no checksum of the predictions of {', '.join(unknown)}"
    for name, digest in digests.items():
        file = path.parent / "predictions" / f"{name}.csv"
        if not file.is_file():
            return f"predictions/{name}.csv is missing"
        if digest_of(file) != digest:
            return f"predictions/{name}.csv was modified after the run"
    return ""


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
