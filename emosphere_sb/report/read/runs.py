"""Read the sources of a report: a finished run, a folder of runs (seeds), or a CSV file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.fileio.yaml_tree import read_tree, tagged_value
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.report.read.external import read_external, read_external_table
from emosphere_sb.results.constants import NON_SET_KEYS
from emosphere_sb.results.predictions import PREDICTED, parse_numeric_columns, read_predictions
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

METRICS_FILE = "metrics.json"
SUMMARY_FILE = "summary.json"
SHARED_SET_NAME = "predictions"
"""Set name given to several CSV files with different names."""
RUN_FILES = (SAVED, "train_log.txt", "save")
"""Files that exist from the start of a run."""


@dataclass(frozen=True)
class Run:
    """Predictions of one system, from a run folder or a CSV file.

    Arguments
    ---------
    name : str
        Name shown in a report.
    folder : Path, optional
        Run folder; ``None`` for a CSV file.
    tables : mapping of str to pandas.DataFrame
        Predictions by set, including sets without labels.
    scales : mapping of str to Scale or None
        Label scale by set; ``None`` if unknown (runs of older versions).
    regions : SphericalRegions, optional
        Partition of the sphere in ``region`` and ``region_point``; ``None`` if unknown.
    metrics : mapping
        Content of ``metrics.json``, including metrics on other corpora; empty for a CSV file.
    notes : list of str
        Notes about the source, shown in the report.
    changed : frozenset of str
        Sets whose predictions were modified after the run.
    unfinished : mapping, optional
        Progress of an unfinished run; see
        :func:`emosphere_sb.report.read.unfinished.training_progress`. (default: it is finished)
    """

    name: str
    folder: Path | None
    tables: Mapping[str, pd.DataFrame]
    scales: Mapping[str, Scale | None]
    regions: SphericalRegions | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changed: frozenset[str] = frozenset()
    unfinished: Mapping[str, Any] | None = None

    @property
    def labelled(self) -> list[str]:
        """Sets with at least one label; only these have metrics."""
        return [
            name
            for name, table in self.tables.items()
            if table[list(DIMENSIONS)].notna().any(axis=None)
        ]

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Evaluation protocol from ``metrics.json``; empty for a CSV file."""
        return self.metrics.get("protocol", {})


@dataclass(frozen=True)
class CsvSettings:
    """Settings for CSV files; see :func:`emosphere_sb.report.read.external.read_external`."""

    scale: Scale | None = None
    predicted_scale: Scale | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: str | None = None
    only_common: bool = False


def read_source(path: str | os.PathLike, csv: CsvSettings | None = None) -> list[Run]:
    """Read one or several runs from a path.

    Arguments
    ---------
    path : path
        Run folder, folder of runs, or CSV file.
    csv : CsvSettings, optional
        Settings for CSV files.

    Returns
    -------
    list of Run
        One run, or all runs of the folder, sorted by name.

    Raises
    ------
    ValueError
        If the path is invalid, or a run is not finished.
    """
    path = Path(path)
    if path.is_file():
        return [read_csv(path, csv or CsvSettings())]
    if not path.is_dir():
        raise ValueError(f"{path} does not exist. Specify a run folder or a CSV file.")
    if (path / METRICS_FILE).is_file():
        return [read_run(path)]
    _check_finished(path)
    if (path / SUMMARY_FILE).is_file():
        raise ValueError(
            f"{path} is the folder of a cross-validation run; its results are in {SUMMARY_FILE}. "
            "Specify the folder of a single fold."
        )
    children = sorted((child for child in path.iterdir() if child.is_dir()), key=_natural)
    for child in children:
        if not (child / METRICS_FILE).is_file():
            _check_finished(child)
    runs = [read_run(child) for child in children if (child / METRICS_FILE).is_file()]
    if not runs:
        names = sorted(entry.name for entry in path.iterdir())
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ValueError(
            f"{path} must be a finished run (with {METRICS_FILE}) or a folder of runs; found "
            f"{found or 'an empty folder'}. Run folders have the form "
            "results/<corpus>/<preset>/<partition>/<seed>."
        )
    return runs


def read_run(folder: str | os.PathLike) -> Run:
    """Read the metrics of a finished run and the predictions of all sets.

    Raises
    ------
    ValueError
        If a file is invalid, or a set has metrics but no predictions.
    """
    folder = Path(folder)
    metrics = _read_metrics(folder / METRICS_FILE)
    own = metrics["protocol"]
    metrics_of = dict.fromkeys((name for name in metrics if name not in NON_SET_KEYS), own)
    digests = dict(metrics["run"].get("predictions", {}))
    for path in sorted(folder.glob("metrics_on_*.json")):
        other = _read_metrics(path)
        sets = {name: row for name, row in other.items() if name not in NON_SET_KEYS}
        metrics |= sets
        digests |= other["run"].get("predictions", {})
        metrics_of |= dict.fromkeys(sets, other["protocol"])
    files = {path.stem: path for path in sorted((folder / "predictions").glob("*.csv"))}
    if missing := [name for name in metrics_of if name not in files]:
        raise ValueError(
            f"{folder} has metrics but no predictions for {', '.join(missing)}. Re-run the "
            "training command with --test_only."
        )
    order = [*metrics_of, *(name for name in files if name not in metrics_of)]
    changed = [n for n in order if n in digests and digest_of(files[n]) != digests[n]]
    notes = [
        f"{folder.name}: predictions/{name}.csv was modified after the run." for name in changed
    ]
    scales = {name: _scale(metrics_of.get(name, own)) for name in order}
    tables = {name: read_predictions(files[name]) for name in order}
    regions = run_regions(folder, own)
    return Run(folder.name, folder, tables, scales, regions, metrics, notes, frozenset(changed))


def read_csv(path: Path, settings: CsvSettings) -> Run:
    """Read predictions from a CSV file, written by a run or by another system.

    Raises
    ------
    ValueError
        If the file is invalid, or comes from another system and ``settings.scale`` is missing.
    """
    table = read_external_table(path, settings.columns)
    canonical = all(name in table for name in ("ID", *DIMENSIONS, *PREDICTED))
    if canonical and not (settings.labels or settings.columns or settings.predicted_scale):
        tables = {path.stem: parse_numeric_columns(table, path)}
        scales = {path.stem: settings.scale}
        return Run(path.name, None, tables, scales, notes=table.attrs["notes"])
    if settings.scale is None:
        raise ValueError(
            f"{path} was not written by a run, so its label scale is required. Specify it, e.g. "
            "--label_low=1 --label_high=7."
        )
    table, notes = read_external(
        path, scale=settings.scale, columns=settings.columns, labels=settings.labels,
        predicted_scale=settings.predicted_scale, only_common=settings.only_common,
        table=table,
    )  # fmt: skip
    scales = {path.stem: settings.scale}
    return Run(path.name, None, {path.stem: table}, scales, SphericalRegions(90), notes=notes)


def check_unmodified(runs: Sequence[Run], names: Sequence[str] | None = None) -> None:
    """Check that the predictions of runs are those that the runs wrote.

    Arguments
    ---------
    runs : sequence of Run
        Runs to check.
    names : sequence of str, optional
        Sets to check. (default: all)

    Raises
    ------
    ValueError
        If predictions were modified after the run.
    """
    for run in runs:
        changed = sorted(run.changed if names is None else run.changed & {*names})
        if changed:
            files = " and ".join(f"predictions/{name}.csv" for name in changed)
            raise ValueError(
                f"{files} of {run.folder} was modified after the run. Re-run the training command "
                f"with --test_only to restore it."
            )


def unify_set_names(runs: Sequence[Run]) -> list[Run]:
    """Give several CSV files of one system the same set name.

    Arguments
    ---------
    runs : sequence of Run
        At least one run.

    Returns
    -------
    list of Run
        Runs with the set ``predictions``; unchanged if any run has a folder or all set names are
        equal.
    """
    names = {name for run in runs for name in run.tables}
    if len(names) == 1 or any(run.folder is not None for run in runs):
        return list(runs)
    return [
        replace(
            run,
            tables={SHARED_SET_NAME: next(iter(run.tables.values()))},
            scales={SHARED_SET_NAME: next(iter(run.scales.values()))},
        )
        for run in runs
    ]


def run_regions(folder: Path, protocol: Mapping[str, Any]) -> SphericalRegions:
    """Read the partition of the sphere from a run's protocol or hyperparameters.

    Arguments
    ---------
    folder : Path
        Run folder.
    protocol : mapping
        Protocol of the run; its optional key ``regions`` contains the arguments of
        :class:`SphericalRegions`.

    Returns
    -------
    SphericalRegions
        Partition used by the run; octants if it has no region task.
    """
    if "regions" in protocol:
        return SphericalRegions(**protocol["regions"])
    if not (folder / SAVED).is_file():
        return SphericalRegions(90)
    tree = read_tree(folder / SAVED)
    tag, values = tagged_value(tree.get("task")) or ("", None)
    if not str(tag).endswith(".RegionTask"):
        return SphericalRegions(90)
    # Positional arguments of RegionTask, in order; missing ones have their defaults.
    names = ("step", "class_weights", "concentration", "centre_radius")
    options = values if isinstance(values, dict) else dict(zip(names, values or (), strict=False))
    found = {key: options[key] for key in ("step", "centre_radius") if key in options}
    return SphericalRegions(**{key: _resolve(value, tree) for key, value in found.items()})


def common_sets(runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Return the labelled sets that all runs have predicted, and notes about the others."""
    first, *others = runs
    common = [name for name in first.labelled if all(name in run.labelled for run in others)]
    every = dict.fromkeys(name for run in runs for name in run.tables)
    without = [
        name
        for name in every
        if all(name in run.tables and name not in run.labelled for run in runs)
    ]
    notes = [f"No metrics for {name}: it has no labels." for name in without]
    notes += [
        f"No metrics for {name}: some runs have no predictions or labels for it."
        for name in every
        if name not in common and name not in without
    ]
    return common, notes


def common_metadata(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries that several mappings, such as protocols, have in common.

    Example
    -------
    >>> common_metadata([{"preset": "demo", "seed": 1}, {"preset": "demo", "seed": 2}])
    {'preset': 'demo'}
    """
    first, *others = mappings
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }


def _check_finished(folder: Path) -> None:
    found = [name for name in RUN_FILES if (folder / name).exists()]
    if found:
        raise ValueError(
            f"The run {folder} is not finished: it has {', '.join(found)} but no {METRICS_FILE}. "
            "Re-run the training command to resume from the last checkpoint, or choose other runs. "
            f"`emosphere report {folder}` shows the progress of this run alone."
        )


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not valid JSON: {error}. Re-run the training command."
        ) from error
    missing = [key for key in NON_SET_KEYS if not isinstance(metrics, dict) or key not in metrics]
    if missing:
        raise ValueError(
            f"{path} must have the keys {', '.join(NON_SET_KEYS)}; missing: {', '.join(missing)}. "
            "Check that the file was written by a run."
        )
    if wrong := [key for key, value in metrics.items() if not isinstance(value, dict)]:
        raise ValueError(
            f"All values in {path} must be mappings; invalid: {', '.join(wrong)}. Check that the "
            "file was written by a run."
        )
    return metrics


def _scale(protocol: Mapping[str, Any]) -> Scale | None:
    return Scale.from_dict(protocol["scale"]) if "scale" in protocol else None


def _resolve(value: Any, tree: Mapping[str, Any]) -> Any:
    """Return a value, or the value of the top-level key that it refers to."""
    if isinstance(value, tuple) and value[0] == "!ref":
        key = value[1].strip("<>")
        if key not in tree:
            raise ValueError(
                f"{SAVED} of the run refers to the missing key {key!r}. Re-run the training "
                "command to restore it."
            )
        return tagged_value(tree[key])
    return value


def _natural(path: Path) -> tuple:
    """Return a sort key that orders seeds numerically."""
    return (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
