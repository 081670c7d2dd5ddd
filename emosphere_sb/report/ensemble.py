"""The mean of several runs' predictions, as a run of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosphere_sb.report.read.runs import METRICS, SAVED, Run, common_facts
from emosphere_sb.results.alignment import aligned
from emosphere_sb.results.metrics_json import predictions_digests, report_sets, write_metrics
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.results.scores import head_classes
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

HEADS = ("region_head", "emotion_head")


def average(
    tables: Sequence[pd.DataFrame],
    *,
    scale: Scale | None = None,
    regions: SphericalRegions | None = None,
) -> pd.DataFrame:
    """The mean of several runs' predictions of the same utterances.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        As ``read_predictions`` gives them, two or more, in any order of utterances.
    scale : Scale, optional
        Of all of them.
    regions : SphericalRegions, optional
        How the sphere is cut in the result, whatever it was in the tables. Without it or a scale
        the result has no regions.

    Returns
    -------
    pandas.DataFrame
        The first table's utterances and what is known of them, the mean of each predicted
        dimension, ``region`` and ``region_point`` computed anew. Where all tables have the same
        auxiliary head with the same classes, the mean of its probabilities and the likeliest
        class; otherwise no head.

    Raises
    ------
    ValueError
        If there are fewer than two tables, or they are not of the same utterances.
    """
    _enough(tables)
    tables = aligned(tables)
    first = tables[0]
    ours = [
        c for c in first if not c.startswith("p_") and c not in (*HEADS, "region", "region_point")
    ]
    result = first[ours].copy()
    result[list(PREDICTED)] = np.mean(
        [table[list(PREDICTED)].to_numpy() for table in tables], axis=0
    )
    if scale is not None and regions is not None:
        for column, names in (("region", DIMENSIONS), ("region_point", PREDICTED)):
            result[column] = region_names(scale.normalise(result[list(names)].to_numpy()), regions)
    head, classes = common_head(tables)
    # A head of regions says nothing where its regions are not those of the result.
    cut = regions is not None and scale is not None and set(classes) == set(regions.names)
    if head is None or (head == "region_head" and not cut):
        return result
    columns = [f"p_{name}" for name in classes]
    scores = np.mean([table[columns].to_numpy() for table in tables], axis=0)
    result[head] = np.array(classes)[scores.argmax(axis=1)]
    return pd.concat([result, pd.DataFrame(scores, columns=columns)], axis=1)


def common_head(tables: Sequence[pd.DataFrame]) -> tuple[str | None, list[str]]:
    """The auxiliary head that all tables have, and its classes; ``None`` where there is none."""
    first, *others = tables
    classes = head_classes(first)
    for head in HEADS:
        if head in first and all(
            head in other and set(head_classes(other)) == set(classes) for other in others
        ):
            return head, classes
    return None, []


def write(folder: str | os.PathLike, runs: Sequence[Run]) -> dict[str, Any]:
    """Write the average of several runs as a run's folder, which any report takes.

    Arguments
    ---------
    folder : path
        Of its own: gets ``predictions/<set>.csv`` and ``metrics.json``, whose protocol says what
        holds for all members and names them. An earlier average there is replaced.
    runs : sequence of Run
        The members, two or more. Sets that not all of them have, and those of another corpus on
        another scale, are left out and named.

    Returns
    -------
    dict
        What stands in ``metrics.json``.

    Raises
    ------
    ValueError
        If there are fewer than two members, they do not go together, or the folder holds a run.
    """
    folder = Path(folder)
    _enough(runs)
    if (folder / SAVED).exists():
        raise ValueError(f"{folder} must be a folder for the average; found a run in it.")
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
            "An average needs a set that all runs have predicted; found none among "
            f"{', '.join(left_out)}."
        )
    regions = _common_regions(runs)
    for old in (folder / "predictions").glob("*.csv"):
        old.unlink()  # of an earlier average, whose members may have had other sets
    scale, tables = _own_scale(first), {}
    for name in shared:
        tables[name] = average([run.tables[name] for run in runs], scale=scale, regions=regions)
    results = report_sets(folder, tables)
    protocol = {
        **common_facts([run.protocol for run in runs]),
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
    facts = {"folder": str(folder), "predictions": predictions_digests(folder, tables)}
    return write_metrics(folder / METRICS, results, protocol, facts, _common_beside(runs))


def _enough(members: Sequence) -> None:
    if len(members) < 2:
        raise ValueError(f"An average needs two runs or more; found {len(members)}. Name others.")


def _own_scale(run: Run) -> Scale | None:
    """That of the run's own corpus, whose sets come first."""
    return run.scales[next(iter(run.tables))]


def _common_scale(name: str, runs: Sequence[Run]) -> Scale | None:
    scales = {run.scales[name] for run in runs}
    if len(scales) > 1:
        raise ValueError(
            f"Runs that are averaged must have {name} on one scale; found "
            f"{', '.join(f'{run.name}: {run.scales[name]}' for run in runs)}."
        )
    return scales.pop()


def _common_regions(runs: Sequence[Run]) -> SphericalRegions:
    """The members' regions; octants where they differ or are not known."""
    cuts = {(run.regions.step, run.regions.centre_radius) for run in runs if run.regions}
    known = all(run.regions is not None for run in runs)
    return SphericalRegions(*cuts.pop()) if known and len(cuts) == 1 else SphericalRegions(90)


def _common_beside(runs: Sequence[Run]) -> dict[str, Any]:
    """What the figures are held against, where it is the same for all members."""
    return common_facts([run.metrics.get("beside", {}) for run in runs])
