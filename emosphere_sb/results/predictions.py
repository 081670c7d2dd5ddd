"""Read and write ``predictions/<set>.csv``: one row per utterance, on the corpus's label scale."""

from __future__ import annotations

import io
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emosphere_sb.fileio.atomic import atomic_file
from emosphere_sb.fileio.csv_cells import neutral_cell, restore_cell
from emosphere_sb.results.text_table import parse_table_number
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

logger = logging.getLogger(__name__)

MANIFEST_COLUMNS = ("duration", "speaker", "gender", "emotion")
"""Columns copied from the manifest."""
RATERS = "n_raters"
"""Column with the number of raters, copied if the manifest has it for any utterance."""
CHUNK_ROWS = 10_000
"""Rows that are converted to or from text at once."""
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
    """Build a prediction table from manifest rows and model outputs.

    Arguments
    ---------
    rows : mapping
        Manifest rows by ID.
    vad : mapping
        Predicted VAD by ID, shape (3,), nominally in [-1, 1], not clipped.
    scale : Scale
        Label scale of the corpus.
    regions : SphericalRegions
        Partition that defines the true region and the region of the predicted point.
    probabilities : mapping, optional
        Class probabilities of the auxiliary head by ID, shape (classes,); ``None`` if the head
        is not in use.
    classes : sequence of str
        Class names of the head.
    head : str
        Target of the head: ``region`` or ``emotion``.

    Returns
    -------
    pandas.DataFrame
        Columns ID, duration, speaker, gender, emotion, n_raters (if the manifest has it);
        valence, arousal, dominance (raw, empty if unknown); ``*_predicted``; region,
        region_point (of the predicted point); and, with a head, ``<head>_head`` and
        ``p_<class>``.
    """
    ids = [name for name in rows if name in vad]
    if len(ids) < len(rows):  # --debug stops early
        logger.warning("%d of %d utterances were not predicted.", len(rows) - len(ids), len(rows))
    numbers = (_number(rows[i][name]) for i in ids for name in DIMENSIONS)
    truth = np.fromiter(numbers, np.float64).reshape(-1, len(DIMENSIONS))
    point = _stack(vad, ids).astype(np.float64, copy=False)
    columns = {"ID": ids}
    for name in MANIFEST_COLUMNS:
        columns[name] = [rows[i][name] for i in ids]
    if any(rows[i].get(RATERS) for i in ids):
        columns[RATERS] = [rows[i].get(RATERS, "") for i in ids]
    columns |= zip(DIMENSIONS, truth.T, strict=True)
    columns |= zip(PREDICTED, scale.restore(point).T, strict=True)
    columns["region"] = region_names(scale.normalise(truth), regions)
    columns["region_point"] = region_names(point, regions)
    if probabilities is not None:
        scores = _stack(probabilities, ids)
        columns[f"{head}_head"] = [classes[index] for index in scores.argmax(axis=1)]
        columns |= zip((f"p_{name}" for name in classes), scores.T, strict=True)
    return pd.DataFrame(columns, copy=False)


def region_names(vad: np.ndarray, regions: SphericalRegions) -> list[str]:
    """Return the region names of points of shape (…, 3); empty if a dimension is unknown."""
    indices = regions.assign(torch.from_numpy(np.asarray(vad, dtype=np.float64))).tolist()
    return ["" if index < 0 else regions.names[index] for index in indices]


def write_predictions(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a prediction table atomically and without loss of precision.

    Text that a spreadsheet would execute is neutralised; :func:`read_predictions` restores it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        for first in range(0, max(len(table), 1), CHUNK_ROWS):
            part = _map_text(table.iloc[first : first + CHUNK_ROWS], neutral_cell)
            part.to_csv(text, index=False, header=first == 0)
        text.detach()  # flushes, and leaves the file open


def read_predictions(path: str | os.PathLike) -> pd.DataFrame:
    """Read a prediction table: numbers as float64 (NaN if empty), everything else as text.

    Raises
    ------
    ValueError
        If the file is empty, a required column is missing, or a numeric entry is invalid.
    """
    # Equal texts of a column, such as names of regions, are stored only once.
    restore = defaultdict(lambda: lru_cache(maxsize=4096)(restore_cell))
    columns = defaultdict(list)
    try:
        # In parts, because numbers as text need several times as much memory
        with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS) as chunks:
            for chunk in chunks:
                unique = [name for name in chunk if name == "ID" or is_numeric(name)]
                functions = {name: restore[name] for name in chunk} | dict.fromkeys(
                    unique, restore_cell
                )
                part = chunk.assign(**{name: chunk[name].map(functions[name]) for name in chunk})
                for name, values in parse_numeric_columns(part, path).items():
                    columns[name].append(values.copy())  # a view would keep the entire part
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"The predictions file {path} is empty; a header and rows are required. Re-run the "
            "command that writes it."
        ) from error
    # Column by column, so that the parts and the table are not in memory at the same time
    table = {name: pd.concat(columns.pop(name)) for name in list(columns)}
    return pd.DataFrame(table, copy=False)


def parse_numeric_columns(table: pd.DataFrame, path: str | os.PathLike) -> pd.DataFrame:
    """Convert the numeric columns of a prediction table from text, in place.

    Arguments
    ---------
    table : pandas.DataFrame
        Prediction table with all entries as text.
    path : path
        File name for error messages.

    Raises
    ------
    ValueError
        If a required column is missing, or a numeric entry is invalid.
    """
    missing = [name for name in ("ID", *DIMENSIONS, *PREDICTED) if name not in table]
    if missing:
        raise ValueError(
            f"The predictions file {path} has no column {', '.join(missing)}; found "
            f"{', '.join(table.columns)}."
        )
    for name in filter(is_numeric, table):
        table[name] = [
            parse_table_number(text, f"{name} of {i}", path)
            for i, text in zip(table["ID"], table[name], strict=True)
        ]
    return table


def is_numeric(column: str) -> bool:
    """Return whether a column contains numbers."""
    return column in (*DIMENSIONS, *PREDICTED, "duration") or column.startswith("p_")


def _map_text(table: pd.DataFrame, function: Callable[[str], str]) -> pd.DataFrame:
    """Apply a function to all text columns."""
    text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(function) for name in text})


def _stack(vectors: Mapping[str, np.ndarray], ids: Sequence[str]) -> np.ndarray:
    """Stack vectors (size,) to an array (id, size); ``numpy.stack`` would first make views."""
    return np.concatenate([vectors[name] for name in ids]).reshape(len(ids), -1)


def _number(text: str | float) -> float:
    return float("nan") if text == "" else float(text)
