"""Which utterances belong together: by gender, speaker, duration, emotion, region, raters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from emosphere_sb.results.predictions import RATERS

SLICES = {
    "gender": "gender",
    "speaker": "speaker",
    "duration": "duration",
    "emotion": "emotion",
    "region": "region",
    "raters": RATERS,
}
"""Name of a slicing: the column that it goes by."""

SECONDS = (2, 4, 6, 8, 12)
"""Borders of the bins of duration; 12 belongs to the bin below it, the others to that above."""
SPEAKERS = 30
"""Speakers that get a line each: those with most utterances."""
RATERS_EACH = 10
"""Numbers of raters up to this one get a line each."""
UNKNOWN = "unknown"
NOBODY = ("", "nan", UNKNOWN)
"""What labels write, in lower case, where they know nothing."""


def slice_masks(table: pd.DataFrame) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Cut a set of predictions in six ways.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it.

    Returns
    -------
    masks : dict
        For each slicing that the table allows, by value, which utterances it holds: bool, shape
        (utterance,). Every utterance is in one slice: those without a value make up ``unknown``,
        the speakers beyond the 30 largest one line together. ``duration`` is in seconds.
    missing : list of str
        Slicings whose column is not there or holds nothing.

    Example
    -------
    >>> table = pd.DataFrame({"gender": ["Male", "Female", "Male"], "duration": [1.0, 2.0, 13.0]})
    >>> masks, missing = slice_masks(table)
    >>> {value: mask.tolist() for value, mask in masks["duration"].items()}
    {'<2': [True, False, False], '2-4': [False, True, False], '>12': [False, False, True]}
    >>> missing
    ['speaker', 'emotion', 'region', 'raters']
    """
    masks, missing = {}, []
    for name, column in SLICES.items():
        values = _values(name, table[column]) if column in table else []
        if all(value == UNKNOWN for value in values):
            missing.append(name)
            continue
        values = np.array(values)
        masks[name] = {value: values == value for value in _order(name, values)}
    return masks, missing


def _values(name: str, column: pd.Series) -> list[str]:
    if name == "duration":
        return [_bin(float(value)) for value in column]
    texts = [UNKNOWN if str(text).strip().lower() in NOBODY else str(text) for text in column]
    if name == "raters":
        return [text if text == UNKNOWN else _raters(text) for text in texts]
    return _largest(texts) if name == "speaker" else texts


def _bin(seconds: float) -> str:
    if math.isnan(seconds):
        return UNKNOWN
    if seconds > SECONDS[-1]:
        return f">{SECONDS[-1]}"
    inner = SECONDS[:-1]
    place = int(np.searchsorted(inner, seconds, side="right"))
    return f"{inner[place - 1]}-{SECONDS[place]}" if place else f"<{SECONDS[0]}"


def _raters(text: str) -> str:
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(f"Every {RATERS} must be a number or empty; found {text!r}.") from error
    return f">{RATERS_EACH}" if number > RATERS_EACH else f"{number:g}"


def _largest(speakers: list[str]) -> list[str]:
    """The name of each of the largest speakers, and one for all others."""
    counts = pd.Series(speakers).loc[lambda s: s != UNKNOWN].value_counts()
    # Of speakers with equally many utterances the first in the alphabet go first.
    ranked = sorted(counts.index, key=lambda speaker: (-counts[speaker], speaker))
    kept = {*ranked[:SPEAKERS], UNKNOWN}
    rest = f"{len(ranked) - SPEAKERS} others"
    return [speaker if speaker in kept else rest for speaker in speakers]


def _order(name: str, values: np.ndarray) -> list[str]:
    """Bins from low to high, speakers from large to small, else the alphabet; unknown last."""
    found, counts = np.unique(values, return_counts=True)
    size = dict(zip(found.tolist(), counts.tolist(), strict=True))

    def rank(value: str) -> tuple:
        last = value == UNKNOWN, value.endswith(" others")
        if name in ("duration", "raters"):
            digits = value.lstrip("<>").partition("-")[0]
            number = float(digits) if value != UNKNOWN else 0.0
            return (
                *last,
                number + 0.5 * value.startswith(">") - 0.5 * value.startswith("<"),
                value,
            )
        return (*last, -size[value] if name == "speaker" else 0, value)

    return sorted(size, key=rank)
