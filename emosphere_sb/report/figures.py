"""Predictions to figures: computed once over a whole set, never as a mean over batches."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emosphere_sb.class_metrics import classification_metrics
from emosphere_sb.metrics import regression_metrics
from emosphere_sb.report.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def figures(table: pd.DataFrame) -> dict:
    """Figures of one set of predictions, on the corpus's own scale.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it.

    Returns
    -------
    dict
        For each dimension CCC, Pearson, scale ratio, shift, MAE and the number of utterances;
        ``mean_ccc``; ``region_point`` (region of the regressed point against the true region) and,
        where there is a head, ``<head>_head`` with its accuracy, macro F1, unweighted recall, and
        for regions how often it agrees with the point.
    """
    result = regression_metrics(
        table[list(DIMENSIONS)].to_numpy(), table[list(PREDICTED)].to_numpy()
    )
    if "region" in table:
        result["region_point"] = class_figures(table["region"], table["region_point"])
    for head, truth in (("region_head", "region"), ("emotion_head", "emotion")):
        if head in table:
            result[head] = class_figures(table[truth], table[head], names=head_classes(table))
    if "region_head" in table:
        agree = (table["region_head"] == table["region_point"]).to_numpy()
        result["region_head"]["agreement_with_point"] = float(agree.mean())
    return result


def head_classes(table: pd.DataFrame) -> list[str]:
    """Classes that the head knows, from the columns of its probabilities."""
    return [column[2:] for column in table if column.startswith("p_")]


def class_figures(
    truth: pd.Series, predicted: pd.Series, *, names: list[str] | None = None
) -> dict:
    """Accuracy, macro F1 and unweighted recall over the utterances whose class is known."""
    names = names or sorted(set(truth) | set(predicted))
    index = {name: number for number, name in enumerate(names) if name}
    pairs = [
        (index[t], index[p]) for t, p in zip(truth, predicted, strict=True) if t in index and p
    ]
    true, guess = np.array(pairs, dtype=int).reshape(-1, 2).T
    return classification_metrics(true, guess)


def write_json(facts: Mapping, path: str | os.PathLike) -> None:
    """Write a JSON file whole or not at all; an undefined figure becomes null."""
    path = Path(path)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(_plain(facts), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _plain(value):
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def screen_table(results: Mapping[str, Mapping]) -> str:
    """The table that a run prints at its end: one line a set, CCC by dimension and their mean.

    Example
    -------
    >>> row = {"valence": {"ccc": 0.5, "n": 2}, "arousal": {"ccc": 0.75}}
    >>> print(screen_table({"test1": {**row, "dominance": {"ccc": 0.25}, "mean_ccc": 0.5}}))
    CCC      valence   arousal  dominance      mean  utterances
    test1     0.5000    0.7500     0.2500    0.5000           2
    """
    width = max([len("CCC"), *(len(name) for name in results)])
    heads = f"{'valence':>9} {'arousal':>9} {'dominance':>10} {'mean':>9} {'utterances':>11}"
    lines = [f"{'CCC':<{width}}  {heads}"]
    for name, row in results.items():
        v, a, d = (row[dimension]["ccc"] for dimension in DIMENSIONS)
        lines.append(
            f"{name:<{width}}  {v:9.4f} {a:9.4f} {d:10.4f} {row['mean_ccc']:9.4f} "
            f"{row['valence']['n']:11d}"
        )
    return "\n".join(lines)
