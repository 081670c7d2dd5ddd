"""Split utterances into subgroups by gender, speaker, duration, emotion, region and raters."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from emosphere_sb.results.predictions import RATERS

SUBGROUP_COLUMNS = {
    "gender": "gender",
    "speaker": "speaker",
    "duration": "duration",
    "emotion": "emotion",
    "region": "region",
    "raters": RATERS,
}
"""Column of each kind of subgroup."""

DURATION_EDGES = (2, 4, 6, 8, 12)
"""Edges of the duration bins in seconds; 12 belongs to the lower bin, the others to the upper."""
MAX_SPEAKERS = 30
"""Number of speakers shown individually: those with the most utterances."""
MAX_RATERS = 10
"""Largest number of raters shown individually."""
UNKNOWN = "unknown"
UNKNOWN_VALUES = ("", "nan", UNKNOWN)
"""Lower-case values that mean unknown."""


def subgroup_masks(table: pd.DataFrame) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Assign utterances to six kinds of subgroups.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``.

    Returns
    -------
    masks : dict
        Boolean masks, shape (utterance,), by kind and value of the subgroup. Each utterance is in
        one subgroup of each kind: those without a value are in ``unknown``, and all speakers except
        the 30 largest share one subgroup. ``duration`` is in seconds.
    missing : list of str
        Kinds whose column is missing or empty.

    Example
    -------
    >>> table = pd.DataFrame({"gender": ["Male", "Female", "Male"], "duration": [1.0, 2.0, 13.0]})
    >>> masks, missing = subgroup_masks(table)
    >>> {value: mask.tolist() for value, mask in masks["duration"].items()}
    {'<2': [True, False, False], '2-4': [False, True, False], '>12': [False, False, True]}
    >>> missing
    ['speaker', 'emotion', 'region', 'raters']
    """
    masks, missing = {}, []
    for name, column in SUBGROUP_COLUMNS.items():
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
    texts = [
        UNKNOWN if str(text).strip().lower() in UNKNOWN_VALUES else str(text) for text in column
    ]
    if name == "raters":
        return [text if text == UNKNOWN else _raters(text) for text in texts]
    return _largest(texts) if name == "speaker" else texts


def _bin(seconds: float) -> str:
    if math.isnan(seconds):
        return UNKNOWN
    if seconds > DURATION_EDGES[-1]:
        return f">{DURATION_EDGES[-1]}"
    inner = DURATION_EDGES[:-1]
    place = int(np.searchsorted(inner, seconds, side="right"))
    return f"{inner[place - 1]}-{DURATION_EDGES[place]}" if place else f"<{DURATION_EDGES[0]}"


def _raters(text: str) -> str:
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(f"{RATERS} must be a number or empty; found {text!r}.") from error
    return f">{MAX_RATERS}" if number > MAX_RATERS else f"{number:g}"


def _largest(speakers: list[str]) -> list[str]:
    """Replace all speakers except those with the most utterances with a common name."""
    counts = pd.Series(speakers).loc[lambda s: s != UNKNOWN].value_counts()
    # Ties are resolved alphabetically.
    ranked = sorted(counts.index, key=lambda speaker: (-counts[speaker], speaker))
    shown = {*ranked[:MAX_SPEAKERS], UNKNOWN}
    rest = f"{len(ranked) - MAX_SPEAKERS} others"
    return [speaker if speaker in shown else rest for speaker in speakers]


def _order(name: str, values: np.ndarray) -> list[str]:
    """Sort bins by value, speakers by size, other values alphabetically, and unknown last."""
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
