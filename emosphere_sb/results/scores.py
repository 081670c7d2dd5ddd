"""Predictions to figures: computed once over a whole set, never as a mean over batches."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.metrics import classification_metrics, regression_metrics
from emosphere_sb.results.alignment import examples
from emosphere_sb.results.predictions import PREDICTED
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
        ``mean_ccc``; ``utterances``; ``region_point`` (region of the regressed point against the
        true region) and, where there is a head, ``<head>_head`` with its accuracy, macro F1,
        unweighted recall, and for regions how often it agrees with the point. A table of others
        that lacks either column of such a pair has no figures of it.

    Raises
    ------
    ValueError
        If a head names a class that it does not know.
    """
    result = regression_metrics(
        table[list(DIMENSIONS)].to_numpy(), table[list(PREDICTED)].to_numpy()
    )
    result["utterances"] = len(table)
    if "region" in table and "region_point" in table:
        result["region_point"] = class_figures(table["region"], table["region_point"])
    for head, truth in (("region_head", "region"), ("emotion_head", "emotion")):
        if head in table and truth in table:
            result[head] = class_figures(table[truth], table[head], names=head_classes(table))
    if "region_head" in result and "region_point" in table:
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
    # As the tasks do, without regard to case.
    index = {name.casefold(): number for number, name in enumerate(names) if name}
    texts = [(t.casefold(), p.casefold()) for t, p in zip(truth, predicted, strict=True)]
    if foreign := sorted({p for _, p in texts if p and p not in index}):
        raise ValueError(
            f"Predicted classes must be among those that the head knows, {', '.join(names)}; found "
            f"{examples(foreign)}. Each needs its column of probabilities, p_<class>."
        )
    pairs = [(index[t], index[p]) for t, p in texts if t in index and p]
    true, guess = np.array(pairs, dtype=int).reshape(-1, 2).T
    return classification_metrics(true, guess)


def write_json(facts: Mapping, path: str | os.PathLike) -> None:
    """Write a JSON file whole or not at all; an undefined figure becomes null."""
    atomic_write(path, json.dumps(_plain(facts), indent=2) + "\n")


def _plain(value):
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
