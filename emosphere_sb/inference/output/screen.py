"""Print predictions as a table on the console, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

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
    >>> len(legend(Scale(-1, 1), {}))
    1
    """
    lines = ["valence (V), arousal (A), dominance (D): -1 to 1, not clipped; 0 is neutral"]
    if not scale.is_normalised:
        ends = f"{scale.low:g} to {scale.high:g}"
        lines.append(f"V A D, {ends}: the same values on the label scale")
    if regions:
        names = [
            text if text.startswith(name) else f"{name} ({text})" for name, text in regions.items()
        ]
        signs = "; + is above neutral, - below" if any("V " in text for text in names) else ""
        lines.append(f"region: {', '.join(names)}{signs}")
    return lines + [SYNTHETIC_MODEL_NOTE] * synthetic


class ConsoleTable:
    """Table of predictions on the console, printed line by line, with a legend below.

    Values on a label scale of -1 to 1 are not repeated.

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
        self._widths = (name_width, 12, *_without_duplicate(POINT_WIDTHS, scale))
        self._align = "<>" + "".join(_without_duplicate(POINT_ALIGN, scale))
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
        cells = ["file", "duration (s)", *self._point_header()]
        return cells + (["class (probability)"] if prediction.probabilities else [])

    def _cells(self, prediction: Prediction) -> list[str]:
        name = shorten_start(replace_unprintable(prediction.source), self._widths[0])
        cells = [name, f"{prediction.duration:.1f}", *self._point_cells(prediction)]
        if prediction.probabilities and not prediction.has_values:
            cells.append("")
        elif prediction.probabilities:
            best = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
            cells.append(f"{best} {prediction.probabilities[best]:.0%}")
        return [*cells, *(word for word, _ in prediction.words), *_notes(prediction)]

    def _point_header(self) -> Sequence[str]:
        ends = f"{self._scale.low:g} to {self._scale.high:g}"
        return _without_duplicate([*DIMENSIONS, f"V A D, {ends}", "region"], self._scale)

    def _point_cells(self, prediction: Prediction) -> Sequence[str]:
        """Format V, A, D in [-1, 1] and on the label scale, and the region."""
        cells = [""] * len(POINT_WIDTHS)
        if prediction.has_values:
            values = [f"{value:+.2f}" for value in prediction.vad]
            scaled = " ".join(f"{value:5.2f}" for value in prediction.on_scale)
            cells = [*values, scaled, prediction.region]
        return _without_duplicate(cells, self._scale)


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
        self._widths = (9, 9, *self._widths[2:])
        self._align = f">>{self._align[2:]}"

    def _header(self, prediction: Prediction) -> list[str]:
        return ["start (s)", "end (s)", *self._point_header()]

    def _cells(self, prediction: Prediction) -> list[str]:
        times = [f"{prediction.start:.2f}", f"{prediction.end:.2f}"]
        return [*times, *self._point_cells(prediction), *_notes(prediction)]


def _without_duplicate(columns: Sequence, scale: Scale) -> Sequence:
    """Remove the column with values on the label scale if this scale is -1 to 1."""
    return [*columns[:3], *columns[4:]] if scale.is_normalised else columns


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
