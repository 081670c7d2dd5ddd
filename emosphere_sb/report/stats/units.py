"""What is drawn again in a bootstrap: speakers where enough are known, otherwise utterances.

Utterances of one speaker resemble one another, so they do not count as independent observations:
whole speakers are drawn (the clustered bootstrap; Field & Welsh, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MIN_SPEAKERS = 10
"""With fewer speakers than this their variance cannot be told from so few of them."""

UNKNOWN = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null", "-", "?"})
"""How corpora write that a speaker is not known, in lower case."""


@dataclass(frozen=True)
class Units:
    """The units of a resampling.

    Arguments
    ---------
    kind : str
        ``speakers`` or ``utterances``.
    codes : numpy.ndarray
        Number of each utterance's unit, (utterance,), integers from 0 to ``count - 1``.
    count : int
        How many units there are.
    note : str or None
        What a reader of the intervals has to know; ``None`` where there is nothing to say.
    """

    kind: str
    codes: np.ndarray
    count: int
    note: str | None


def resampling_units(table: pd.DataFrame) -> Units:
    """Decide what to draw again, from a table's column ``speaker``.

    Field, C. A., & Welsh, A. H. (2007). Bootstrapping clustered data. Journal of the Royal
    Statistical Society B 69, 369-390.

    Arguments
    ---------
    table : pandas.DataFrame
        One row an utterance. "Unknown", an empty name, "nan" and the like, in any case, are no
        speaker; nor is anybody where there is no column ``speaker``.

    Returns
    -------
    Units
        Speakers where at least 10 are known, numbered in the order of their names; utterances
        without a known speaker follow, each a unit of its own. Otherwise utterances.

    Example
    -------
    >>> units = resampling_units(pd.DataFrame({"speaker": ["Ann", "Ben", "Unknown"]}))
    >>> units.kind, units.count
    ('utterances', 3)
    >>> print(units.note)  # doctest: +ELLIPSIS
    Utterances are resampled, as only 2 speakers are known (10 are needed to resample speakers)...
    """
    names = _names(table)
    known = names != ""
    speakers, codes = np.unique(names[known], return_inverse=True)
    if len(speakers) < MIN_SPEAKERS:
        return Units("utterances", np.arange(len(names)), len(names), _too_few(len(speakers)))
    alone = int((~known).sum())
    all_codes = np.empty(len(names), dtype=np.int64)
    all_codes[known] = codes
    all_codes[~known] = len(speakers) + np.arange(alone)
    note = _alone(alone, len(speakers)) if alone else None
    return Units("speakers", all_codes, len(speakers) + alone, note)


def _names(table: pd.DataFrame) -> np.ndarray:
    """Speakers' names as text, empty where unknown."""
    if "speaker" not in table:
        return np.full(len(table), "", dtype=object)
    texts = ["" if pd.isna(name) else str(name).strip() for name in table["speaker"]]
    return np.array(["" if t.casefold() in UNKNOWN else t for t in texts], dtype=object)


def _too_few(found: int) -> str:
    known = {0: "no speakers are", 1: "only 1 speaker is"}.get(found, f"only {found} speakers are")
    return (
        f"Utterances are resampled, as {known} known ({MIN_SPEAKERS} are needed to resample "
        "speakers): the intervals do not hold the variation between speakers and are too narrow "
        "for a claim about others."
    )


def _alone(alone: int, speakers: int) -> str:
    if alone == 1:
        return (
            "1 utterance has no known speaker and is a unit of its own, beside "
            f"{speakers} speakers."
        )
    return (
        f"{alone} utterances have no known speaker: each is a unit of its own, beside "
        f"{speakers} speakers."
    )
