"""Columns of a results table: which metric they show and how it is formatted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from emosphere_sb.scale import DIMENSIONS


@dataclass(frozen=True)
class Column:
    """Column of a results table that shows one metric.

    Arguments
    ---------
    header : str
        Column header.
    path : tuple of str
        Keys that lead to the metric in the result of ``results.scores.prediction_metrics``.
    percent : bool
        Whether the metric is a proportion, to be shown in %.
    compared : str or None
        Key of the metric in the result of ``report.stats.comparison.compare_systems``; ``None`` if
        rows are not compared by this metric.
    published_in : str or None
        Name of the column whose published score this column also shows.
    """

    header: str
    path: tuple[str, ...]
    percent: bool = False
    compared: str | None = None
    published_in: str | None = None

    def extract(self, metrics: Mapping) -> float:
        """Return the metric, in % for proportions; NaN if it is missing."""
        value: object = metrics
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            return math.nan
        return float(value) * (100 if self.percent else 1)

    def format(self, value: float | None) -> str:
        """Format a value as in publications: ``.695``, or ``59.5`` for proportions.

        Example
        -------
        >>> COLUMNS["mean"].format(0.6884), COLUMNS["mean"].format(-0.0104)
        ('.688', '-.010')
        >>> COLUMNS["point_f1"].format(36.27), COLUMNS["point_f1"].format(None)
        ('36.3', '–')
        """
        return self._format(value, 1 if self.percent else 3)

    def format_published(self, value: float | None) -> str:
        """Format a value with as many digits as in the paper.

        Example
        -------
        >>> COLUMNS["mean"].format_published(0.6884), COLUMNS["point_f1"].format_published(4.77)
        ('.6884', '4.77')
        """
        return self._format(value, 2 if self.percent else 4)

    def _format(self, value: float | None, decimals: int) -> str:
        if value is None or math.isnan(value):
            return "–"
        text = f"{value:.{decimals}f}"
        if float(text) == 0:
            text = text.lstrip("-")
        if self.percent:
            return text
        return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


COLUMNS: dict[str, Column] = (
    {
        name: Column(letter, (name, "ccc"), compared=name)
        for name, letter in zip(DIMENSIONS, "VAD", strict=True)
    }
    | {
        "mean": Column("mean", ("mean_ccc",), compared="mean_ccc"),
        "point_f1": Column("macro F1, point (%)", ("region_point", "macro_f1"), percent=True),
        "point_accuracy": Column("accuracy, point (%)", ("region_point", "accuracy"), percent=True),
    }
    | {
        f"{name}_{short}": Column(
            f"{header}, {text} (%)",
            (key, metric),
            percent=True,
            published_in=f"head_{short}" if name == "head_best" else None,
        )
        for name, text, key in (
            ("head", "head", "head_last"),
            ("head_best", "head at best epoch", "head_tested"),
            ("head_valid", "head on dev. set", "head_valid"),
        )
        for short, header, metric in (("f1", "macro F1", "macro_f1"), ("accuracy",) * 3)
    }
)
"""Columns by their name in ``tables.yaml``. The auxiliary head is scored on the evaluated set in
the last epoch in which it was trained (``head_last``) and in the tested epoch (``head_tested``), in
which it may no longer be trained; and on the development set (``head_valid``)."""
