"""The submission of the MSP-Podcast challenge (Interspeech 2025): written, and checked.

One line a file of the hidden test set, ``FileName,EmoAct,EmoVal,EmoDom``, on the corpus's scale of
1 to 7. The attributes come in this order, which is not ours.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emosphere_sb.report.read.file_lists import COLUMN, repeated, some, stem
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

CHALLENGE = Scale(1, 7)
ATTRIBUTES = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
HEADER = (COLUMN, *ATTRIBUTES)
BOM = "\ufeff"


def submission_table(
    table: pd.DataFrame, scale: Scale, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """A set's predictions as the challenge takes them.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it.
    scale : Scale
        Of the predictions.
    names : sequence of str, optional
        The challenge's list: file names in the order that is asked for. Ids are found whether
        either has folders and a ``.wav`` or not. (default: the table's ids, as ``.wav`` files)

    Returns
    -------
    pandas.DataFrame
        FileName, EmoAct, EmoVal, EmoDom in [1, 7]: values beyond are set to the nearest end, as
        the published code does; :func:`clipped` counts them.

    Raises
    ------
    ValueError
        If a name of the list has no prediction, two of its names would get the same one, a
        prediction is not a finite number, or an id stands there twice.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a"], "valence_predicted": [0.5]})
    >>> table = table.assign(arousal_predicted=-2.0, dominance_predicted=0.0)
    >>> submission_table(table, Scale(-1, 1)).values.tolist()
    [['a.wav', 1.0, 5.5, 4.0]]
    """
    stems = [stem(name) for name in table["ID"]]
    if doubles := repeated(stems):
        raise ValueError(
            f"A submission must have each file once; the predictions hold {some(doubles)} more "
            "than once. Predict the set again."
        )
    values = pd.DataFrame(_challenge_values(table, scale), index=stems, columns=DIMENSIONS)
    if names is None:
        names = [f"{name}.wav" for name in stems]
    if doubles := repeated(map(stem, names)):
        raise ValueError(
            f"Names of the list must differ in more than their folder or ending; not so "
            f"{some(doubles)}: they would get the same prediction. Mend the list."
        )
    missing = [name for name in names if stem(name) not in values.index]
    if missing:
        raise ValueError(
            f"Every file of the list must have a prediction; of {len(names):,}, {some(missing)} "
            f"have none among {len(stems):,} predictions. Check --set and --list."
        )
    values = values.loc[[stem(name) for name in names]].clip(CHALLENGE.low, CHALLENGE.high)
    columns = {column: values[name].to_numpy() for column, name in ATTRIBUTES.items()}
    return pd.DataFrame({COLUMN: list(names), **columns})


def clipped(table: pd.DataFrame, scale: Scale) -> int:
    """How many values of a set's predictions lie beyond 1 to 7."""
    return int((~CHALLENGE.contains(_challenge_values(table, scale))).sum())


def check(path: str | os.PathLike, ids: Sequence[str]) -> list[str]:
    """What is wrong with a submission.

    Arguments
    ---------
    path : path
        The CSV file.
    ids : sequence of str
        The files that must be in it, in their order, as :func:`read_list` gives them.

    Returns
    -------
    list of str
        One line a problem; empty where the file can be handed in. Checked are the header and its
        order, that every line has four entries, that every name of the list is there once, as it
        is spelt and in its place, that no other is, and that all values are numbers in [1, 7].

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    text = Path(path).read_bytes().decode("utf-8", errors="replace")
    problems = []
    if text.startswith(BOM):
        problems.append("The file starts with a byte order mark; save it as plain UTF-8.")
    try:
        rows = [row for row in csv.reader(text.removeprefix(BOM).splitlines()) if row]
    except csv.Error as error:
        return [*problems, f"The file must be a table with commas: {error}."]
    if not rows or tuple(rows[0]) != HEADER:
        found = ",".join(rows[0]) if rows else "an empty file"
        problems.append(f"The header must be {','.join(HEADER)}; found {found}.")
    whole = [row for row in rows[1:] if len(row) == len(HEADER)]
    if len(whole) < len(rows) - 1:
        bad = [",".join(row) for row in rows[1:] if len(row) != len(HEADER)]
        problems.append(f"Every line must have {len(HEADER)} entries; not so: {some(bad)}.")
    return problems + _name_problems([row[0] for row in whole], ids) + _value_problems(whole)


def _name_problems(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Names that are missing, foreign, double, spelt otherwise, or in another order."""
    problems = []
    wanted, found = set(ids), set(names)
    missing = [name for name in ids if name not in found]
    foreign = [name for name in names if name not in wanted]
    if doubles := repeated(names):
        problems.append(f"Every file must be there once; more than once: {some(doubles)}.")
    if missing:
        problems.append(f"Every file of the list must be there; missing: {some(missing)}.")
    if foreign:
        problems.append(f"No other file may be there; not in the list: {some(foreign)}.")
    if {stem(name) for name in missing} & {stem(name) for name in foreign}:
        problems.append("Names must be spelt as in the list, with its folders and its .wav.")
    if not problems and list(names) != list(ids):
        place = next(n for n, (a, b) in enumerate(zip(names, ids, strict=True)) if a != b)
        problems.append(
            f"The order must be the list's; file {place + 1} is {names[place]} where the list has "
            f"{ids[place]}."
        )
    return problems


def _value_problems(rows: Sequence[Sequence[str]]) -> list[str]:
    """Values that are no number, or off the scale."""
    problems = []
    for column, attribute in enumerate(HEADER[1:], start=1):
        values = [(row[0], _number(row[column])) for row in rows]
        numbers = [(name, value) for name, value in values if math.isfinite(value)]
        unread = [name for name, value in values if not math.isfinite(value)]
        off = [name for name, value in numbers if not CHALLENGE.contains(value)]
        if unread:
            problems.append(f"{attribute} must be a number; not so for {some(unread)}.")
        if off:
            problems.append(f"{attribute} must lie in [1, 7]; not so for {some(off)}.")
    return problems


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # Python's own spellings, nobody else's
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _challenge_values(table: pd.DataFrame, scale: Scale) -> np.ndarray:
    """Predictions on 1 to 7, not clipped, shape (utterance, 3)."""
    values = table[list(PREDICTED)].to_numpy(dtype=np.float64)
    unknown = table["ID"][~np.isfinite(values).all(axis=1)]
    if len(unknown):
        raise ValueError(
            f"Predictions must be finite numbers; not so for {some(unknown)}. Predict the set "
            "again."
        )
    return CHALLENGE.restore(scale.normalise(values))
