"""Results of the tables on real speech: scores, intervals and differences from ``frozen``."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.report.stats.comparison import compare_systems, holm_correction
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.metrics_json import machine_description, package_versions
from emosphere_sb.results.provenance import git_commit
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables.collect import TableEntry
from real_speech.baselines import Baselines, evaluate_baselines, extraction_cost
from real_speech.cells import Runs, Settings
from real_speech.pool import cpu_seconds

REFERENCE = "frozen"
SPLIT = "own_test_split"
"""Start of the names of tables on the split of the corpus, which are not compared with others."""
COLUMNS = (*DIMENSIONS, "mean_ccc")


@dataclass
class ResultRow:
    """Results of one configuration.

    Arguments
    ---------
    name : str
        Name of the row.
    labels : tuple of str
        Factor and setting.
    tables : dict
        Pooled predictions of each seed.
    runs, finished : int
        Number of runs, and of those that have finished.
    cost : dict
        Median ``training_seconds``, and total ``cpu_seconds`` of all runs.
    """

    name: str
    labels: tuple[str, ...]
    tables: dict[int, pd.DataFrame]
    runs: int
    finished: int
    cost: dict[str, float] = field(default_factory=dict)


def collect_results(settings: Settings, runs: Runs, *, command: str) -> dict[str, Any]:
    """Return the content of ``real_tables.json``."""
    rows, split = [], []
    for table in runs.tables:
        entries = runs.entries(table, settings.resamples)
        (split if table.name.startswith(SPLIT) else rows).extend(
            map(_row, entries, [runs] * len(entries))
        )
    nested, settings_chosen = nested_row(runs)
    rows.extend(nested)
    options = runs.tables[0].groups[0].options
    baselines = evaluate_baselines(settings, options)
    rows += baseline_rows(baselines)
    return {
        "command": command,
        "commit": git_commit(),
        "machine": machine_description(),
        "versions": package_versions() | _scikit_learn(),
        "encoder": {"model.safetensors": digest_of(settings.encoder / "model.safetensors")},
        "data": _data(settings, baselines.svr, runs),
        "resamples": settings.resamples,
        "extraction": extraction_cost(settings, options),
        "rows": summarise(rows, settings.resamples),
        "own_test_split": summarise(split, settings.resamples, reference=None),
        "nested_choices": settings_chosen,
        "svr_choices": baselines.chosen,
    }


def nested_row(runs: Runs) -> tuple[list[ResultRow], dict[int, str]]:
    """Return a row whose setting is chosen in each fold, without its test speakers.

    The candidates are the rows of the first table. In each fold, the one with the highest mean CCC
    on the development speakers, on average over the seeds, is chosen.

    Returns
    -------
    rows : list of ResultRow
        The row; empty as long as a run is missing.
    chosen : dict of int to str
        Name of the chosen row by fold.
    """
    table = runs.tables[0]
    cells = {row.name: runs.cells.of(table, row, group) for row, group in table.pairs()}
    if any(cell in runs.problems for own in cells.values() for cell in own.values()):
        return [], {}
    chosen, parts = {}, {seed: [] for seed in table.seeds}
    for fold in range(1, table.groups[0].folds + 1):
        scores = {
            name: statistics.mean(
                runs.states[own[seed, fold]].metrics["valid"]["mean_ccc"] for seed in table.seeds
            )
            for name, own in cells.items()
        }
        chosen[fold] = max(scores, key=scores.get)
        for seed in table.seeds:
            parts[seed].append(runs.states[cells[chosen[fold]][seed, fold]].predictions)
    tables = {seed: pd.concat(found, ignore_index=True) for seed, found in parts.items()}
    labels = ("nested", "chosen in each fold on its development speakers")
    return [ResultRow("nested", labels, tables, len(parts) * len(chosen), 0)], chosen


def baseline_rows(baselines: Baselines) -> list[ResultRow]:
    """Return the rows of the baselines, which do not depend on a seed."""
    texts = {
        "svr": ("model", "support vector regression on standardised averages"),
        "ridge": ("model", "ridge regression on 5 acoustic features"),
    }
    return [
        ResultRow(name, labels, {0: getattr(baselines, name)}, 0, 0)
        for name, labels in texts.items()
    ]


def _row(entry: TableEntry, runs: Runs) -> ResultRow:
    cells = entry.cells.values()
    found = [runs.states[cell].metrics["run"] for cell in cells if runs.states[cell].metrics]
    cost = {}
    if found:
        cost = {
            "training_seconds": statistics.median(run["training_seconds"] for run in found),
            "cpu_seconds": round(sum(cpu_seconds(cell.folder) for cell in cells), 1),
        }
    finished = len(entry.cells) - len(entry.problems)
    return ResultRow(entry.row.name, entry.row.labels, entry.tables, len(cells), finished, cost)


def summarise(
    rows: Sequence[ResultRow], resamples: int, *, reference: str | None = REFERENCE
) -> list[dict[str, Any]]:
    """Compute scores, intervals, and differences from the reference with Holm's correction.

    Arguments
    ---------
    rows : sequence of ResultRow
        Results of all configurations.
    resamples : int
        Number of bootstrap resamples.
    reference : str, optional
        Name of the row with which the others are compared. (default: no comparison)

    Returns
    -------
    list of dict
        ``name``, ``factor``, ``setting``, ``seeds``, ``runs``, ``finished`` and ``cost`` of each
        row; for rows with results also ``ccc`` (``mean`` and ``sd`` over seeds by dimension),
        ``interval`` and ``unit``, and ``difference`` (row minus reference).
    """
    base = next((row for row in rows if row.name == reference), None)
    found, tests = [], []
    for row in rows:
        content: dict[str, Any] = {
            "name": row.name, "factor": row.labels[0], "setting": row.labels[1],
            "seeds": list(row.tables), "runs": row.runs, "finished": row.finished,
            "cost": row.cost,
        }  # fmt: skip
        if row.tables:
            tables = list(row.tables.values())
            interval = confidence_intervals(tables, resamples=resamples)
            content["ccc"] = mean_and_sd([prediction_metrics(table) for table in tables])
            content |= {"interval": interval["mean_ccc"], "unit": interval["unit"]}
            if base is not None and base.tables and row is not base:
                against = list(base.tables.values())
                content["difference"] = compare_systems(tables, against, resamples=resamples)
                tests.append(content["difference"])
        found.append(content)
    for name in COLUMNS:
        for test, p in zip(tests, holm_correction([t[name]["p"] for t in tests]), strict=True):
            test[name]["p_holm"] = p
    return found


def mean_and_sd(metrics: Sequence[Mapping]) -> dict[str, dict[str, float | None]]:
    """Return mean and SD over seeds of each CCC and of the mean CCC.

    Example
    -------
    >>> rows = [{**{d: {"ccc": c} for d in DIMENSIONS}, "mean_ccc": c} for c in (0.5, 0.7)]
    >>> round(mean_and_sd(rows)["mean_ccc"]["sd"], 4)
    0.1414
    """
    values = {name: [row[name]["ccc"] for row in metrics] for name in DIMENSIONS}
    values["mean_ccc"] = [row["mean_ccc"] for row in metrics]
    return {
        name: {
            "mean": statistics.mean(column),
            "sd": statistics.stdev(column) if len(column) > 1 else None,
        }
        for name, column in values.items()
    }


def write_results(path: Path, results: Mapping) -> None:
    """Write ``real_tables.json``."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _data(settings: Settings, table: pd.DataFrame, runs: Runs) -> dict[str, Any]:
    group = runs.tables[0].groups[0]
    return {
        "labels.csv": digest_of(settings.data / "labels.csv"),
        "utterances": len(table),
        "speakers": int(table["speaker"].nunique()),
        "folds": group.folds,
    }


def _scikit_learn() -> dict[str, str]:
    from importlib.metadata import version

    return {"scikit-learn": version("scikit-learn")}
