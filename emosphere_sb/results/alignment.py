"""Alignment of prediction tables: same utterances, same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emosphere_sb.scale import DIMENSIONS

MAX_EXAMPLES = 3
"""Maximum number of IDs listed in an error message."""


def align_tables(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Reorder prediction tables to match the first one.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        Prediction tables as returned by ``read_predictions``, with unique IDs.

    Returns
    -------
    list of pandas.DataFrame
        The tables in the row order of the first one, with a new index.

    Raises
    ------
    ValueError
        If there are no tables, an ID is duplicated, the tables contain different utterances, or
        their true values differ (two unknown values count as equal).

    Example
    -------
    >>> one = pd.DataFrame({"ID": ["a", "b"], "valence": 1.0, "arousal": 1.0, "dominance": 1.0})
    >>> [table["ID"].tolist() for table in align_tables([one, one[::-1]])]
    [['a', 'b'], ['a', 'b']]
    """
    if not tables:
        raise ValueError("At least one prediction table is required; found none.")
    for number, table in enumerate(tables):
        _check_unique_ids(table, number)
    first = tables[0].reset_index(drop=True)
    return [first, *(_align(first, table, n) for n, table in enumerate(tables[1:], start=1))]


def first_examples(ids: Sequence) -> str:
    """List the first few IDs for an error message, with an ellipsis if there are more.

    Arguments
    ---------
    ids : sequence
        IDs or other short values.

    Example
    -------
    >>> first_examples(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    return ", ".join(map(str, ids[:MAX_EXAMPLES])) + (", …" if len(ids) > MAX_EXAMPLES else "")


def _check_unique_ids(table: pd.DataFrame, number: int) -> None:
    twice = table["ID"][table["ID"].duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"IDs must be unique; table {number + 1} has {len(twice)} duplicated IDs "
            f"({first_examples(twice)}). Remove the duplicated rows."
        )


def _align(first: pd.DataFrame, table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Reorder a table to match the first one; reject it if the utterances differ."""
    own, other = set(first["ID"]), set(table["ID"])
    if own != other:
        lacking = [i for i in first["ID"] if i not in other]
        extra = [i for i in table["ID"] if i not in own]
        raise ValueError(
            f"All tables must contain the same utterances; table {number + 1} lacks {len(lacking)} "
            f"of the {len(own)} utterances of table 1{_in_brackets(lacking)}; additional "
            f"utterances: {len(extra)}{_in_brackets(extra)}. Use predictions of the same set and "
            f"the same corpus release."
        )
    ordered = table.set_index("ID", drop=False).loc[first["ID"]].reset_index(drop=True)
    for name in DIMENSIONS:
        _check_same_truth(first["ID"], first[name], ordered[name], name, number)
    return ordered


def _check_same_truth(
    ids: pd.Series, first: pd.Series, other: pd.Series, name: str, number: int
) -> None:
    x, y = first.to_numpy(np.float64), other.to_numpy(np.float64)
    differs = np.flatnonzero((x != y) & ~(np.isnan(x) & np.isnan(y)))
    if differs.size:
        shown = first_examples([f"{ids[i]}: {x[i]:g} and {y[i]:g}" for i in differs])
        raise ValueError(
            f"All tables must have the same true {name}; tables 1 and {number + 1} differ for "
            f"{differs.size} of {len(ids)} utterances ({shown}). Use predictions with the same "
            "labels on the same scale."
        )


def _in_brackets(ids: Sequence) -> str:
    return f" ({first_examples(ids)})" if len(ids) else ""
