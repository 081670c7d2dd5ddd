"""Tables of predictions on the same utterances, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emosphere_sb.scale import DIMENSIONS

SHOWN = 3
"""How many ids an error names."""


def aligned(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Put several tables into the order of the first one.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        As ``read_predictions`` gives them, each id once.

    Returns
    -------
    list of pandas.DataFrame
        As many, each with the first one's ids in the first one's order and a fresh index.

    Raises
    ------
    ValueError
        If there is no table, an id stands twice in one, two tables hold different utterances, or
        an utterance has different truths in them (both unknown is equal).

    Example
    -------
    >>> one = pd.DataFrame({"ID": ["a", "b"], "valence": 1.0, "arousal": 1.0, "dominance": 1.0})
    >>> [table["ID"].tolist() for table in aligned([one, one[::-1]])]
    [['a', 'b'], ['a', 'b']]
    """
    if not tables:
        raise ValueError("There must be at least one table of predictions; found none.")
    for number, table in enumerate(tables):
        _each_id_once(table, number)
    first = tables[0].reset_index(drop=True)
    return [first, *(_like(first, table, n) for n, table in enumerate(tables[1:], start=1))]


def examples(ids: Sequence) -> str:
    """The first few ids, and that there are more: for errors.

    Arguments
    ---------
    ids : sequence
        Any number of them.

    Example
    -------
    >>> examples(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    return ", ".join(map(str, ids[:SHOWN])) + (", …" if len(ids) > SHOWN else "")


def _each_id_once(table: pd.DataFrame, number: int) -> None:
    twice = table["ID"][table["ID"].duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"Every id must stand once in a table; in table {number + 1} {len(twice)} stand more "
            f"than once ({examples(twice)}). Remove the repeated rows."
        )


def _like(first: pd.DataFrame, table: pd.DataFrame, number: int) -> pd.DataFrame:
    """The table in the first one's order, refused where it is not about the same utterances."""
    own, other = set(first["ID"]), set(table["ID"])
    if own != other:
        lacking = [i for i in first["ID"] if i not in other]
        extra = [i for i in table["ID"] if i not in own]
        raise ValueError(
            f"All tables must hold the same utterances; table {number + 1} lacks {len(lacking)} of "
            f"the first one's {len(own)}{_named(lacking)} and has {len(extra)} of its own"
            f"{_named(extra)}. Give predictions of the same set, from the same release of the "
            "corpus."
        )
    ordered = table.set_index("ID", drop=False).loc[first["ID"]].reset_index(drop=True)
    for name in DIMENSIONS:
        _same_truth(first["ID"], first[name], ordered[name], name, number)
    return ordered


def _same_truth(ids: pd.Series, first: pd.Series, other: pd.Series, name: str, number: int) -> None:
    x, y = first.to_numpy(np.float64), other.to_numpy(np.float64)
    differs = np.flatnonzero((x != y) & ~(np.isnan(x) & np.isnan(y)))
    if differs.size:
        shown = examples([f"{ids[i]}: {x[i]:g} and {y[i]:g}" for i in differs])
        raise ValueError(
            f"All tables must have the same true {name}; it differs between the first table and "
            f"table {number + 1} for {differs.size} of {len(ids)} utterances ({shown}). Give "
            "predictions against the same labels, on the same scale."
        )


def _named(ids: Sequence) -> str:
    return f" ({examples(ids)})" if len(ids) else ""
