"""Predictions as CSV, as JSON lines, or on the screen: written one by one, as they come."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.scale import DIMENSIONS, Scale

SUFFIXES = (".csv", ".jsonl")
DECIMALS = 6
"""Of numbers in files: more than batches of other sizes leave equal."""

Row = Callable[[Prediction], Mapping[str, Any]]


class Table(Protocol):
    """What takes predictions: a context manager with ``write``."""

    def write(self, prediction: Prediction) -> None:
        """Take one more."""


def plain_row(prediction: Prediction, *, embedding: bool = False) -> dict[str, Any]:
    """A prediction as numbers and text: rounded, and ``None`` for what is unknown.

    Arguments
    ---------
    prediction : Prediction
        Several words go into ``words``, as a list of pairs.
    embedding : bool
        Whether the embedding goes in, as a list.
    """
    row = {key: _number(value) for key, value in prediction.to_dict(embedding=embedding).items()}
    if len(prediction.words) > 1:
        row["words"] = [[word, _number(distance)] for word, distance in prediction.words]
    return row


def _number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    # + 0.0: no -0.0
    return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None


class CsvTable:
    """A CSV with a head, in UTF-8; every row is in the file as soon as it is written.

    Arguments
    ---------
    path : path
        Written anew.
    row : callable
        From a prediction to its columns; all must have those of the first.
    """

    def __init__(self, path: str | os.PathLike, row: Row = plain_row):
        # surrogateescape: names of files that are no UTF-8 come out as the bytes that they are
        self._file = open_text(path)
        self._row, self._writer = row, None

    def __enter__(self) -> CsvTable:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, prediction: Prediction) -> None:
        """Write a row.

        Raises
        ------
        ValueError
            If it has other columns than the first one.
        """
        row = {key: _cell(value) for key, value in self._row(prediction).items()}
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()


def _cell(value: Any) -> Any:
    """What stands in a CSV for a value."""
    if isinstance(value, list):
        return "; ".join(f"{word} {distance:g}" for word, distance in value)
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else value


class JsonLines:
    """One JSON object a line, in UTF-8.

    Arguments
    ---------
    path : path
        Written anew.
    row : callable
        From a prediction to plain types.
    """

    def __init__(self, path: str | os.PathLike, row: Row = plain_row):
        self._file, self._row = open_text(path), row

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, prediction: Prediction) -> None:
        """Write a line."""
        line = json.dumps(dict(self._row(prediction)), ensure_ascii=False, allow_nan=False)
        self._file.write(f"{line}\n")
        self._file.flush()


def open_text(path: str | os.PathLike):
    """A file to write: UTF-8, names of files that are none as the bytes that they are.

    Raises
    ------
    ValueError
        If its folder is not there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} must be a folder, to write {path.name} there; make it.")
    return open(path, "w", encoding="utf-8", errors="surrogateescape", newline="")


def suffix_of(path: str) -> str:
    """Which kind of file a name asks for.

    Raises
    ------
    ValueError
        If it is none that is written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"--out must end with {' or '.join(SUFFIXES)}; found {path}.")
    return suffix


class Embeddings:
    """Embeddings in an npz file: ``files``, ``start``, ``end`` (n,), and ``embedding`` (n, size).

    They wait in a file without a name beside it, not in memory, and the npz appears at the end.

    Arguments
    ---------
    path : path
        Written anew.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._waiting = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._files: list[str] = []
        self._times: list[tuple[float, float]] = []
        self._size = 0

    def __enter__(self) -> Embeddings:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        try:
            if kind is None:
                self._save()
        finally:
            self._waiting.close()

    def write(self, prediction: Prediction) -> None:
        """Take one more."""
        embedding = np.asarray(prediction.embedding, dtype=np.float32)
        self._size = len(embedding)
        self._waiting.write(embedding.tobytes())
        self._files.append(prediction.source)
        self._times.append((prediction.start, prediction.end))

    def _save(self) -> None:
        self._waiting.flush()
        shape = (len(self._files), self._size)
        embedding = np.empty(shape, dtype=np.float32)
        if embedding.size:
            embedding = np.memmap(self._waiting, np.float32, "r", shape=shape)
        start, end = np.array(self._times).reshape(-1, 2).T
        # Names that are no UTF-8 cannot stand in an array of text: they are written with escapes.
        files = [readable(name) for name in self._files]
        partial = self.path.with_name(f"{self.path.name}.partial")
        with open(partial, "wb") as file:
            np.savez(file, files=np.array(files, str), start=start, end=end, embedding=embedding)
        os.replace(partial, self.path)


def readable(name: str, encoding: str = "utf-8") -> str:
    """A name that can be written in an encoding: what cannot is escaped.

    Example
    -------
    >>> readable("caf\\u00e9.wav", "ascii")
    'caf\\\\xe9.wav'
    """
    return name.encode(encoding, "backslashreplace").decode(encoding)


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


def on_one_line(name: str) -> str:
    """A name without line breaks and escape sequences, neither of which belongs on a terminal.

    Example
    -------
    >>> on_one_line("a\\nb.wav")
    'a?b.wav'
    """
    escaped = ("\udc80", "\udcff")  # Python's stand-ins for bytes that are no UTF-8
    return "".join(c if c.isprintable() or escaped[0] <= c <= escaped[1] else "?" for c in name)


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
