"""Average the predictions of several runs and save them as a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosphere_sb.report.read.runs import (
    METRICS_FILE,
    SAVED,
    Run,
    check_unmodified,
    common_metadata,
)
from emosphere_sb.results.alignment import align_tables
from emosphere_sb.results.metrics_json import (
    prediction_digests,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.results.scores import head_classes
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

HEADS = ("region_head", "emotion_head")


def average_prediction_tables(
    tables: Sequence[pd.DataFrame],
    *,
    scale: Scale | None = None,
    regions: SphericalRegions | None = None,
) -> pd.DataFrame:
    """Average the predictions of several runs on the same utterances.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        Two or more prediction tables as returned by ``read_predictions``, in any row order.
    scale : Scale, optional
        Label scale of all tables.
    regions : SphericalRegions, optional
        Partition of the sphere for the result. Without ``regions`` or ``scale``, the result has no
        region columns.

    Returns
    -------
    pandas.DataFrame
        The utterances and metadata of the first table, the mean of each predicted dimension, and
        recomputed ``region`` and ``region_point``. If all tables have the same auxiliary head with
        the same classes, the result also has its averaged probabilities and most likely class.

    Raises
    ------
    ValueError
        If there are fewer than two tables, or their utterances differ.
    """
    _check_two_or_more(tables)
    tables = align_tables(tables)
    first = tables[0]
    copied = [
        c for c in first if not c.startswith("p_") and c not in (*HEADS, "region", "region_point")
    ]
    result = first[copied].copy()
    result[list(PREDICTED)] = np.mean(
        [table[list(PREDICTED)].to_numpy() for table in tables], axis=0
    )
    if scale is not None and regions is not None:
        for column, names in (("region", DIMENSIONS), ("region_point", PREDICTED)):
            result[column] = region_names(scale.normalise(result[list(names)].to_numpy()), regions)
    head, classes = common_head(tables)
    # A region head is only meaningful for the regions of the result.
    same_regions = regions is not None and scale is not None and set(classes) == set(regions.names)
    if head is None or (head == "region_head" and not same_regions):
        return result
    columns = [f"p_{name}" for name in classes]
    scores = np.mean([table[columns].to_numpy() for table in tables], axis=0)
    result[head] = np.array(classes)[scores.argmax(axis=1)]
    return pd.concat([result, pd.DataFrame(scores, columns=columns)], axis=1)


def common_head(tables: Sequence[pd.DataFrame]) -> tuple[str | None, list[str]]:
    """Return the auxiliary head shared by all tables (or ``None``), and its classes."""
    first, *others = tables
    classes = head_classes(first)
    for head in HEADS:
        if head in first and all(
            head in other and set(head_classes(other)) == set(classes) for other in others
        ):
            return head, classes
    return None, []


def write_average(folder: str | os.PathLike, runs: Sequence[Run]) -> dict[str, Any]:
    """Save the average of several runs in the format of a run folder.

    Arguments
    ---------
    folder : path
        Output folder for ``predictions/<set>.csv`` and ``metrics.json``. The protocol lists the
        members and their common metadata. An existing average is replaced.
    runs : sequence of Run
        Two or more runs. Sets that are not in all runs, or that have a different label scale, are
        skipped and listed in the protocol.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    ValueError
        If there are fewer than two runs, the runs do not match, their predictions were modified,
        or the folder contains a run.
    """
    folder = Path(folder)
    _check_two_or_more(runs)
    check_unmodified(runs)
    if (folder / SAVED).exists():
        raise ValueError(f"{folder} already contains a run. Choose another folder for the average.")
    first = runs[0]
    shared = [
        name
        for name in first.tables
        if all(name in run.tables for run in runs)
        and _common_scale(name, runs) == _own_scale(first)
    ]
    left_out = [n for n in dict.fromkeys(n for run in runs for n in run.tables) if n not in shared]
    if not shared:
        raise ValueError(
            "Averaging requires at least one set predicted by all runs; found none among "
            f"{', '.join(left_out)}."
        )
    regions = _common_regions(runs)
    for old in (folder / "predictions").glob("*.csv"):
        old.unlink()  # from an earlier average, whose members may have had other sets
    scale, tables = _own_scale(first), {}
    for name in shared:
        tables[name] = average_prediction_tables(
            [run.tables[name] for run in runs], scale=scale, regions=regions
        )
    results = write_and_score_sets(folder, tables)
    protocol = {
        **common_metadata([run.protocol for run in runs]),
        "synthetic": any(run.protocol.get("synthetic", False) for run in runs),
        "members": [str(run.folder or run.name) for run in runs],
        "sets_left_out": left_out,
        "heads": {
            name: next((head for head in HEADS if head in table), None)
            for name, table in tables.items()
        },
        "regions": {"step": regions.step, "centre_radius": regions.centre_radius},
    }
    if scale is not None:
        protocol["scale"] = scale.to_dict()
    run_info = {"folder": str(folder), "predictions": prediction_digests(folder, tables)}
    return write_metrics(
        folder / METRICS_FILE, results, protocol, run_info, _common_references(runs)
    )


def _check_two_or_more(members: Sequence) -> None:
    if len(members) < 2:
        raise ValueError(f"Averaging requires at least two runs; found {len(members)}.")


def _own_scale(run: Run) -> Scale | None:
    """Return the label scale of the run's own corpus, whose sets come first."""
    return run.scales[next(iter(run.tables))]


def _common_scale(name: str, runs: Sequence[Run]) -> Scale | None:
    scales = {run.scales[name] for run in runs}
    if len(scales) > 1:
        raise ValueError(
            f"All averaged runs must use the same label scale for {name}; found "
            f"{', '.join(f'{run.name}: {run.scales[name]}' for run in runs)}."
        )
    return scales.pop()


def _common_regions(runs: Sequence[Run]) -> SphericalRegions:
    """Return the common partition of all members, or octants if there is none."""
    found = {(run.regions.step, run.regions.centre_radius) for run in runs if run.regions}
    known = all(run.regions is not None for run in runs)
    return SphericalRegions(*found.pop()) if known and len(found) == 1 else SphericalRegions(90)


def _common_references(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the baselines and ceilings that are the same for all members."""
    return common_metadata([run.metrics.get("beside", {}) for run in runs])
