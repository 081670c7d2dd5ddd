"""Validate prediction tables before metrics are computed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emosphere_sb.results.alignment import first_examples
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale


def check_predictions(
    table: pd.DataFrame, *, source: str, scale: Scale | None = None, own: bool = False
) -> list[str]:
    """Reject invalid predictions and return warnings about suspicious ones.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``, on the corpus's label scale.
    source : str
        Source of the table, such as a file name, for messages.
    scale : Scale, optional
        Label scale of the corpus. (default: inferred from the true values)
    own : bool
        Whether a run of this package wrote the values. They are then known to be on the label
        scale, even if an untrained model predicts 0.2 for all utterances.

    Returns
    -------
    list of str
        Warnings about constant columns, and about predictions that are mostly outside the scale.

    Raises
    ------
    ValueError
        If the table is empty; a column is missing; an ID is empty or duplicated; a prediction is
        NaN or infinite; a true value is infinite or outside the scale; or all predictions of a
        dimension are in [-1, 1] while the labels start at 1 or above, that is, if predictions and
        labels are on different scales.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1, 2, 3], [5, 6, 7]]
    >>> table[["valence_predicted", "arousal_predicted", "dominance_predicted"]] = 4.0
    >>> check_predictions(table, source="test1.csv", scale=Scale(1, 7))[0]
    'test1.csv: all values of valence_predicted are 4; the CCC is 0.'
    """
    _check_columns(table, source)
    _check_ids(table, source)
    warnings = []
    for name, predicted in zip(DIMENSIONS, PREDICTED, strict=True):
        truth, values = (table[c].to_numpy(np.float64) for c in (name, predicted))
        ids = table["ID"]
        _check_rows(~np.isfinite(values), ids, f"{source}: {predicted} must be finite")
        _check_rows(np.isinf(truth), ids, f"{source}: true {name} must be finite or empty")
        known = truth[~np.isnan(truth)]
        if scale is not None:
            outside = ~np.isnan(truth) & ~scale.contains(truth)
            _check_rows(outside, ids, f"{source}: true {name} must be in the range {_range(scale)}")
        if not own:
            _check_same_scale(values, known, scale, f"{source}: {predicted}")
        warnings += _suspicious(values, known, None if own else scale, source, name)
    return warnings


def _check_columns(table: pd.DataFrame, source: str) -> None:
    missing = [c for c in ("ID", *DIMENSIONS, *PREDICTED) if c not in table]
    if missing:
        raise ValueError(
            f"{source} has no column {', '.join(missing)}; found "
            f"{', '.join(map(str, table.columns)) or 'none'}. Rename the columns."
        )
    if table.empty:
        raise ValueError(
            f"{source} must contain at least one utterance; found no rows. Re-run the prediction "
            "for this set."
        )


def _check_ids(table: pd.DataFrame, source: str) -> None:
    ids = table["ID"]
    empty = np.flatnonzero(ids.isna() | (ids.astype(str).str.strip() == ""))
    if empty.size:
        raise ValueError(
            f"{source}: each row must have an ID; {empty.size} of {len(ids)} IDs are empty (rows "
            f"{first_examples(list(empty + 1))}). Fill in the ID column."
        )
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"{source}: IDs must be unique; {len(twice)} duplicated "
            f"({first_examples(twice)}). Remove the duplicate rows."
        )


def _check_rows(invalid: np.ndarray, ids: pd.Series, requirement: str) -> None:
    if invalid.any():
        raise ValueError(
            f"{requirement}; invalid in {invalid.sum()} of {len(ids)} rows "
            f"({first_examples(list(ids[invalid]))}). Correct these rows or re-run "
            "the prediction for this set."
        )


def _check_same_scale(
    values: np.ndarray, known: np.ndarray, scale: Scale | None, column: str
) -> None:
    """Reject predictions that are on the model's scale or in [0, 1] instead of the label scale."""
    if scale is not None:
        low, expected = scale.low, _range(scale)
    elif known.size:
        low, expected = known.min(), f"true values from {known.min():g} to {known.max():g}"
    else:
        return
    inside = np.abs(values).max() <= 1
    if low >= 1 and inside and values.min() < low:
        shown = "[0, 1]" if values.min() >= 0 else "[-1, 1]"
        raise ValueError(
            f"{column} must be on the label scale ({expected}); all {values.size} values are in "
            f"{shown} (from {values.min():g} to {values.max():g}). Convert them to the label "
            "scale, e.g. with Scale.restore."
        )


def _suspicious(
    values: np.ndarray, known: np.ndarray, scale: Scale | None, source: str, name: str
) -> list[str]:
    found = []
    if np.ptp(values) == 0:
        found.append(f"{source}: all values of {name}_predicted are {values[0]:g}; the CCC is 0.")
    if known.size and np.ptp(known) == 0:
        found.append(
            f"{source}: all true values of {name} are {known[0]:g}; the CCC is 0 or undefined and "
            "not informative."
        )
    if scale is not None:
        outside = int((~scale.contains(values)).sum())
        if 2 * outside > values.size:
            found.append(
                f"{source}: {outside} of {values.size} values of {name}_predicted are outside the "
                f"label scale of {_range(scale)} (from {values.min():g} to {values.max():g}); they "
                "may be on a different scale."
            )
    return found


def _range(scale: Scale) -> str:
    return f"{scale.low:g} to {scale.high:g}"
