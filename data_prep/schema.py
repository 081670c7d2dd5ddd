"""The manifest format: SpeechBrain CSV files with one row per utterance."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.corpus import Utterance
from emosphere_sb.audio.check import AudioInfo
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.scale import DIMENSIONS

MANIFEST_COLUMNS = (
    "ID",
    "duration",
    "wav",
    "sample_rate",
    *DIMENSIONS,
    "emotion",
    "speaker",
    "gender",
    "session",
    "transcript",
    "n_raters",
    *(f"{dimension}_sd" for dimension in DIMENSIONS),
    "votes",
)
"""Columns of a manifest, in order."""
REPEATED_COLUMNS = tuple(
    name for name in MANIFEST_COLUMNS if name not in ("ID", "duration", "wav", "transcript")
)
"""Columns in which many utterances have the same value."""

NUMERIC_COLUMNS = (
    "duration",
    *DIMENSIONS,
    "n_raters",
    *(f"{dimension}_sd" for dimension in DIMENSIONS),
)


def manifest_row(row: Utterance, info: AudioInfo) -> tuple[Any, ...]:
    """Return one manifest row, in the order of :data:`MANIFEST_COLUMNS`.

    Labels and duration are written with ``repr`` and can be read back exactly, so
    ``round(duration * sample_rate)`` is the number of frames.

    Example
    -------
    >>> manifest_row(Utterance("a", "wav/a.wav", 4.0, 2.2), AudioInfo(8000, 16000, 1))[:7]
    ('a', '0.5', '$data_root/wav/a.wav', 16000, '4.0', '2.2', '')
    """
    wav = row.path if os.path.isabs(row.path) else f"$data_root/{row.path}"
    labels, spread = (
        ["" if value is None else repr(float(value)) for value in values]
        for values in (row.vad, row.raters.sd)
    )
    count = "" if row.raters.count is None else row.raters.count
    texts = (row.emotion, row.speaker, row.gender, row.session, " ".join(row.transcript.split()))
    sound = (row.id, repr(info.duration), wav, info.sample_rate)
    return (*sound, *labels, *texts, count, *spread, row.raters.votes)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, even if two processes prepare the same corpus."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # Files with names that are not valid Unicode are rejected, but must still be listed.
    atomic_write(path, text, errors="backslashreplace", partial=partial)


class _Replacements(dict):
    """A dict that leaves a ``$word`` unchanged unless it is a manifest variable."""

    def __missing__(self, name: str) -> str:
        return f"${name}"


def replacements(data_root: str | os.PathLike) -> dict[str, str]:
    """Return the ``replacements`` argument for SpeechBrain's ``from_csv``.

    A plain dict with ``data_root`` is sufficient for most corpora. The returned dict also supports
    file names and transcripts that contain a dollar sign followed by a word.

    Arguments
    ---------
    data_root : path
        Folder of the corpus; see :attr:`Summary.data_root`.

    Example
    -------
    >>> table = replacements("/data")
    >>> table["data_root"], table["5.00"]
    ('/data', '$5.00')
    """
    return _Replacements(data_root=str(data_root))


def read_manifest_rows(
    path: str | os.PathLike, *, data_root: str | os.PathLike | None = None
) -> dict[str, dict[str, Any]]:
    """Read a manifest in the format of SpeechBrain's datasets.

    Arguments
    ---------
    path : path
        Manifest ``<set>.csv`` written by :func:`data_prep.manifest.prepare_manifests`.
    data_root : path, optional
        Folder that replaces ``$data_root``.

    Returns
    -------
    dict of str to dict
        Row of each utterance id. All values are text, except for the duration.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If columns are missing or unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Manifest {path} not found. Run data preparation first.")
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        check_manifest_columns(lines.fieldnames or (), name=path.name)
        rows, known = {}, {}
        for row in lines:
            rows[row.pop("ID")] = row
            for name in REPEATED_COLUMNS:  # equal values share one object, which saves memory
                row[name] = known.setdefault(row[name], row[name])
            row["duration"] = float(row["duration"])
            if data_root is not None and row["wav"].startswith("$data_root/"):
                row["wav"] = row["wav"].replace("$data_root", str(data_root), 1)
    return rows


def read_manifest(
    path: str | os.PathLike, *, data_root: str | os.PathLike | None = None
) -> pd.DataFrame:
    """Read a manifest as a data frame.

    Numbers are floats (NaN if unknown); all other values are text. The arguments are those of
    :func:`read_manifest_rows`.
    """
    rows = read_manifest_rows(path, data_root=data_root)
    frame = pd.DataFrame(
        [{"ID": name, **row} for name, row in rows.items()], columns=MANIFEST_COLUMNS
    )
    for column in NUMERIC_COLUMNS:
        frame[column] = [float(text or "nan") for text in frame[column]]
    return frame.astype({"sample_rate": int})


def check_manifest_columns(columns: Iterable[str], *, name: str) -> None:
    """Check that a manifest has exactly the columns :data:`MANIFEST_COLUMNS`.

    Arguments
    ---------
    columns : iterable of str
        Columns of the manifest.
    name : str
        File name for the error message.

    Raises
    ------
    ValueError
        If columns are missing or unknown.

    Example
    -------
    >>> check_manifest_columns(["ID", "wav"], name="train.csv")
    Traceback (most recent call last):
    ValueError: Manifest train.csv has no column 'duration', 'sample_rate', 'valence', 'arousal', \
'dominance', 'emotion', 'speaker', 'gender', 'session', 'transcript', 'n_raters', \
'valence_sd', 'arousal_sd', 'dominance_sd', 'votes'; found ID, wav. \
Re-run data preparation with --reuse_manifests=False.
    """
    found = list(columns)
    missing = [repr(column) for column in MANIFEST_COLUMNS if column not in found]
    extra = [repr(column) for column in found if column not in MANIFEST_COLUMNS]
    if not missing and not extra and len(found) == len(MANIFEST_COLUMNS):
        return
    problems = [f"has no column {', '.join(missing)}"] if missing else []
    problems += [f"has the unknown column {', '.join(extra)}"] if extra else []
    raise ValueError(
        f"Manifest {name} {' and '.join(problems) or 'has duplicate columns'}; "
        f"found {', '.join(found)}. Re-run data preparation with --reuse_manifests=False."
    )
