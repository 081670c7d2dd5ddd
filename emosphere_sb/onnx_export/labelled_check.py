"""What a model's CCC is on labelled files: read from a CSV, predicted, compared."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emosphere_sb.scale import DIMENSIONS

PATHS = ("file", "wav")
"""Columns that may hold the path."""


@dataclass(frozen=True)
class Labelled:
    """A file with its labels.

    Arguments
    ---------
    path : str
        Of the audio.
    vad : tuple of float
        Valence, arousal, dominance on the scale of the file; NaN where unknown.
    """

    path: str
    vad: tuple[float, ...]


def read_labels(path: str | os.PathLike) -> list[Labelled]:
    """Labelled files from a CSV with a header.

    Arguments
    ---------
    path : path
        With the columns ``file`` or ``wav``, ``valence``, ``arousal``, ``dominance``. Paths are
        taken as they are or, where there is no such file, from the CSV's folder.

    Raises
    ------
    ValueError
        If a column is missing, a label is no number, or there are fewer than two rows.
    """
    path = Path(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        column = next((name for name in PATHS if name in columns), None)
        missing = [name for name in DIMENSIONS if name not in columns]
        if column is None or missing:
            raise ValueError(
                f"{path} must have the columns {' or '.join(PATHS)}, {', '.join(DIMENSIONS)}; "
                f"found {', '.join(columns) or 'none'}."
            )
        found = [_labelled(row, column, path, n) for n, row in enumerate(rows, start=2)]
    if len(found) < 2:
        raise ValueError(f"{path} must have two labelled files at least; found {len(found)}.")
    return found


def _labelled(row: Mapping[str, str], column: str, path: Path, line: int) -> Labelled:
    try:
        vad = tuple(float(row[name] or "nan") for name in DIMENSIONS)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}, line {line}: labels must be numbers, or empty; {error}."
        ) from error
    given = Path(row[column])
    return Labelled(os.fspath(given if given.exists() else path.parent / given), vad)


def ccc_of(model: Any, labels: Sequence[Labelled]) -> dict[str, float]:
    """CCC by dimension, and their mean.

    Arguments
    ---------
    model : EmoSphere or OnnxEmoSphere
        Which predicts.
    labels : sequence of Labelled
        On the scale of the model's training labels.

    Returns
    -------
    dict
        ``valence``, ``arousal``, ``dominance``, ``mean``.

    Raises
    ------
    AudioError
        If a file cannot be heard.
    """
    from emosphere_sb.metrics import ccc

    found = model.predict([item.path for item in labels])
    predicted = np.stack([item.on_scale for item in found])
    truth = np.array([item.vad for item in labels])
    figures = {name: ccc(truth[:, k], predicted[:, k]) for k, name in enumerate(DIMENSIONS)}
    return {**figures, "mean": float(np.mean(list(figures.values())))}
