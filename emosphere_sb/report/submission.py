"""Write and check submissions to the MSP-Podcast challenge (Interspeech 2025).

A submission has one line per file of the hidden test set, ``FileName,EmoAct,EmoVal,EmoDom``, with
values on the label scale of 1 to 7. Note the order of the attributes: arousal, valence, dominance.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emosphere_sb.report.read.file_lists import (
    COLUMN,
    count_with_examples,
    find_duplicates,
    utterance_id,
)
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale

CHALLENGE_SCALE = Scale(1, 7)
ATTRIBUTES = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
HEADER = (COLUMN, *ATTRIBUTES)
BOM = "\ufeff"


def submission_table(
    table: pd.DataFrame, scale: Scale, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Convert the predictions of a set to the format of the challenge.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``.
    scale : Scale
        Scale of the predictions.
    names : sequence of str, optional
        File names of the challenge, in the required order. They are matched to IDs, ignoring
        folders and audio suffixes. (default: the IDs of the table, as ``.wav`` files)

    Returns
    -------
    pandas.DataFrame
        Columns FileName, EmoAct, EmoVal and EmoDom. Values are clipped to [1, 7], as in the
        published code; :func:`count_clipped` counts the clipped values.

    Raises
    ------
    ValueError
        If a file name has no prediction, two file names match the same prediction, a prediction is
        not finite, or an ID is duplicated.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a"], "valence_predicted": [0.5]})
    >>> table = table.assign(arousal_predicted=-2.0, dominance_predicted=0.0)
    >>> submission_table(table, Scale(-1, 1)).values.tolist()
    [['a.wav', 1.0, 5.5, 4.0]]
    """
    stems = [utterance_id(name) for name in table["ID"]]
    if duplicates := find_duplicates(stems):
        raise ValueError(
            f"The predictions contain duplicate files: {count_with_examples(duplicates)}. Re-run "
            "the prediction for this set."
        )
    values = pd.DataFrame(_challenge_values(table, scale), index=stems, columns=DIMENSIONS)
    if names is None:
        names = [f"{name}.wav" for name in stems]
    if duplicates := find_duplicates(map(utterance_id, names)):
        raise ValueError(
            "File names in the list must be unique after removing the folder and suffix; "
            f"duplicates: {count_with_examples(duplicates)}. Fix the list."
        )
    missing = [name for name in names if utterance_id(name) not in values.index]
    if missing:
        raise ValueError(
            f"Each file in the list must have a prediction; missing: "
            f"{count_with_examples(missing)}. The list contains {len(names):,} files; found "
            f"{len(stems):,} predictions. Check --set and --list."
        )
    values = values.loc[[utterance_id(name) for name in names]].clip(
        CHALLENGE_SCALE.low, CHALLENGE_SCALE.high
    )
    columns = {column: values[name].to_numpy() for column, name in ATTRIBUTES.items()}
    return pd.DataFrame({COLUMN: list(names), **columns})


def count_clipped(table: pd.DataFrame, scale: Scale) -> int:
    """Count predicted values outside [1, 7]."""
    return int((~CHALLENGE_SCALE.contains(_challenge_values(table, scale))).sum())


def check_submission(path: str | os.PathLike, ids: Sequence[str]) -> list[str]:
    """Check a submission and return its problems.

    The header, the number of entries per line, the file names, their order and the values are
    checked. Values must be numbers in [1, 7].

    Arguments
    ---------
    path : path
        Submission (CSV).
    ids : sequence of str
        Required file names in order, as returned by :func:`read_file_list`.

    Returns
    -------
    list of str
        One line per problem; empty if the submission is valid.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    text = Path(path).read_bytes().decode("utf-8", errors="replace")
    problems = []
    if text.startswith(BOM):
        problems.append("The file starts with a byte order mark; save it as UTF-8 without BOM.")
    try:
        rows = [row for row in csv.reader(text.removeprefix(BOM).splitlines()) if row]
    except csv.Error as error:
        return [*problems, f"The file is not a valid comma-separated table: {error}."]
    if not rows or tuple(rows[0]) != HEADER:
        found = ",".join(rows[0]) if rows else "an empty file"
        problems.append(f"The header must be {','.join(HEADER)}; found {found}.")
    complete = [row for row in rows[1:] if len(row) == len(HEADER)]
    if len(complete) < len(rows) - 1:
        bad = [",".join(row) for row in rows[1:] if len(row) != len(HEADER)]
        problems.append(
            f"Each line must have {len(HEADER)} entries; invalid: {count_with_examples(bad)}."
        )
    return problems + _name_problems([row[0] for row in complete], ids) + _value_problems(complete)


def _name_problems(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Report missing, unexpected, duplicated, differently spelt or misordered names."""
    problems = []
    wanted, found = set(ids), set(names)
    missing = [name for name in ids if name not in found]
    unexpected = [name for name in names if name not in wanted]
    if duplicates := find_duplicates(names):
        problems.append(f"Duplicate files: {count_with_examples(duplicates)}.")
    if missing:
        problems.append(f"Missing files that are in the list: {count_with_examples(missing)}.")
    if unexpected:
        problems.append(f"Files that are not in the list: {count_with_examples(unexpected)}.")
    if {utterance_id(name) for name in missing} & {utterance_id(name) for name in unexpected}:
        problems.append("File names must be spelt as in the list, including folders and .wav.")
    if not problems and list(names) != list(ids):
        place = next(n for n, (a, b) in enumerate(zip(names, ids, strict=True)) if a != b)
        problems.append(
            f"Files must be in the order of the list: file {place + 1} must be {ids[place]}; found "
            f"{names[place]}."
        )
    return problems


def _value_problems(rows: Sequence[Sequence[str]]) -> list[str]:
    """Report values that are out of range or are not numbers."""
    problems = []
    for column, attribute in enumerate(HEADER[1:], start=1):
        values = [(row[0], _number(row[column])) for row in rows]
        numbers = [(name, value) for name, value in values if math.isfinite(value)]
        invalid = [name for name, value in values if not math.isfinite(value)]
        outside = [name for name, value in numbers if not CHALLENGE_SCALE.contains(value)]
        if invalid:
            problems.append(
                f"{attribute} must be a number; invalid: {count_with_examples(invalid)}."
            )
        if outside:
            problems.append(
                f"{attribute} must be in [1, 7]; out of range: {count_with_examples(outside)}."
            )
    return problems


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # accepted by float(), but not by other programs
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _challenge_values(table: pd.DataFrame, scale: Scale) -> np.ndarray:
    """Return unclipped predictions on the scale of 1 to 7, shape (utterance, 3)."""
    values = table[list(PREDICTED)].to_numpy(dtype=np.float64)
    unknown = table["ID"][~np.isfinite(values).all(axis=1)]
    if len(unknown):
        raise ValueError(
            f"Predictions must be finite; NaN or infinite: {count_with_examples(unknown)}. "
            "Re-run the prediction for this set."
        )
    return CHALLENGE_SCALE.restore(scale.normalise(values))
