"""Metrics of a prediction table, computed over the entire set, not averaged over batches."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.metrics import classification_metrics, regression_metrics
from emosphere_sb.results.alignment import first_examples
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def prediction_metrics(table: pd.DataFrame) -> dict:
    """Compute the metrics of one set of predictions on the corpus's label scale.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``.

    Returns
    -------
    dict
        CCC, Pearson correlation, scale ratio, shift, MAE and number of utterances of each
        dimension; ``mean_ccc``; ``utterances``; ``region_point`` (region of the predicted point
        versus the true region); and, with an auxiliary head, ``<head>_head`` with accuracy, macro
        F1, unweighted recall and, for regions, the agreement with the point. Classification
        metrics are omitted if the table lacks one of the two columns.

    Raises
    ------
    ValueError
        If a predicted class is not among the classes of the head.
    """
    result = regression_metrics(
        table[list(DIMENSIONS)].to_numpy(), table[list(PREDICTED)].to_numpy()
    )
    result["utterances"] = len(table)
    if "region" in table and "region_point" in table:
        result["region_point"] = class_metrics(table["region"], table["region_point"])
    for head, truth in (("region_head", "region"), ("emotion_head", "emotion")):
        if head in table and truth in table:
            result[head] = class_metrics(table[truth], table[head], names=head_classes(table))
    if "region_head" in result and "region_point" in table:
        agree = (table["region_head"] == table["region_point"]).to_numpy()
        result["region_head"]["agreement_with_point"] = float(agree.mean())
    return result


def head_classes(table: pd.DataFrame) -> list[str]:
    """Return the class names of the auxiliary head, taken from its probability columns."""
    return [column[2:] for column in table if column.startswith("p_")]


def class_metrics(
    truth: pd.Series, predicted: pd.Series, *, names: list[str] | None = None
) -> dict:
    """Compute accuracy, macro F1 and unweighted recall over utterances with a known class."""
    names = names or sorted(set(truth) | set(predicted))
    # Case-insensitive, as in the tasks.
    index = {name.casefold(): number for number, name in enumerate(names) if name}
    if unknown := sorted({p.casefold() for p in set(predicted) if p} - index.keys()):
        raise ValueError(
            f"Predicted classes must be among the classes of the head ({', '.join(names)}); found "
            f"{first_examples(unknown)}. Each class needs a probability column p_<class>."
        )
    true, guess = _class_numbers(truth, index), _class_numbers(predicted, index)
    known = (true >= 0) & (guess >= 0)
    return classification_metrics(true[known], guess[known])


def _class_numbers(texts: pd.Series, index: Mapping[str, int]) -> np.ndarray:
    """Return the number of each class; -1 if it is unknown."""
    numbers = {text: index.get(text.casefold(), -1) for text in set(texts)}
    return np.fromiter((numbers[text] for text in texts), dtype=int, count=len(texts))


def write_json(content: Mapping, path: str | os.PathLike) -> None:
    """Write a JSON file atomically; undefined values become null."""
    atomic_write(path, json.dumps(plain_values(content), indent=2) + "\n")


def plain_values(value):
    """Convert metrics to plain JSON values; undefined numbers become ``None``."""
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
