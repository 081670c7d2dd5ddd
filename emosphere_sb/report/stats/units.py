"""Resampling units of the bootstrap: speakers if enough are known, otherwise utterances.

Utterances of one speaker are correlated and thus not independent observations. The bootstrap
therefore resamples speakers (cluster bootstrap; Field & Welsh, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MIN_SPEAKERS = 10
"""Minimum number of speakers to estimate the between-speaker variance."""

UNKNOWN_SPEAKERS = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null", "-", "?"})
"""Lower-case names that mark a speaker as unknown."""


@dataclass(frozen=True)
class Units:
    """Resampling units.

    Arguments
    ---------
    kind : str
        ``speakers`` or ``utterances``.
    codes : numpy.ndarray
        Unit index of each utterance, from 0 to ``count - 1``, shape (utterance,).
    count : int
        Number of units.
    note : str or None
        Limitation of the resulting intervals, if any.
    """

    kind: str
    codes: np.ndarray
    count: int
    note: str | None


def resampling_units(table: pd.DataFrame) -> Units:
    """Determine the resampling units from the column ``speaker``.

    Field, C. A., & Welsh, A. H. (2007). Bootstrapping clustered data. Journal of the Royal
    Statistical Society B 69, 369-390.

    Arguments
    ---------
    table : pandas.DataFrame
        Table with one row per utterance. Empty names and names such as "Unknown" or "nan" (in any
        case) are unknown speakers, as are all speakers if there is no column ``speaker``.

    Returns
    -------
    Units
        Speakers, sorted by name, if at least 10 are known; each utterance with an unknown speaker
        is a separate unit after them. Otherwise utterances.

    Example
    -------
    >>> units = resampling_units(pd.DataFrame({"speaker": ["Ann", "Ben", "Unknown"]}))
    >>> units.kind, units.count
    ('utterances', 3)
    >>> print(units.note)  # doctest: +ELLIPSIS
    Utterances are resampled because only 2 speakers are known (at least 10 are required ...
    """
    names = _names(table)
    known = names != ""
    speakers, codes = np.unique(names[known], return_inverse=True)
    if len(speakers) < MIN_SPEAKERS:
        note = _too_few_speakers_note(len(speakers))
        return Units("utterances", np.arange(len(names)), len(names), note)
    unknown = int((~known).sum())
    all_codes = np.empty(len(names), dtype=np.int64)
    all_codes[known] = codes
    all_codes[~known] = len(speakers) + np.arange(unknown)
    note = _unknown_speaker_note(unknown, len(speakers)) if unknown else None
    return Units("speakers", all_codes, len(speakers) + unknown, note)


def _names(table: pd.DataFrame) -> np.ndarray:
    """Return speaker names as text; unknown names are empty."""
    if "speaker" not in table:
        return np.full(len(table), "", dtype=object)
    texts = ["" if pd.isna(name) else str(name).strip() for name in table["speaker"]]
    return np.array(["" if t.casefold() in UNKNOWN_SPEAKERS else t for t in texts], dtype=object)


def _too_few_speakers_note(found: int) -> str:
    known = {0: "no speakers are", 1: "only 1 speaker is"}.get(found, f"only {found} speakers are")
    return (
        f"Utterances are resampled because {known} known (at least {MIN_SPEAKERS} are required to "
        "resample speakers). The intervals therefore ignore between-speaker variation and are too "
        "narrow to support conclusions about new speakers."
    )


def _unknown_speaker_note(utterances: int, speakers: int) -> str:
    if utterances == 1:
        return (
            "1 utterance has no known speaker and is a separate unit, in addition to "
            f"{speakers} speakers."
        )
    return (
        f"{utterances} utterances have no known speaker; each is a separate unit, in addition to "
        f"{speakers} speakers."
    )
