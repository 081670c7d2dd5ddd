"""Parse ``train_log.txt``."""

from __future__ import annotations

import math
import os
from pathlib import Path


def read_train_log(path: str | os.PathLike) -> dict[str, list[float]]:
    """Read a log of SpeechBrain's ``FileTrainLogger``, with one line per epoch.

    A line has the form ``epoch: 1, lr: 1.00e-03 - train loss: 5.30, … - valid valence: 3.79e-04,
    …``. Values have two or three significant digits: use them for curves, not for tables.

    Arguments
    ---------
    path : path
        Path of the log. A last line without a line break is ignored, because it is being written.

    Returns
    -------
    dict of str to list of float
        One column per name in the log (``epoch``, ``lr``, ``train loss``, ``valid mean_ccc``, …),
        each with one value per line. The value is NaN if a line lacks the name, e.g.
        ``train weight`` after the auxiliary loss was removed.

    Raises
    ------
    ValueError
        If the log is empty, or a line is malformed.
    OSError
        If the file cannot be read.
    """
    lines = Path(path).read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    rows = [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if not rows:
        raise ValueError(
            f"{path} is empty; one line per epoch is required. Re-run the training command to "
            "complete the first epoch."
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _read_line(line: str, place: str) -> dict[str, float]:
    row: dict[str, float] = {}
    for block in line.split(" - "):
        for entry in block.split(", "):
            name, colon, value = entry.partition(": ")
            number = _number(value)
            if not colon or not name or number is None:
                raise ValueError(
                    f"{place} must consist of entries of the form 'name: number'; found {entry!r}. "
                    "Use the train_log.txt of a run."
                )
            row[name] = number
    if "epoch" not in row:
        raise ValueError(
            f"{place} must contain the entry 'epoch'; found {', '.join(row)}. Use the "
            "train_log.txt of a run."
        )
    return row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # reported by the caller
        return None
