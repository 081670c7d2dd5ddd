"""Predictions as CSV or JSON lines, written one by one as they come, and embeddings as npz."""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emosphere_sb.fileio.atomic import atomic_file
from emosphere_sb.inference.prediction import Prediction

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
        with atomic_file(self.path) as file:
            np.savez(file, files=np.array(files, str), start=start, end=end, embedding=embedding)


def readable(name: str, encoding: str = "utf-8") -> str:
    """A name that can be written in an encoding: what cannot is escaped.

    Example
    -------
    >>> readable("caf\\u00e9.wav", "ascii")
    'caf\\\\xe9.wav'
    """
    return name.encode(encoding, "backslashreplace").decode(encoding)


def on_one_line(name: str) -> str:
    """A name without line breaks and escape sequences, neither of which belongs on a terminal.

    Example
    -------
    >>> on_one_line("a\\nb.wav")
    'a?b.wav'
    """
    escaped = ("\udc80", "\udcff")  # Python's stand-ins for bytes that are no UTF-8
    return "".join(c if c.isprintable() or escaped[0] <= c <= escaped[1] else "?" for c in name)
