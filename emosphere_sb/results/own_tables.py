"""Recognise the tables of this package, in which some text is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from emosphere_sb.results.predictions import MANIFEST_COLUMNS, PREDICTED
from emosphere_sb.scale import DIMENSIONS

RUN_COLUMNS = frozenset(
    ("ID", *MANIFEST_COLUMNS, *DIMENSIONS, *PREDICTED, "region", "region_point")
)
"""Columns of ``predictions/<set>.csv``; some runs have more."""

PREDICT_COLUMNS = frozenset(
    ("file", "duration", "start", "end", *DIMENSIONS, *(f"{name}_on_scale" for name in DIMENSIONS),
     "region", "radius", "azimuth", "polar")
)  # fmt: skip
"""Columns of the table of ``emosphere predict``; with a class head, there are more."""


def is_own_table(names: Iterable[str]) -> bool:
    """Return whether a table with these columns was written by this package.

    Only in such tables, :func:`emosphere_sb.fileio.csv_cells.restore_cell` may be applied: in a
    table of another program, ``clips\\x41.wav`` is the name of a file.

    Example
    -------
    >>> is_own_table(["file", "valence", "arousal", "dominance"])
    False
    >>> is_own_table([*sorted(PREDICT_COLUMNS), "p_I", "warnings", "error"])
    True
    """
    columns = set(names)
    return columns >= RUN_COLUMNS or columns >= PREDICT_COLUMNS
