"""Everything that is said about one set of predictions: figures, intervals, slices, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emosphere_sb.metrics import confusion
from emosphere_sb.report.read.checks import check_predictions
from emosphere_sb.report.stats.calibration import calibration
from emosphere_sb.report.stats.intervals import intervals
from emosphere_sb.report.stats.slices import slice_masks
from emosphere_sb.results.alignment import aligned
from emosphere_sb.results.predictions import KEPT, RATERS
from emosphere_sb.results.scores import figures, head_classes
from emosphere_sb.scale import Scale

ENOUGH = 30
"""Utterances from which on a slice gets intervals."""
SLICE_RESAMPLES = 2_000
HEADS = {
    "region_point": "region",
    "region_head": "region",
    "emotion_head": "emotion",
}
"""Column of predicted classes: that of the true ones."""


def evaluate(
    tables: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    scale: Scale | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    manifest: pd.DataFrame | None = None,
    source: str = "predictions",
    own: bool = False,
) -> dict[str, Any]:
    """Evaluate one set of predictions, or one system's over several seeds.

    Arguments
    ---------
    tables : pandas.DataFrame or sequence of pandas.DataFrame
        As ``read_predictions`` gives them. Several are runs of one system on the same utterances:
        figures are means over them, intervals are those of the mean, counts of confusions are
        summed.
    scale : Scale, optional
        The corpus's. (default: values are not held against a scale)
    resamples : int
        Of the bootstrap; slices take 2,000 at most.
    seed : int
        Of the bootstrap.
    manifest : pandas.DataFrame, optional
        As ``data_prep.manifest.read_manifest`` gives it: what the tables lack of speaker, gender,
        emotion, duration, and number of raters is taken from there, by ID.
    source : str
        What errors call the predictions.
    own : bool
        Whether runs of this package wrote them, see
        :func:`emosphere_sb.report.read.checks.check_predictions`.

    Returns
    -------
    dict
        ``figures`` (see :func:`emosphere_sb.results.scores.figures`); ``intervals`` (see
        :func:`emosphere_sb.report.stats.intervals.intervals`); ``warnings``, list of str; ``runs``,
        how many tables; ``confusion``: for ``region_point``, ``region_head``, ``emotion_head``
        where there are such, ``classes`` and ``counts``, rows being the truth, and ``left_out``,
        the number of pairs of which a class is not known to the head or not known at all;
        ``slices``: for gender, speaker (the largest 30), duration, emotion, region, raters a list
        of ``value``, ``utterances``, ``figures``, ``intervals`` (``None`` below 30 utterances);
        ``missing_slices``, those whose column is not there or empty; ``calibration`` (see
        :func:`emosphere_sb.report.stats.calibration.calibration`).

    Raises
    ------
    ValueError
        If predictions cannot be evaluated, or several tables are not of the same utterances.
    """
    tables = [tables] if isinstance(tables, pd.DataFrame) else list(tables)
    warnings = []
    for number, table in enumerate(tables, start=1):
        name = source if len(tables) == 1 else f"{source}, run {number}"
        # Whoever shows them says of which set they are.
        found = check_predictions(table, source=name, scale=scale, own=own)
        warnings += [text.removeprefix(source).lstrip(":, ") for text in found]
    if len(tables) > 1:
        tables = aligned(tables)
    if manifest is not None:
        tables = [_completed(table, manifest) for table in tables]
    cut, missing = _slices(tables, resamples=min(resamples, SLICE_RESAMPLES), seed=seed)
    return {
        "figures": mean_figures(tables, figures),
        "intervals": intervals(tables, resamples=resamples, seed=seed),
        "warnings": warnings,
        "runs": len(tables),
        "confusion": _confusions(tables),
        "slices": cut,
        "missing_slices": missing,
        "calibration": mean_figures(tables, calibration),
    }


def mean_figures(
    tables: Sequence[pd.DataFrame], measure: Callable[[pd.DataFrame], Mapping]
) -> dict[str, Any]:
    """The mean over tables of every figure that all of them have.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        Predictions of one system.
    measure : callable
        A table's figures, as nested dicts of numbers.

    Returns
    -------
    dict
        Counts that are the same everywhere stay whole numbers. A figure that one table does not
        have (a head that its best epoch was without) is left out; one that is NaN for one is NaN.

    Example
    -------
    >>> tables = [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [2.0], "b": [3.0]})]
    >>> mean_figures(tables, lambda table: {"n": 1, **table.mean().to_dict()})
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


def _slices(
    tables: Sequence[pd.DataFrame], *, resamples: int, seed: int
) -> tuple[dict[str, list[dict]], list[str]]:
    """Figures of every slice, with intervals where it is large enough."""
    masks, missing = slice_masks(tables[0])  # what they go by is the truth, the same in all
    slices: dict[str, list[dict]] = {name: [] for name in masks}
    for name, parts in masks.items():
        for value, mask in parts.items():
            part = [table[mask].reset_index(drop=True) for table in tables]
            count = int(mask.sum())
            facts = {"value": value, "utterances": count, "figures": mean_figures(part, figures)}
            facts["intervals"] = (
                intervals(part, resamples=resamples, seed=seed) if count >= ENOUGH else None
            )
            slices[name].append(facts)
    return slices, missing


def _confusions(tables: Sequence[pd.DataFrame]) -> dict[str, dict]:
    found = {}
    for head, truth in HEADS.items():
        if all(head in table and truth in table for table in tables):
            found[head] = _confusion(tables, head, truth)
    return found


def _confusion(tables: Sequence[pd.DataFrame], head: str, truth: str) -> dict[str, Any]:
    """Counts summed over tables; classes are found without regard to case, as tasks do."""
    names = _classes(tables, head, truth)
    index = {name.casefold(): number for number, name in enumerate(names)}
    counts, pairs = np.zeros((len(names), len(names)), dtype=np.int64), 0
    for table in tables:
        true, guess = (
            np.array([index.get(str(text).casefold(), -1) for text in table[column]], dtype=int)
            for column in (truth, head)
        )
        counts += confusion(true, guess, classes=len(names))
        pairs += len(table)
    left_out = int(pairs - counts.sum())
    return {"classes": names, "counts": counts.tolist(), "left_out": left_out}


def _classes(tables: Sequence[pd.DataFrame], head: str, truth: str) -> list[str]:
    """Those that a head knows; for the point, those too of a region head, or all that occur."""
    table = tables[0]
    if head != "region_point" or "region_head" in table:
        return head_classes(table)
    every = {text for one in tables for column in (truth, head) for text in one[column]}
    return sorted(every - {""})


def _completed(table: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns that it lacks, from the manifest's rows of the same ids."""
    rows = manifest.set_index("ID")
    unknown = [name for name in table["ID"] if name not in rows.index]
    if unknown:
        raise ValueError(
            f"The manifest must hold every utterance of the predictions; {len(unknown):,} are not "
            f"in it, {unknown[0]} for one. Take the manifest of the same set."
        )
    lacking = [name for name in (*KEPT, RATERS) if name not in table and name in rows]
    return table.assign(**{name: rows.loc[table["ID"], name].to_numpy() for name in lacking})
