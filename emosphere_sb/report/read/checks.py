"""Whether figures of a table of predictions would mean anything, before they are computed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emosphere_sb.results.alignment import examples
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale


def check_predictions(
    table: pd.DataFrame, *, source: str, scale: Scale | None = None, own: bool = False
) -> list[str]:
    """Refuse predictions whose figures would be wrong; warn of those that are odd.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it, values on the corpus's own scale.
    source : str
        Where it comes from (a file's name), for the messages.
    scale : Scale, optional
        The corpus's. Without it only what the truth itself shows is known.
    own : bool
        Whether a run of this package wrote the values, so that they are on the corpus's scale
        however poor they are (a model that has learned nothing may say 0.2 for all).

    Returns
    -------
    list of str
        Warnings, a sentence or two each: a column of predictions or of truth that is constant,
        and predictions most of which lie off the scale. Empty where nothing is odd.

    Raises
    ------
    ValueError
        If there are no rows; a column is missing; an id is empty or stands twice; a prediction
        is NaN or infinite; a true value is infinite or off the scale; or all predictions of a
        dimension lie in [-1, 1] (or [0, 1]) while its truth begins at 1 or above, so that a CCC
        would only tell that the scales differ.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1, 2, 3], [5, 6, 7]]
    >>> table[["valence_predicted", "arousal_predicted", "dominance_predicted"]] = 4.0
    >>> check_predictions(table, source="test1.csv", scale=Scale(1, 7))[0]
    'test1.csv: every valence_predicted is 4; its CCC is 0.'
    """
    _columns(table, source)
    _ids(table, source)
    warnings = []
    for name, predicted in zip(DIMENSIONS, PREDICTED, strict=True):
        truth, values = (table[c].to_numpy(np.float64) for c in (name, predicted))
        ids, every = table["ID"], f"{source}: every"
        _refuse(~np.isfinite(values), ids, f"{every} {predicted} must be finite")
        _refuse(np.isinf(truth), ids, f"{every} true {name} must be finite or empty")
        known = truth[~np.isnan(truth)]
        if scale is not None:
            off = ~np.isnan(truth) & ~scale.contains(truth)
            _refuse(off, ids, f"{every} true {name} must lie on {_ends(scale)}")
        if not own:
            _same_scale(values, known, scale, f"{source}: {predicted}")
        warnings += _odd(values, known, None if own else scale, source, name)
    return warnings


def _columns(table: pd.DataFrame, source: str) -> None:
    missing = [c for c in ("ID", *DIMENSIONS, *PREDICTED) if c not in table]
    if missing:
        raise ValueError(
            f"{source} must have the columns {', '.join(missing)}; found "
            f"{', '.join(map(str, table.columns)) or 'none'}. Name the columns so."
        )
    if table.empty:
        raise ValueError(
            f"{source} must hold at least one utterance; found no rows. Make the predictions again."
        )


def _ids(table: pd.DataFrame, source: str) -> None:
    ids = table["ID"]
    empty = np.flatnonzero(ids.isna() | (ids.astype(str).str.strip() == ""))
    if empty.size:
        raise ValueError(
            f"{source}: every row must have an ID; {empty.size} of {len(ids)} have none (rows "
            f"{examples(list(empty + 1))}). Fill the column ID."
        )
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"{source}: every ID must stand once; {len(twice)} stand more than once "
            f"({examples(twice)}). Remove the repeated rows."
        )


def _refuse(wrong: np.ndarray, ids: pd.Series, must: str) -> None:
    if wrong.any():
        raise ValueError(
            f"{must}; {wrong.sum()} of {len(ids)} are not ({examples(list(ids[wrong]))}). Correct "
            "these rows or make the predictions again."
        )


def _same_scale(values: np.ndarray, known: np.ndarray, scale: Scale | None, column: str) -> None:
    """Refuse predictions that are still on the model's scale, or on that of probabilities."""
    if scale is not None:
        low, expected = scale.low, _ends(scale)
    elif known.size:
        low, expected = known.min(), f"that of the truth, {known.min():g} to {known.max():g}"
    else:
        return
    inside = np.abs(values).max() <= 1
    if low >= 1 and inside and values.min() < low:
        shown = "[0, 1]" if values.min() >= 0 else "[-1, 1]"
        raise ValueError(
            f"{column} must be on the corpus's scale, {expected}; all {values.size} values lie in "
            f"{shown} (from {values.min():g} to {values.max():g}). Convert them first, with "
            "Scale.restore where they are in [-1, 1]."
        )


def _odd(
    values: np.ndarray, known: np.ndarray, scale: Scale | None, source: str, name: str
) -> list[str]:
    found = []
    if np.ptp(values) == 0:
        found.append(f"{source}: every {name}_predicted is {values[0]:g}; its CCC is 0.")
    if known.size and np.ptp(known) == 0:
        found.append(
            f"{source}: every true {name} is {known[0]:g}; its CCC is 0 or not defined and says "
            "nothing about the predictions."
        )
    if scale is not None:
        off = int((~scale.contains(values)).sum())
        if 2 * off > values.size:
            found.append(
                f"{source}: {off} of {values.size} values of {name}_predicted lie off the scale "
                f"{_ends(scale)} (from {values.min():g} to {values.max():g}); they look like "
                "another scale's."
            )
    return found


def _ends(scale: Scale) -> str:
    return f"{scale.low:g} to {scale.high:g}"
