"""``predictions/<set>.csv``: one row an utterance, on the corpus's own scale."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.results.text_table import number
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

logger = logging.getLogger(__name__)

KEPT = ("duration", "speaker", "gender", "emotion")
RATERS = "n_raters"
"""Number of raters, kept where the manifest knows it for some utterance."""
PREDICTED = tuple(f"{name}_predicted" for name in DIMENSIONS)


def predictions_table(
    rows: Mapping[str, Mapping],
    vad: Mapping[str, np.ndarray],
    *,
    scale: Scale,
    regions: SphericalRegions,
    probabilities: Mapping[str, np.ndarray] | None = None,
    classes: Sequence[str] = (),
    head: str = "region",
) -> pd.DataFrame:
    """Put together what is known and what is predicted.

    Arguments
    ---------
    rows : mapping
        Manifest rows by id.
    vad : mapping
        Predicted VAD by id, (3,), in [-1, 1], unclipped.
    scale : Scale
        The corpus's.
    regions : SphericalRegions
        For the true region and the region of the predicted point.
    probabilities : mapping, optional
        The auxiliary head's, by id, (classes,); ``None`` where the head is not in use.
    classes : sequence of str
        Their names.
    head : str
        What the head predicts: ``region`` or ``emotion``.

    Returns
    -------
    pandas.DataFrame
        Columns ID, duration, speaker, gender, emotion, n_raters (where the manifest has some);
        valence, arousal, dominance (raw, empty where unknown); ``*_predicted``; region,
        region_point (of the regressed point); and where there is a head ``<head>_head`` and
        ``p_<class>``.
    """
    ids = [name for name in rows if name in vad]
    if len(ids) < len(rows):  # --debug stops early
        logger.warning("%d of %d utterances were not predicted.", len(rows) - len(ids), len(rows))
    truth = np.array([[_number(rows[i][name]) for name in DIMENSIONS] for i in ids])
    point = np.stack([vad[i] for i in ids]).astype(np.float64)
    table = pd.DataFrame({"ID": ids})
    for column in KEPT:
        table[column] = [rows[i][column] for i in ids]
    if any(rows[i].get(RATERS) for i in ids):
        table[RATERS] = [rows[i].get(RATERS, "") for i in ids]
    table[list(DIMENSIONS)] = truth
    table[list(PREDICTED)] = scale.restore(point)
    table["region"] = region_names(scale.normalise(truth), regions)
    table["region_point"] = region_names(point, regions)
    if probabilities is None:
        return table
    scores = np.stack([probabilities[i] for i in ids])
    table[f"{head}_head"] = np.array(classes)[scores.argmax(axis=1)]
    return pd.concat([table, pd.DataFrame(scores, columns=[f"p_{c}" for c in classes])], axis=1)


def region_names(vad: np.ndarray, regions: SphericalRegions) -> list[str]:
    """Region of each point (…, 3), decided in float64; empty where a dimension is unknown."""
    indices = regions.assign(torch.from_numpy(np.asarray(vad, dtype=np.float64))).tolist()
    return ["" if index < 0 else regions.names[index] for index in indices]


def write_predictions(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table so that reading it gives the same numbers; never half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, table.to_csv(index=False))


def read_predictions(path: str | os.PathLike) -> pd.DataFrame:
    """Read predictions: numbers as float64 (NaN where empty), everything else as text.

    Raises
    ------
    ValueError
        If the file is empty, a column that the figures need is missing, or an entry that must be
        a number is none.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"Predictions {path} must hold a header and lines below it; found an empty file. Make "
            "them again."
        ) from error
    return with_numbers(table, path)


def with_numbers(table: pd.DataFrame, path: str | os.PathLike) -> pd.DataFrame:
    """A table of texts with numbers where predictions have them; changes the one given.

    Arguments
    ---------
    table : pandas.DataFrame
        All entries as text, as they stand in the file.
    path : path
        The file, for the messages.

    Raises
    ------
    ValueError
        If a column that the figures need is missing, or an entry is no number.
    """
    missing = [name for name in ("ID", *DIMENSIONS, *PREDICTED) if name not in table]
    if missing:
        raise ValueError(
            f"Predictions {path} must have the columns {', '.join(missing)}; found "
            f"{', '.join(table.columns)}."
        )
    numbers = [c for c in table if c in (*DIMENSIONS, *PREDICTED, "duration") or c.startswith("p_")]
    for name in numbers:
        table[name] = [
            number(text, f"{name} of {i}", path)
            for i, text in zip(table["ID"], table[name], strict=True)
        ]
    return table


def _number(text: str | float) -> float:
    return float("nan") if text == "" else float(text)
