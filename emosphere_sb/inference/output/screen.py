"""Predictions as a table on the screen, a line as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from emosphere_sb.inference.output.files import on_one_line, readable
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.scale import DIMENSIONS, Scale


class Screen:
    """A table on the screen, a line as soon as it is known.

    Arguments
    ---------
    names : sequence of str
        All that may come, for the width of the first column.
    scale : Scale
        Of the labels; named in the head.
    say : callable, optional
        What prints a line; the default is :func:`print`.
    """

    WIDEST = 40

    def __init__(self, names: Sequence[str], scale: Scale, say: Callable[[str], None] = print):
        self._width = min(self.WIDEST, max([4, *map(len, names)]))
        self._scale, self._say, self._begun = scale, say, False

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def write(self, prediction: Prediction) -> None:
        """Print a line, and the head before the first one."""
        encoding = sys.stdout.encoding or "utf-8"
        if not self._begun:
            self._say(readable(self._head(prediction), encoding))
            self._begun = True
        self._say(readable(self._line(prediction), encoding))

    def _head(self, prediction: Prediction) -> str:
        names = "".join(f"{name:>10}" for name in DIMENSIONS)
        ends = f"{self._scale.low:g} to {self._scale.high:g}"
        parts = [f"{'file':<{self._width}}", f"{'s':>7}", names, f"{ends:^16}", f"{'region':<8}"]
        return "  ".join(parts + (["class"] if prediction.probabilities else [])).rstrip()

    def _line(self, prediction: Prediction) -> str:
        values = "".join(f"{value:>+10.2f}" for value in prediction.vad)
        scaled = " ".join(f"{value:5.2f}" for value in prediction.on_scale)
        parts = [
            f"{shortened(on_one_line(prediction.source), self._width):<{self._width}}",
            f"{prediction.end - prediction.start:7.1f}",
            values, f"{scaled:^16}", f"{prediction.region:<8}",
        ]  # fmt: skip
        if prediction.probabilities:
            best = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
            parts.append(f"{best} {prediction.probabilities[best]:.0%}")
        parts += [word for word, _ in prediction.words]
        if prediction.warnings:
            parts.append(f"({'; '.join(prediction.warnings)})")
        return "  ".join(parts).rstrip()


def shortened(name: str, width: int) -> str:
    """A name cut at its beginning: files differ at their end.

    Example
    -------
    >>> shortened("/a/long/path/to/speech.wav", 14)
    '…to/speech.wav'
    """
    return name if len(name) <= width else f"…{name[1 - width :]}"


class TimeScreen:
    """A timeline on the screen, a line as soon as it is known.

    Arguments
    ---------
    scale : Scale
        Of the labels; named in the head.
    say : callable, optional
        What prints a line; the default is :func:`print`.
    """

    def __init__(self, scale: Scale, say: Callable[[str], None] = print):
        self._scale, self._say, self._begun = scale, say, False

    def __enter__(self) -> TimeScreen:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def write(self, prediction: Prediction) -> None:
        """Print a line, and the head before the first one."""
        if not self._begun:
            names = "".join(f"{name:>10}" for name in DIMENSIONS)
            ends = f"{self._scale.low:g} to {self._scale.high:g}"
            self._say(f"{'start':>9}{'end':>9}  {names}  {ends:^16}  region")
            self._begun = True
        line = f"{prediction.start:9.2f}{prediction.end:9.2f}  "
        if np.isfinite(prediction.vad).all():
            values = "".join(f"{value:>+10.2f}" for value in prediction.vad)
            scaled = " ".join(f"{value:5.2f}" for value in prediction.on_scale)
            line += f"{values}  {scaled:^16}  {prediction.region:<8}"
        if prediction.warnings:
            line += f"  ({'; '.join(prediction.warnings)})"
        self._say(line.rstrip())
