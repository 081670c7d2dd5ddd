"""``train_log.txt`` into columns."""

from __future__ import annotations

import math
import os
from pathlib import Path


def read_log(path: str | os.PathLike) -> dict[str, list[float]]:
    """Read what SpeechBrain's ``FileTrainLogger`` wrote, a line an epoch.

    A line reads ``epoch: 1, lr: 1.00e-03 - train loss: 5.30, … - valid valence: 3.79e-04, …``: the
    file holds two or three significant digits of a figure, so it is good for curves and not for
    tables.

    Arguments
    ---------
    path : path
        The file.

    Returns
    -------
    dict of str to list of float
        A column for every name of the file (``epoch``, ``lr``, ``train loss``, ``valid mean_ccc``,
        …), all of one length: the number of lines. NaN where a line does not have the name, such as
        ``train weight`` once the region task is left out.

    Raises
    ------
    ValueError
        If there is no line, or a line is not of this form, naming it.
    OSError
        If the file cannot be read.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    rows = [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if not rows:
        raise ValueError(
            f"{path} must hold a line for every epoch; found none. Start the run's command again: "
            "it goes on to its first epoch's end."
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
                    f"{place} must consist of entries 'name: number'; found {entry!r}. Take the "
                    "train_log.txt of a run."
                )
            row[name] = number
    if "epoch" not in row:
        raise ValueError(
            f"{place} must say which epoch it is; found {', '.join(row)}. Take the train_log.txt "
            "of a run."
        )
    return row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # the caller says which entry it is
        return None
