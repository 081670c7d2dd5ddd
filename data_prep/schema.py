"""The manifest, a SpeechBrain CSV with one row an utterance: columns, writing, reading."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.corpus import Utterance
from emosphere_sb.audio.header import Header
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.scale import DIMENSIONS

COLUMNS = (
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
"""The columns of a manifest, in their order."""

NUMBERS = ("duration", *DIMENSIONS, "n_raters", *(f"{dimension}_sd" for dimension in DIMENSIONS))


def manifest_row(row: Utterance, header: Header) -> tuple[Any, ...]:
    """One line of a manifest, in the order of :data:`COLUMNS`.

    Labels are written with ``repr``, which reads back as the same number; ``duration`` too, so that
    ``round(duration * sample_rate)`` is the number of frames.

    Example
    -------
    >>> manifest_row(Utterance("a", "wav/a.wav", 4.0, 2.2), Header(8000, 16000, 1))[:7]
    ('a', '0.5', '$data_root/wav/a.wav', 16000, '4.0', '2.2', '')
    """
    wav = row.path if os.path.isabs(row.path) else f"$data_root/{row.path}"
    labels, spread = (
        ["" if value is None else repr(float(value)) for value in values]
        for values in (row.vad, row.raters.sd)
    )
    count = "" if row.raters.count is None else row.raters.count
    texts = (row.emotion, row.speaker, row.gender, row.session, " ".join(row.transcript.split()))
    sound = (row.id, repr(header.duration), wav, header.sample_rate)
    return (*sound, *labels, *texts, count, *spread, row.raters.votes)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file, complete or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """A text file, complete or not at all, even if two processes prepare the same corpus."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # Names of files that are not Unicode can only be rejected, but must still be listed.
    atomic_write(path, text, errors="backslashreplace", partial=partial)


class _Replacements(dict):
    """A ``$word`` that is no variable of a manifest stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"${name}"


def replacements(data_root: str | os.PathLike) -> dict[str, str]:
    """What to give to SpeechBrain's ``from_csv`` as ``replacements``.

    A plain dict with ``data_root`` would do for most corpora; this one also lets files and
    transcripts pass that hold a dollar sign before a word.

    Arguments
    ---------
    data_root : path
        The corpus's folder, see :attr:`Summary.data_root`.

    Example
    -------
    >>> table = replacements("/data")
    >>> table["data_root"], table["5.00"]
    ('/data', '$5.00')
    """
    return _Replacements(data_root=str(data_root))


def read_rows(
    path: str | os.PathLike, *, data_root: str | os.PathLike | None = None
) -> dict[str, dict[str, Any]]:
    """A manifest as SpeechBrain's datasets take it: id to row, all text but the duration.

    Arguments
    ---------
    path : path
        ``<set>.csv`` as :func:`prepare` wrote it.
    data_root : path, optional
        Put in the place of ``$data_root``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If columns are missing or unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There must be a manifest {path}. Run the preparation first.")
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        validate(lines.fieldnames or (), name=path.name)
        rows = {row.pop("ID"): row for row in lines}
    for row in rows.values():
        row["duration"] = float(row["duration"])
        if data_root is not None and row["wav"].startswith("$data_root/"):
            row["wav"] = row["wav"].replace("$data_root", str(data_root), 1)
    return rows


def read_manifest(
    path: str | os.PathLike, *, data_root: str | os.PathLike | None = None
) -> pd.DataFrame:
    """A manifest as a table: numbers as floats (NaN where unknown), all else as text.

    See :func:`read_rows`.
    """
    rows = read_rows(path, data_root=data_root)
    frame = pd.DataFrame([{"ID": name, **row} for name, row in rows.items()], columns=COLUMNS)
    for column in NUMBERS:
        frame[column] = [float(text or "nan") for text in frame[column]]
    return frame.astype({"sample_rate": int})


def validate(columns: Iterable[str], *, name: str) -> None:
    """Checks that a manifest has exactly the columns that it must have.

    Arguments
    ---------
    columns : iterable of str
        As found.
    name : str
        Of the file, for the error.

    Raises
    ------
    ValueError
        If columns are missing or unknown.

    Example
    -------
    >>> validate(["ID", "wav"], name="train.csv")
    Traceback (most recent call last):
    ValueError: Manifest train.csv has no column 'duration', 'sample_rate', 'valence', 'arousal', \
'dominance', 'emotion', 'speaker', 'gender', 'session', 'transcript', 'n_raters', \
'valence_sd', 'arousal_sd', 'dominance_sd', 'votes'; found ID, wav. \
Run the preparation again with --reuse_manifests=False.
    """
    found = list(columns)
    missing = [repr(column) for column in COLUMNS if column not in found]
    extra = [repr(column) for column in found if column not in COLUMNS]
    if not missing and not extra and len(found) == len(COLUMNS):
        return
    problems = [f"has no column {', '.join(missing)}"] if missing else []
    problems += [f"has the unknown column {', '.join(extra)}"] if extra else []
    raise ValueError(
        f"Manifest {name} {' and '.join(problems) or 'names a column twice'}; "
        f"found {', '.join(found)}. Run the preparation again with --reuse_manifests=False."
    )
