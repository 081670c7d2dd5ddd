"""Evaluate one set of predictions: metrics, intervals, subgroups and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emosphere_sb.metrics import confusion_matrix
from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.report.stats.calibration import calibration_metrics
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.report.stats.slices import subgroup_masks
from emosphere_sb.results.alignment import align_tables
from emosphere_sb.results.predictions import MANIFEST_COLUMNS, RATERS
from emosphere_sb.results.scores import head_classes, prediction_metrics
from emosphere_sb.scale import Scale

MIN_UTTERANCES = 30
"""Minimum number of utterances of a subgroup for confidence intervals."""
MAX_SUBGROUP_RESAMPLES = 2_000
HEADS = {
    "region_point": "region",
    "region_head": "region",
    "emotion_head": "emotion",
}
"""Column of true classes, by column of predicted classes."""


def evaluate_predictions(
    tables: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    scale: Scale | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    manifest: pd.DataFrame | None = None,
    source: str = "predictions",
    own: bool = False,
) -> dict[str, Any]:
    """Evaluate the predictions of one system on one set, over one or several seeds.

    Arguments
    ---------
    tables : pandas.DataFrame or sequence of pandas.DataFrame
        Predictions as returned by ``read_predictions``. Several tables are runs of one system on
        the same utterances: metrics and intervals are those of the mean over runs, and
        confusion counts are summed.
    scale : Scale, optional
        Label scale of the corpus. (default: values are not checked against a scale)
    resamples : int
        Number of bootstrap resamples; at most 2,000 are used for subgroups.
    seed : int
        Random seed of the bootstrap.
    manifest : pandas.DataFrame, optional
        Manifest as returned by ``data_prep.manifest.read_manifest``. It provides speaker, gender,
        emotion, duration and number of raters, by ID, if the tables lack them.
    source : str
        Name of the predictions in messages.
    own : bool
        Whether the predictions were written by runs of this package (see
        :func:`emosphere_sb.report.read.checks.check_predictions`).

    Returns
    -------
    dict
        ``metrics`` (see :func:`emosphere_sb.results.scores.prediction_metrics`); ``intervals`` (see
        :func:`emosphere_sb.report.stats.intervals.confidence_intervals`); ``warnings``, list of
        str; ``runs``, number of tables; ``confusion``: ``classes``, ``counts`` (true classes in
        rows) and ``left_out`` (number of pairs with an unknown class) for ``region_point``,
        ``region_head`` and ``emotion_head``, if present; ``slices``: subgroups by gender, speaker
        (the largest 30), duration, emotion, region and raters, each a list of ``value``,
        ``utterances``, ``metrics`` and ``intervals`` (``None`` below 30 utterances);
        ``missing_slices``, the subgroups whose column is missing or empty; ``calibration`` (see
        :func:`emosphere_sb.report.stats.calibration.calibration_metrics`).

    Raises
    ------
    ValueError
        If the predictions are invalid, or the utterances differ between tables.
    """
    tables = [tables] if isinstance(tables, pd.DataFrame) else list(tables)
    warnings = []
    for number, table in enumerate(tables, start=1):
        name = source if len(tables) == 1 else f"{source}, run {number}"
        # The report adds the name of the set.
        found = check_predictions(table, source=name, scale=scale, own=own)
        warnings += [text.removeprefix(source).lstrip(":, ") for text in found]
    if len(tables) > 1:
        tables = align_tables(tables)
    if manifest is not None:
        tables = [_add_manifest_columns(table, manifest) for table in tables]
    subgroups, missing = _evaluate_subgroups(
        tables, resamples=min(resamples, MAX_SUBGROUP_RESAMPLES), seed=seed
    )
    return {
        "metrics": mean_metrics(tables, prediction_metrics),
        "intervals": confidence_intervals(tables, resamples=resamples, seed=seed),
        "warnings": warnings,
        "runs": len(tables),
        "confusion": _confusions(tables),
        "slices": subgroups,
        "missing_slices": missing,
        "calibration": mean_metrics(tables, calibration_metrics),
    }


def mean_metrics(
    tables: Sequence[pd.DataFrame], measure: Callable[[pd.DataFrame], Mapping]
) -> dict[str, Any]:
    """Average metrics over tables.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        Predictions of one system.
    measure : callable
        Function that returns the metrics of a table as nested dicts of numbers.

    Returns
    -------
    dict
        Means over tables. Counts that are equal in all tables remain integers. A metric that is
        missing in one table (e.g. because its best epoch had no auxiliary head) is omitted; a
        metric that is NaN in one table is NaN.

    Example
    -------
    >>> tables = [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [2.0], "b": [3.0]})]
    >>> mean_metrics(tables, lambda table: {"n": 1, **table.mean().to_dict()})
    {'n': 1, 'a': 1.5}
    """
    return _mean([measure(table) for table in tables])


def _mean(found: Sequence[Any]) -> Any:
    first, *others = found
    if isinstance(first, Mapping):
        keys = [key for key in first if all(key in other for other in others)]
        return {key: _mean([one[key] for one in found]) for key in keys}
    if isinstance(first, int) and all(other == first for other in others):
        return first
    return math.fsum(found) / len(found) if others else first


def _evaluate_subgroups(
    tables: Sequence[pd.DataFrame], *, resamples: int, seed: int
) -> tuple[dict[str, list[dict]], list[str]]:
    """Compute metrics of each subgroup, with confidence intervals if it is large enough."""
    masks, missing = subgroup_masks(tables[0])  # the metadata is the same in all tables
    subgroups: dict[str, list[dict]] = {name: [] for name in masks}
    for name, parts in masks.items():
        for value, mask in parts.items():
            part = [table[mask].reset_index(drop=True) for table in tables]
            count = int(mask.sum())
            metrics = mean_metrics(part, prediction_metrics)
            subgroup = {"value": value, "utterances": count, "metrics": metrics}
            subgroup["intervals"] = (
                confidence_intervals(part, resamples=resamples, seed=seed)
                if count >= MIN_UTTERANCES
                else None
            )
            subgroups[name].append(subgroup)
    return subgroups, missing


def _confusions(tables: Sequence[pd.DataFrame]) -> dict[str, dict]:
    found = {}
    for head, truth in HEADS.items():
        if all(head in table and truth in table for table in tables):
            found[head] = _confusion(tables, head, truth)
    return found


def _confusion(tables: Sequence[pd.DataFrame], head: str, truth: str) -> dict[str, Any]:
    """Sum confusion counts over tables; class names are case-insensitive, as in the tasks."""
    names = _classes(tables, head, truth)
    index = {name.casefold(): number for number, name in enumerate(names)}
    counts, pairs = np.zeros((len(names), len(names)), dtype=np.int64), 0
    for table in tables:
        true, guess = (
            np.array([index.get(str(text).casefold(), -1) for text in table[column]], dtype=int)
            for column in (truth, head)
        )
        counts += confusion_matrix(true, guess, classes=len(names))
        pairs += len(table)
    left_out = int(pairs - counts.sum())
    return {"classes": names, "counts": counts.tolist(), "left_out": left_out}


def _classes(tables: Sequence[pd.DataFrame], head: str, truth: str) -> list[str]:
    """Return the classes of the head; for ``region_point``, those of a region head or all found."""
    table = tables[0]
    if head != "region_point" or "region_head" in table:
        return head_classes(table)
    every = {text for one in tables for column in (truth, head) for text in one[column]}
    return sorted(every - {""})


def _add_manifest_columns(table: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Add missing metadata columns from the manifest, by ID."""
    rows = manifest.set_index("ID")
    unknown = [name for name in table["ID"] if name not in rows.index]
    if unknown:
        raise ValueError(
            f"The manifest must contain all predicted utterances; {len(unknown):,} missing, "
            f"e.g. {unknown[0]}. Use the manifest of the same set."
        )
    lacking = [name for name in (*MANIFEST_COLUMNS, RATERS) if name not in table and name in rows]
    return table.assign(**{name: rows.loc[table["ID"], name].to_numpy() for name in lacking})
