"""What a report can be about: a finished run, a folder of runs (seeds), or a CSV of predictions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.fileio.yaml_tree import plain, read_tree
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.report.read.external import read_foreign
from emosphere_sb.results.constants import NON_SET_KEYS
from emosphere_sb.results.predictions import PREDICTED, read_predictions, with_numbers
from emosphere_sb.results.text_table import read_text_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

METRICS = "metrics.json"
FOLDS = "summary.json"
ONE_SET = "predictions"
"""Name of the set that several CSV files hold."""
UNFINISHED = (SAVED, "train_log.txt", "save")
"""What a run has from its beginning."""


@dataclass(frozen=True)
class Run:
    """One system's predictions, wherever they come from.

    Arguments
    ---------
    name : str
        What a report calls it.
    folder : Path, optional
        Of a run; ``None`` for a CSV.
    tables : mapping of str to pandas.DataFrame
        Predictions by set, those of sets without labels included.
    scales : mapping of str to Scale or None
        By set; ``None`` where nobody knows (a run of an older version).
    regions : SphericalRegions, optional
        How the sphere is cut in ``region`` and ``region_point``; ``None`` where nobody knows.
    metrics : mapping
        As ``metrics.json`` holds it, those on another corpus included; empty for a CSV.
    notes : list of str
        What a reader must know about how the tables came about.
    changed : frozenset of str
        Sets whose file is not the one that the run wrote.
    """

    name: str
    folder: Path | None
    tables: Mapping[str, pd.DataFrame]
    scales: Mapping[str, Scale | None]
    regions: SphericalRegions | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changed: frozenset[str] = frozenset()

    @property
    def labelled(self) -> list[str]:
        """Sets with a known value in some dimension, which have figures."""
        return [
            name
            for name, table in self.tables.items()
            if table[list(DIMENSIONS)].notna().any(axis=None)
        ]

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What the run's figures must be quoted with; empty for a CSV."""
        return self.metrics.get("protocol", {})


@dataclass(frozen=True)
class CsvSettings:
    """How a CSV is to be read; see :func:`emosphere_sb.report.read.external.read_foreign`."""

    scale: Scale | None = None
    predicted_scale: Scale | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: str | None = None
    only_common: bool = False


def read_source(path: str | os.PathLike, csv: CsvSettings | None = None) -> list[Run]:
    """The runs that a path stands for.

    Arguments
    ---------
    path : path
        A run's folder, a folder whose folders are runs, or a CSV file.
    csv : CsvSettings, optional
        For CSV files.

    Returns
    -------
    list of Run
        One, or one for each run in a folder of runs, by name.

    Raises
    ------
    ValueError
        If it is none of these, or a run is not finished, saying what was found and what to do.
    """
    path = Path(path)
    if path.is_file():
        return [read_csv(path, csv or CsvSettings())]
    if not path.is_dir():
        raise ValueError(f"A run's folder or a CSV file must be named; found no {path}.")
    if (path / METRICS).is_file():
        return [read_run(path)]
    _refuse_unfinished(path)
    if (path / FOLDS).is_file():
        raise ValueError(
            f"{path} must be one run; found a {FOLDS} over folds, whose figures stand in it. Name "
            "the folder of one fold."
        )
    children = sorted((child for child in path.iterdir() if child.is_dir()), key=_natural)
    for child in children:
        if not (child / METRICS).is_file():
            _refuse_unfinished(child)
    runs = [read_run(child) for child in children if (child / METRICS).is_file()]
    if not runs:
        names = sorted(entry.name for entry in path.iterdir())
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ValueError(
            f"{path} must be a finished run (with {METRICS}) or a folder of such; found "
            f"{found or 'an empty folder'}. Runs lie in results/<corpus>/<row>/<partition>/<seed>."
        )
    return runs


def read_run(folder: str | os.PathLike) -> Run:
    """A finished run: its metrics and the predictions of all its sets.

    Raises
    ------
    ValueError
        If a file cannot be read, or a set has figures and no predictions.
    """
    folder = Path(folder)
    metrics = _read_metrics(folder / METRICS)
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
            f"{folder} must hold predictions of every set that has figures; found none of "
            f"{', '.join(missing)}. Start the run's command again with --test_only."
        )
    order = [*metrics_of, *(name for name in files if name not in metrics_of)]
    changed = [n for n in order if n in digests and digest_of(files[n]) != digests[n]]
    notes = [
        f"{folder.name}: predictions/{name}.csv is not the file that the run wrote."
        for name in changed
    ]
    scales = {name: _scale(metrics_of.get(name, own)) for name in order}
    tables = {name: read_predictions(files[name]) for name in order}
    regions = regions_of(folder, own)
    return Run(folder.name, folder, tables, scales, regions, metrics, notes, frozenset(changed))


def read_csv(path: Path, settings: CsvSettings) -> Run:
    """A CSV of predictions: as a run writes it, or anybody's, which needs the labels' scale.

    Raises
    ------
    ValueError
        If it is not a run's and no scale is given, or it cannot be read.
    """
    table = read_text_table(path)
    ours = all(name in table for name in ("ID", *DIMENSIONS, *PREDICTED))
    if ours and not (settings.labels or settings.columns or settings.predicted_scale):
        tables = {path.stem: with_numbers(table, path)}
        return Run(path.name, None, tables, {path.stem: settings.scale})
    if settings.scale is None:
        raise ValueError(
            f"{path} is not of a run, so the scale of its labels must be said; found none. Add "
            "--label_low=1 --label_high=7, or what it is."
        )
    table, notes = read_foreign(
        path, scale=settings.scale, columns=settings.columns, labels=settings.labels,
        predicted_scale=settings.predicted_scale, only_common=settings.only_common,
    )  # fmt: skip
    scales = {path.stem: settings.scale}
    return Run(path.name, None, {path.stem: table}, scales, SphericalRegions(90), notes=notes)


def as_one_set(runs: Sequence[Run]) -> list[Run]:
    """CSV files of several seeds as one set: by themselves each is named after its file.

    Arguments
    ---------
    runs : sequence of Run
        At least one.

    Returns
    -------
    list of Run
        As they are where one has a folder, which names its sets, or all files are called alike.
    """
    names = {name for run in runs for name in run.tables}
    if len(names) == 1 or any(run.folder is not None for run in runs):
        return list(runs)
    return [
        replace(
            run,
            tables={ONE_SET: next(iter(run.tables.values()))},
            scales={ONE_SET: next(iter(run.scales.values()))},
        )
        for run in runs
    ]


def regions_of(folder: Path, protocol: Mapping[str, Any]) -> SphericalRegions:
    """How a run cuts the sphere: by its protocol, or by the task in its hyperparameters.

    Arguments
    ---------
    folder : Path
        The run's.
    protocol : mapping
        May hold ``regions``, the arguments of :class:`SphericalRegions`.

    Returns
    -------
    SphericalRegions
        Octants where the run's task is not about regions: reports name a point's octant then.
    """
    if "regions" in protocol:
        return SphericalRegions(**protocol["regions"])
    if not (folder / SAVED).is_file():
        return SphericalRegions(90)
    tree = read_tree(folder / SAVED)
    tag, values = plain(tree.get("task")) or ("", None)
    if not str(tag).endswith(".RegionTask"):
        return SphericalRegions(90)
    # In the order of RegionTask's arguments; what is not said has its default.
    names = ("step", "class_weights", "concentration", "centre_radius")
    facts = values if isinstance(values, dict) else dict(zip(names, values or (), strict=False))
    cut = {key: facts[key] for key in ("step", "centre_radius") if key in facts}
    return SphericalRegions(**{key: _resolved(value, tree) for key, value in cut.items()})


def common_sets(runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Sets with labels that all runs have, and notes about the others."""
    first, *others = runs
    common = [name for name in first.labelled if all(name in run.labelled for run in others)]
    every = dict.fromkeys(name for run in runs for name in run.tables)
    without = [
        name
        for name in every
        if all(name in run.tables and name not in run.labelled for run in runs)
    ]
    notes = [f"No figures for {name}: it has no labels." for name in without]
    notes += [
        f"No figures for {name}: not every run has predictions and labels of it."
        for name in every
        if name not in common and name not in without
    ]
    return common, notes


def common_facts(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several protocols, or other mappings of facts, have in common.

    Example
    -------
    >>> common_facts([{"preset": "demo", "seed": 1}, {"preset": "demo", "seed": 2}])
    {'preset': 'demo'}
    """
    first, *others = mappings
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }


def _refuse_unfinished(folder: Path) -> None:
    found = [name for name in UNFINISHED if (folder / name).exists()]
    if found:
        raise ValueError(
            f"The run {folder} is not finished: it has {', '.join(found)} and no {METRICS}. Start "
            "the same command again, which goes on from the last checkpoint, or name other runs."
        )


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be JSON: {error}. Start the run's command again.") from error
    missing = [key for key in NON_SET_KEYS if not isinstance(metrics, dict) or key not in metrics]
    if missing:
        raise ValueError(
            f"{path} must hold {', '.join(NON_SET_KEYS)}; found no {', '.join(missing)}."
        )
    if wrong := [key for key, value in metrics.items() if not isinstance(value, dict)]:
        raise ValueError(
            f"{path} must hold a mapping for each of its keys; not so for {', '.join(wrong)}. Is "
            "it another program's?"
        )
    return metrics


def _scale(protocol: Mapping[str, Any]) -> Scale | None:
    return Scale.from_dict(protocol["scale"]) if "scale" in protocol else None


def _resolved(value: Any, tree: Mapping[str, Any]) -> Any:
    """A value, or what a reference to a top-level key stands for."""
    if isinstance(value, tuple) and value[0] == "!ref":
        key = value[1].strip("<>")
        if key not in tree:
            raise ValueError(
                f"{SAVED} of the run refers to {key!r}, which is not in it. Was it edited? Start "
                "the run's command again."
            )
        return plain(tree[key])
    return value


def _natural(path: Path) -> tuple:
    """Seeds in the order of numbers."""
    return (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
