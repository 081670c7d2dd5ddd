"""Print predictions as a table on the console, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from emosphere_sb.console import format_row
from emosphere_sb.inference.output.files import escape_unencodable, replace_unprintable
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.results.constants import SYNTHETIC_MODEL_NOTE
from emosphere_sb.scale import DIMENSIONS, Scale

POINT_WIDTHS = (8, 8, 9, 17, 8)
"""Column widths of valence, arousal, dominance, all three on the label scale, and the region."""
POINT_ALIGN = ">>>^<"


def legend(scale: Scale, regions: Mapping[str, str], *, synthetic: bool = False) -> list[str]:
    """Return the lines that explain the values and the regions of a table.

    Arguments
    ---------
    scale : Scale
        Label scale.
    regions : mapping of str to str
        Names and descriptions of the regions in the table.
    synthetic : bool
        Whether the model was trained on synthetic speech.

    Example
    -------
    >>> for line in legend(Scale(1, 7), {"II": "II (+V -A +D)"}):
    ...     print(line)
    valence (V), arousal (A), dominance (D): -1 to 1, not clipped; 0 is neutral
    V A D, 1 to 7: the same values on the label scale
    region: II (+V -A +D); + is above neutral, - below
    """
    ends = f"{scale.low:g} to {scale.high:g}"
    lines = [
        "valence (V), arousal (A), dominance (D): -1 to 1, not clipped; 0 is neutral",
        f"V A D, {ends}: the same values on the label scale",
    ]
    if regions:
        names = [
            text if text.startswith(name) else f"{name} ({text})" for name, text in regions.items()
        ]
        signs = "; + is above neutral, - below" if any("V " in text for text in names) else ""
        lines.append(f"region: {', '.join(names)}{signs}")
    return lines + [SYNTHETIC_MODEL_NOTE] * synthetic


class ConsoleTable:
    """Table of predictions on the console, printed line by line, with a legend below.

    Arguments
    ---------
    names : sequence of str
        Names of all files, which determine the width of the first column.
    scale : Scale
        Label scale, shown in the header.
    print_line : callable, optional
        Function that prints a line. The default is :func:`print`.
    with_legend : bool
        Whether to print a legend below the table.
    """

    MAX_NAME_WIDTH = 40

    def __init__(
        self,
        names: Sequence[str],
        scale: Scale,
        print_line: Callable[[str], None] = print,
        *,
        with_legend: bool = True,
    ):
        lengths = [len(replace_unprintable(name)) for name in names]
        name_width = min(self.MAX_NAME_WIDTH, max([4, *lengths]))
        self._widths = (name_width, 12, *POINT_WIDTHS)
        self._align = f"<>{POINT_ALIGN}"
        self._scale, self._print_line, self._has_header = scale, print_line, False
        self._with_legend, self._regions = with_legend, {}

    def __enter__(self) -> ConsoleTable:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        """Print the legend, unless an error ended the command or the table is empty."""
        if self._has_header and self._with_legend and kind is None:
            for line in ["", *legend(self._scale, self._regions)]:
                self._print_line(line)

    def write(self, prediction: Prediction) -> None:
        """Print a line, and the header before the first one."""
        if not self._has_header:
            self._print(self._header(prediction))
            self._has_header = True
        if prediction.region:
            self._regions[prediction.region] = prediction.region_description
        self._print(self._cells(prediction))

    def write_error(self, file: str, reason: str) -> None:
        """Do nothing: errors are printed on standard error."""

    def _print(self, cells: Sequence[str]) -> None:
        line = format_row(cells, self._widths, self._align)
        self._print_line(escape_unencodable(line, sys.stdout.encoding or "utf-8"))

    def _header(self, prediction: Prediction) -> list[str]:
        cells = ["file", "duration (s)", *_point_header(self._scale)]
        return cells + (["class (probability)"] if prediction.probabilities else [])

    def _cells(self, prediction: Prediction) -> list[str]:
        name = shorten_start(replace_unprintable(prediction.source), self._widths[0])
        cells = [name, f"{prediction.end - prediction.start:.1f}", *_point_cells(prediction)]
        if prediction.probabilities:
            best = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
            cells.append(f"{best} {prediction.probabilities[best]:.0%}")
        return [*cells, *(word for word, _ in prediction.words), *_notes(prediction)]


class TimelineConsoleTable(ConsoleTable):
    """Timeline on the console, printed line by line; the command prints the legend.

    Arguments
    ---------
    scale : Scale
        Label scale, shown in the header.
    print_line : callable, optional
        Function that prints a line. The default is :func:`print`.
    """

    def __init__(self, scale: Scale, print_line: Callable[[str], None] = print):
        super().__init__([], scale, print_line, with_legend=False)
        self._widths, self._align = (9, 9, *POINT_WIDTHS), f">>{POINT_ALIGN}"

    def _header(self, prediction: Prediction) -> list[str]:
        return ["start (s)", "end (s)", *_point_header(self._scale)]

    def _cells(self, prediction: Prediction) -> list[str]:
        known = np.isfinite(prediction.vad).all()
        cells = _point_cells(prediction) if known else [""] * len(POINT_WIDTHS)
        times = [f"{prediction.start:.2f}", f"{prediction.end:.2f}"]
        return [*times, *cells, *_notes(prediction)]


def _point_header(scale: Scale) -> list[str]:
    return [*DIMENSIONS, f"V A D, {scale.low:g} to {scale.high:g}", "region"]


def _point_cells(prediction: Prediction) -> list[str]:
    """Format valence, arousal and dominance in [-1, 1] and on the label scale, and the region."""
    values = [f"{value:+.2f}" for value in prediction.vad]
    scaled = " ".join(f"{value:5.2f}" for value in prediction.on_scale)
    return [*values, scaled, prediction.region]


def _notes(prediction: Prediction) -> list[str]:
    """Return the number of averaged windows and the warnings, in parentheses."""
    windows = [f"mean of {prediction.windows:,} windows"] if prediction.windows > 1 else []
    notes = [*windows, *prediction.warnings]
    return [f"({'; '.join(notes)})"] if notes else []


def shorten_start(name: str, width: int) -> str:
    """Shorten a path at its start, because paths usually differ at the end.

    Example
    -------
    >>> shorten_start("/a/long/path/to/speech.wav", 14)
    '…to/speech.wav'
    """
    return name if len(name) <= width else f"…{name[1 - width :]}"
