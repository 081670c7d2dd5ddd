"""Predictions as a table on the screen, a line as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from emosphere_sb.console import format_row
from emosphere_sb.inference.output.files import on_one_line, readable
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.scale import DIMENSIONS, Scale

POINT = (8, 8, 9, 17, 8)
"""Widths of valence, arousal, dominance, all three on the labels' scale, and the region."""
POINT_ALIGN = ">>>^<"


class Screen:
    """A table on the screen, a line as soon as it is known.

    Arguments
    ---------
    names : sequence of str
        All that may come, for the width of the first column.
    scale : Scale
        Of the labels; named in the header.
    say : callable, optional
        What prints a line; the default is :func:`print`.
    """

    WIDEST = 40

    def __init__(self, names: Sequence[str], scale: Scale, say: Callable[[str], None] = print):
        self._widths = (min(self.WIDEST, max([4, *map(len, names)])), 7, *POINT)
        self._align = f"<>{POINT_ALIGN}"
        self._scale, self._say, self._begun = scale, say, False

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def write(self, prediction: Prediction) -> None:
        """Print a line, and the header before the first one."""
        if not self._begun:
            self._print(self._header(prediction))
            self._begun = True
        self._print(self._cells(prediction))

    def _print(self, cells: Sequence[str]) -> None:
        line = format_row(cells, self._widths, self._align)
        self._say(readable(line, sys.stdout.encoding or "utf-8"))

    def _header(self, prediction: Prediction) -> list[str]:
        cells = ["file", "s", *_point_header(self._scale)]
        return cells + (["class"] if prediction.probabilities else [])

    def _cells(self, prediction: Prediction) -> list[str]:
        name = shortened(on_one_line(prediction.source), self._widths[0])
        cells = [name, f"{prediction.end - prediction.start:.1f}", *_point_cells(prediction)]
        if prediction.probabilities:
            best = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
            cells.append(f"{best} {prediction.probabilities[best]:.0%}")
        return [*cells, *(word for word, _ in prediction.words), *_warnings(prediction)]


class TimeScreen(Screen):
    """A timeline on the screen, a line as soon as it is known.

    Arguments
    ---------
    scale : Scale
        Of the labels; named in the header.
    say : callable, optional
        What prints a line; the default is :func:`print`.
    """

    def __init__(self, scale: Scale, say: Callable[[str], None] = print):
        super().__init__([], scale, say)
        self._widths, self._align = (9, 9, *POINT), f">>{POINT_ALIGN}"

    def _header(self, prediction: Prediction) -> list[str]:
        return ["start", "end", *_point_header(self._scale)]

    def _cells(self, prediction: Prediction) -> list[str]:
        known = np.isfinite(prediction.vad).all()
        cells = _point_cells(prediction) if known else [""] * len(POINT)
        times = [f"{prediction.start:.2f}", f"{prediction.end:.2f}"]
        return [*times, *cells, *_warnings(prediction)]


def _point_header(scale: Scale) -> list[str]:
    return [*DIMENSIONS, f"{scale.low:g} to {scale.high:g}", "region"]


def _point_cells(prediction: Prediction) -> list[str]:
    """Valence, arousal and dominance in [-1, 1] and on the labels' scale, and the region."""
    values = [f"{value:+.2f}" for value in prediction.vad]
    scaled = " ".join(f"{value:5.2f}" for value in prediction.on_scale)
    return [*values, scaled, prediction.region]


def _warnings(prediction: Prediction) -> list[str]:
    return [f"({'; '.join(prediction.warnings)})"] if prediction.warnings else []


def shortened(name: str, width: int) -> str:
    """A name cut at its beginning: files differ at their end.

    Example
    -------
    >>> shortened("/a/long/path/to/speech.wav", 14)
    '…to/speech.wav'
    """
    return name if len(name) <= width else f"…{name[1 - width :]}"
