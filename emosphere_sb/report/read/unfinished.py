"""Read an unfinished run: its settings, its training log and any finished predictions."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.report.read.runs import METRICS_FILE, RUN_FILES, SUMMARY_FILE, Run, run_regions
from emosphere_sb.report.read.training_log import read_train_log
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import DIMENSIONS

LOG_FILE = "train_log.txt"
SETTINGS = (
    "preset", "seed", "number_of_epochs", "max_seconds", "normalisation", "backbone",
    "shuffle_labels", "precision",
)  # fmt: skip
"""Hyperparameters shown in the report."""


def is_unfinished(folder: str | os.PathLike) -> bool:
    """Return whether a path is the folder of a run that has started but is not finished."""
    folder = Path(folder)
    finished = any((folder / name).is_file() for name in (METRICS_FILE, SUMMARY_FILE))
    return not finished and any((folder / name).exists() for name in RUN_FILES)


def read_unfinished(folder: str | os.PathLike) -> Run:
    """Read an unfinished run.

    Arguments
    ---------
    folder : path
        Run folder for which :func:`is_unfinished` is true.

    Returns
    -------
    Run
        Run with ``unfinished``, the result of :func:`training_progress`. The label scale of its
        predictions is unknown.
    """
    folder = Path(folder)
    settings = scalars(read_tree(folder / SAVED)) if (folder / SAVED).is_file() else {}
    protocol = {key: settings[key] for key in SETTINGS if settings.get(key) is not None}
    synthetic = settings.get("data_folder") is None and settings.get("synthetic_corpus") is not None
    files = sorted((folder / "predictions").glob("*.csv"))
    log = read_started_log(folder)
    return Run(
        folder.name, folder,
        tables={path.stem: read_predictions(path) for path in files},
        scales={path.stem: None for path in files},
        regions=run_regions(folder, {}),
        metrics={"protocol": protocol | {"synthetic": synthetic}, "run": {"folder": str(folder)}},
        unfinished=training_progress(log, settings.get("number_of_epochs")),
    )  # fmt: skip


def read_started_log(folder: Path) -> dict[str, list[float]] | None:
    """Read the training log of an unfinished run; return None before the end of an epoch.

    The last line is ignored if it is being written.
    """
    path = folder / LOG_FILE
    if not path.is_file() or "\n" not in path.read_text(encoding="utf-8"):
        return None
    return read_train_log(path)


def training_progress(
    log: Mapping[str, Sequence[float]] | None, number_of_epochs: int | None
) -> dict[str, Any]:
    """Summarise the training log of an unfinished run.

    Arguments
    ---------
    log : mapping of str to sequence of float, optional
        Result of :func:`read_started_log`.
    number_of_epochs : int, optional
        Number of epochs of the complete training.

    Returns
    -------
    dict
        ``epochs`` and ``number_of_epochs``; ``best`` and ``last``, the epoch with the highest mean
        CCC on the development set and the last one, each with its ``epoch`` and CCCs, or None; and
        ``message`` for the user.

    Example
    -------
    >>> progress = training_progress({"epoch": [1, 2], "valid mean_ccc": [0.5, 0.4]}, 20)
    >>> progress["best"]["epoch"], progress["last"]["mean_ccc"]
    (1, 0.4)
    >>> progress["message"][:50]
    'Unfinished run: 2 of 20 epochs are trained. It was'
    """
    epochs = 0 if log is None else len(log["epoch"])
    rows = [_epoch(log, index) for index in range(epochs)]
    scored = [row for row in rows if not math.isnan(row["mean_ccc"])]
    of = "" if number_of_epochs is None else f" of {number_of_epochs}"
    state = f"{epochs}{of} epochs are trained"
    if epochs == number_of_epochs:
        state = f"all {epochs} epochs are trained, but the test is not complete"
    return {
        "epochs": epochs,
        "number_of_epochs": number_of_epochs,
        "best": max(scored, key=lambda row: row["mean_ccc"]) if scored else None,
        "last": rows[-1] if rows else None,
        "message": f"Unfinished run: {state}. It was interrupted or is still running, so its "
        "scores are not final. To finish it, re-run the training command.",
    }


def _epoch(log: Mapping[str, Sequence[float]], index: int) -> dict[str, float]:
    scores = {
        name: log.get(f"valid {name}", [math.nan] * (index + 1))[index]
        for name in (*DIMENSIONS, "mean_ccc")
    }
    return {"epoch": int(log["epoch"][index]), **scores}
