"""The columns that a table can have: where a figure stands, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from emosphere_sb.scale import DIMENSIONS


@dataclass(frozen=True)
class Column:
    """One figure of a set of predictions.

    Arguments
    ---------
    head : str
        What stands above the column.
    path : tuple of str
        Where the figure is in what ``report.figures.figures`` gives.
    percent : bool
        Whether it is a share, written in %.
    compared : str or None
        Its name in what ``report.comparison.compare`` gives; ``None`` where rows are not compared.
    """

    head: str
    path: tuple[str, ...]
    percent: bool = False
    compared: str | None = None

    def read(self, figures: Mapping) -> float:
        """The figure, in % where it is a share; NaN where there is none."""
        value: object = figures
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            return math.nan
        return float(value) * (100 if self.percent else 1)

    def write(self, value: float | None) -> str:
        """A figure as the field writes it: ``.695``, or ``59.5`` where it is a share.

        Example
        -------
        >>> COLUMNS["mean"].write(0.6884), COLUMNS["mean"].write(-0.0104)
        ('.688', '-.010')
        >>> COLUMNS["point_f1"].write(36.27), COLUMNS["point_f1"].write(None)
        ('36.3', '–')
        """
        return self._text(value, 1 if self.percent else 3)

    def write_published(self, value: float | None) -> str:
        """A figure with the digits of the paper.

        Example
        -------
        >>> COLUMNS["mean"].write_published(0.6884), COLUMNS["point_f1"].write_published(4.77)
        ('.6884', '4.77')
        """
        return self._text(value, 2 if self.percent else 4)

    def _text(self, value: float | None, decimals: int) -> str:
        if value is None or math.isnan(value):
            return "–"
        text = f"{value:.{decimals}f}"
        if float(text) == 0:
            text = text.lstrip("-")
        if self.percent:
            return text
        return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


COLUMNS: dict[str, Column] = {
    name: Column(letter, (name, "ccc"), compared=name)
    for name, letter in zip(DIMENSIONS, "VAD", strict=True)
} | {
    "mean": Column("mean", ("mean_ccc",), compared="mean_ccc"),
    "point_f1": Column("macro F1, point (%)", ("region_point", "macro_f1"), percent=True),
    "point_accuracy": Column("accuracy, point (%)", ("region_point", "accuracy"), percent=True),
    "head_f1": Column("macro F1, head (%)", ("head_seen", "macro_f1"), percent=True),
    "head_accuracy": Column("accuracy, head (%)", ("head_seen", "accuracy"), percent=True),
}
"""Name in ``tables.yaml``: the column. ``head_seen`` is the head's last figure, on the development
set of the epoch in which it was still trained."""
