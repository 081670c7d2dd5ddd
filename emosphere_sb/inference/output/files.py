"""Write predictions one by one as CSV or JSON Lines, and embeddings as npz."""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emosphere_sb.fileio.atomic import atomic_file
from emosphere_sb.fileio.csv_cells import list_text, neutral_cell
from emosphere_sb.inference.output.table_file import TableFile, keeps_rows, real_path
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.release.model_info import ModelInfo

SUFFIXES = (".csv", ".jsonl")
DECIMALS = 6
"""Number of decimal places in files. The last ones may differ between batch sizes."""

RowFunction = Callable[[Prediction], Mapping[str, Any]]


class PredictionWriter(Protocol):
    """Protocol for writers, which are context managers with a ``write`` method."""

    def write(self, prediction: Prediction) -> None:
        """Write one prediction."""

    def write_error(self, file: str, reason: str) -> None:
        """Write that a file could not be predicted."""


def plain_row(prediction: Prediction, *, embedding: bool = False) -> dict[str, Any]:
    """Convert a prediction to plain types, with rounded numbers and ``None`` for missing values.

    Arguments
    ---------
    prediction : Prediction
        Prediction to convert.
    embedding : bool
        Whether to include the embedding, as a list.
    """
    row = prediction.to_dict(embedding=embedding)
    return {key: _rounded(value) for key, value in row.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if not isinstance(value, float):
        return value
    # + 0.0 turns -0.0 into 0.0
    return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None


def row_with_error(prediction: Prediction, *, embedding: bool = False) -> dict[str, Any]:
    """Return :func:`plain_row` with an empty column ``error``."""
    return {**plain_row(prediction, embedding=embedding), "error": ""}


def prediction_columns(info: ModelInfo, *, words: int = 0) -> list[str]:
    """Return the columns of the predictions of a model, for a table that starts with an error."""
    unknown = np.full(3, np.nan)
    sample = Prediction(
        source="", duration=0.0, start=0.0, end=0.0, vad=unknown, on_scale=unknown, region="",
        region_description="", radius=0.0, azimuth=0.0, polar=0.0, embedding=unknown,
        probabilities=dict.fromkeys(info.classes, 0.0), words=[("", 0.0)] * words,
    )  # fmt: skip
    return list(row_with_error(sample))


class CsvWriter:
    """Writer of UTF-8 CSV files with a header. Each row is flushed immediately.

    Text that a spreadsheet would execute is neutralised; see :mod:`emosphere_sb.fileio.csv_cells`.

    Arguments
    ---------
    path : path
        Path of the file, which is replaced at the end; see :class:`TableFile`.
    row : callable
        Function that converts a prediction to a mapping of columns to values. All rows must have
        the same columns.
    columns : sequence of str, optional
        Columns of the table. The default is those of the first row.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        row: RowFunction = plain_row,
        columns: Sequence[str] | None = None,
    ):
        self._file = TableFile(path)
        self._row, self._columns, self._writer = row, columns, None

    def __enter__(self) -> CsvWriter:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        self._file.close(kind)

    def write(self, prediction: Prediction) -> None:
        """Write a row.

        Raises
        ------
        ValueError
            If its columns differ from those of the first row.
        """
        self._write_row(self._row(prediction))

    def write_error(self, file: str, reason: str) -> None:
        """Write a row with a file that could not be predicted, and the reason."""
        self._write_row({"file": file, "error": reason}, failed=True)

    def _write_row(self, row: Mapping[str, Any], *, failed: bool = False) -> None:
        if self._writer is None:
            columns = self._columns or list(row)
            self._writer = csv.DictWriter(self._file.text, columns, lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow({key: csv_cell(value) for key, value in row.items()})
        self._file.end_row(failed=failed)


def csv_cell(value: Any) -> Any:
    """Return a value as it is written to a CSV file."""
    if isinstance(value, list):
        value = list_text(value)
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else neutral_cell(value)


class JsonLinesWriter:
    """Writer of UTF-8 JSON Lines files, with one JSON object per line.

    Arguments
    ---------
    path : path
        Path of the file, which is replaced at the end; see :class:`TableFile`.
    row : callable
        Function that converts a prediction to a mapping of plain types.
    """

    def __init__(self, path: str | os.PathLike, row: RowFunction = plain_row):
        self._file, self._row = TableFile(path), row

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        self._file.close(kind)

    def write(self, prediction: Prediction) -> None:
        """Write a line."""
        self._write_row(dict(self._row(prediction)))

    def write_error(self, file: str, reason: str) -> None:
        """Write a line with a file that could not be predicted, and the reason."""
        self._write_row({"file": file, "error": reason}, failed=True)

    def _write_row(self, row: Mapping[str, Any], *, failed: bool = False) -> None:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        self._file.text.write(f"{line}\n")
        self._file.end_row(failed=failed)


def check_suffix(path: str) -> str:
    """Return the suffix of the output path in lower case.

    Raises
    ------
    ValueError
        If the suffix is not supported.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"--out must end with {' or '.join(SUFFIXES)}; found {path}.")
    return suffix


class EmbeddingWriter:
    """Writer of npz files with ``files``, ``start``, ``end`` (n,) and ``embedding`` (n, size).

    Embeddings are collected in a temporary file in the same folder, not in memory. The npz file is
    written at the end.

    Arguments
    ---------
    path : path
        Path of the file, which is replaced at the end.
    replaces : bool, optional
        Whether an old version is kept after an error: it belongs to a table that is kept.
        (default: whether the file exists)
    """

    def __init__(self, path: str | os.PathLike, *, replaces: bool | None = None):
        self.path = real_path(path)
        self._replaces = self.path.exists() if replaces is None else replaces
        self._buffer = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._files: list[str] = []
        self._times: list[tuple[float, float]] = []
        self._size = self._failed = 0

    def __enter__(self) -> EmbeddingWriter:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        try:
            rows = len(self._files) + (0 if self._replaces else self._failed)
            if keeps_rows(kind, rows=rows, replaces=self._replaces):
                self._save()
        finally:
            self._buffer.close()

    def write(self, prediction: Prediction) -> None:
        """Add the embedding of one prediction."""
        embedding = np.asarray(prediction.embedding, dtype=np.float32)
        self._size = len(embedding)
        self._buffer.write(embedding.tobytes())
        self._files.append(prediction.source)
        self._times.append((prediction.start, prediction.end))

    def write_error(self, file: str, reason: str) -> None:
        """Count a file without a prediction, which has no embedding."""
        self._failed += 1

    def _save(self) -> None:
        self._buffer.flush()
        shape = (len(self._files), self._size)
        embedding = np.empty(shape, dtype=np.float32)
        if embedding.size:
            embedding = np.memmap(self._buffer, np.float32, "r", shape=shape)
        start, end = np.array(self._times).reshape(-1, 2).T
        # Arrays of text cannot contain names that are not valid UTF-8; such bytes are escaped.
        files = [escape_unencodable(name) for name in self._files]
        with atomic_file(self.path) as file:
            np.savez(file, files=np.array(files, str), start=start, end=end, embedding=embedding)


def escape_unencodable(name: str, encoding: str = "utf-8") -> str:
    """Escape the characters of a name that an encoding cannot represent.

    Example
    -------
    >>> escape_unencodable("caf\\u00e9.wav", "ascii")
    'caf\\\\xe9.wav'
    """
    return name.encode(encoding, "backslashreplace").decode(encoding)


def replace_unprintable(name: str) -> str:
    """Escape line breaks and control characters in a name, for output on a terminal.

    Example
    -------
    >>> print(replace_unprintable("a\\nb\\x1b[2J.wav"))
    a\\x0ab\\x1b[2J.wav
    """
    surrogates = ("\udc80", "\udcff")  # for bytes of invalid UTF-8
    return "".join(
        c if c.isprintable() or surrogates[0] <= c <= surrogates[1] else _escaped(c) for c in name
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
