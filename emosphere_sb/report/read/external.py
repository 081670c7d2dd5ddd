"""Read predictions of other systems from CSV files.

Columns are recognised by common names or by an explicit mapping. Labels may be in the same file or
in a second one. Predictions may be on a different scale than the labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emosphere_sb.fileio.path_index import file_url_to_path, normalise_path
from emosphere_sb.report.read.file_lists import count_with_examples, find_duplicates, utterance_id
from emosphere_sb.results.own_tables import is_own_table
from emosphere_sb.results.predictions import MANIFEST_COLUMNS, PREDICTED, RATERS, region_names
from emosphere_sb.results.text_table import parse_table_number, read_text_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

_ALIASES = {
    "ID": ("id", "filename", "file", "file_name", "name", "utterance", "path", "wav"),
    "valence": ("valence", "emoval", "val", "v"),
    "arousal": ("arousal", "emoact", "activation", "act", "aro", "a"),
    "dominance": ("dominance", "emodom", "dom", "d"),
    "duration": ("duration",),
    "speaker": ("speaker", "spkrid", "speaker_id"),
    "gender": ("gender", "sex"),
    "emotion": ("emotion", "emoclass"),
    RATERS: (RATERS,),
}
_PREDICTION_PATTERNS = (
    "{}_predicted",
    "{}_prediction",
    "{}_pred",
    "predicted_{}",
    "pred_{}",
    "{}_hat",
)
COLUMN_ALIASES = _ALIASES | {
    f"{name}_predicted": tuple(
        pattern.format(alias) for alias in _ALIASES[name] for pattern in _PREDICTION_PATTERNS
    )
    for name in DIMENSIONS
}
"""Recognised names, in lower case, of each canonical column."""

_NUMBERS = ("duration", *DIMENSIONS, *PREDICTED, RATERS)
_OCTANTS = {"i", "ii", "iii", "iv", "v", "vi", "vii", "viii"}
_CLASS_LETTERS = {"a", "s", "h", "u", "f", "d", "c", "n"}


class ExternalPredictions(NamedTuple):
    """Prediction table of another system, with notes about its conversion."""

    table: pd.DataFrame
    notes: list[str]


def read_external(
    path: str | os.PathLike,
    *,
    scale: Scale,
    columns: Mapping[str, str] | None = None,
    labels: str | os.PathLike | None = None,
    predicted_scale: Scale | None = None,
    only_common: bool = False,
    table: pd.DataFrame | None = None,
) -> ExternalPredictions:
    """Read the predictions of another system.

    Arguments
    ---------
    path : path
        Text table (CSV) in any dialect, or Excel workbook. If ``labels`` is given, columns such as
        ``valence`` or ``EmoVal`` are predictions. Otherwise they are labels, and predictions have
        names such as ``valence_predicted`` or ``pred_EmoVal``.
    scale : Scale
        Label scale, which the returned table also uses.
    columns : mapping of str to str, optional
        Column names in the files by canonical name, for columns that are not recognised: ``ID``,
        ``valence``, …, ``valence_predicted``, …, ``speaker``, ``gender``, ``emotion``,
        ``duration``, ``n_raters``. Each column must be in at least one of the files.
    labels : path, optional
        CSV file with labels and speakers, such as ``labels_consensus.csv`` of MSP-Podcast. Rows are
        matched by ID. Folders and audio suffixes are ignored if more IDs match without them.
    predicted_scale : Scale, optional
        Scale of the predictions. (default: ``scale``)
    only_common : bool
        Whether to drop IDs that are missing in one of the two files, with a note, instead of
        raising an error.
    table : pandas.DataFrame, optional
        Content of ``path``, if it has been read with :func:`read_external_table` before.

    Returns
    -------
    ExternalPredictions
        ``table``, in the format of ``read_predictions`` and the row order of ``path``, with values
        on ``scale`` and the octants of truth and prediction; and ``notes``.

    Raises
    ------
    ValueError
        If columns are missing or ambiguous, a value is not a number, or IDs are duplicated or
        missing in one file.
    """
    columns = dict(columns or {})
    raw = {"predictions": read_external_table(path, columns) if table is None else table}
    if labels is not None:
        raw["labels"] = read_external_table(labels, columns)
    format_notes = [note for table in raw.values() for note in table.attrs["notes"]]
    _check_mapping(columns, raw)
    if labels is None:
        table, notes = _rename_columns(raw["predictions"], columns, path), []
        _check_required(table, ("ID", *PREDICTED, *DIMENSIONS), path, single_file=True)
    else:
        mapping = {name: source for name, source in columns.items() if name not in DIMENSIONS}
        table = _rename_columns(raw["predictions"], mapping, path)
        table, notes = _as_predictions(table, path)
        _check_required(table, ("ID", *PREDICTED), path)
        mapping = {name: source for name, source in columns.items() if name not in PREDICTED}
        truth = _rename_columns(raw["labels"], mapping, labels)
        truth = truth.drop(columns=[name for name in PREDICTED if name in truth])
        _check_required(truth, ("ID", *DIMENSIONS), labels)
        table, dropped = _join_labels(table, truth, only_common, Path(path), Path(labels))
        notes += dropped
    if duplicates := find_duplicates(table["ID"]):
        raise ValueError(
            f"IDs in {path} must be unique; duplicates: {count_with_examples(duplicates)}. Remove "
            "the duplicate rows."
        )
    table = _to_canonical(table, scale, predicted_scale, path)
    return ExternalPredictions(table, format_notes + notes)


def read_external_table(
    path: str | os.PathLike, columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read a table of another system as text.

    The header is the first row with the mapped columns, or with at least two recognised ones.
    Escaped text is restored only in the tables of this package; see
    :func:`emosphere_sb.results.own_tables.is_own_table`. Other tables are read as they are.

    Arguments
    ---------
    path : path
        Text table or Excel workbook, see :func:`emosphere_sb.results.text_table.read_text_table`.
    columns : mapping of str to str, optional
        Column names in the file by canonical name.

    Raises
    ------
    ValueError
        If the file is not a table, or can be read in several ways.
    """
    mapped = {source.casefold(): name for name, source in (columns or {}).items()}
    numbers = {
        *(alias for name in _NUMBERS for alias in COLUMN_ALIASES[name]),
        *(source for source, name in mapped.items() if name in _NUMBERS),
    }
    known = {*mapped, *(alias for aliases in COLUMN_ALIASES.values() for alias in aliases)}
    return read_text_table(
        path,
        is_header=lambda names: len(known.intersection(names)) >= 2,
        is_number=lambda name: name in numbers or name.startswith("p_"),
        is_name=lambda name: name in known,
        is_escaped=is_own_table,
    )


def _check_mapping(columns: Mapping[str, str], raw: Mapping[str, pd.DataFrame]) -> None:
    unknown = [name for name in columns if name not in COLUMN_ALIASES]
    if unknown:
        raise ValueError(
            f"--columns: the name before '=' must be one of {', '.join(COLUMN_ALIASES)}; found "
            f"{', '.join(unknown)}."
        )
    for canonical_name, source_name in columns.items():
        if not any(source_name in table for table in raw.values()):
            found = "; ".join(f"{role}: {', '.join(table)}" for role, table in raw.items())
            raise ValueError(
                f"--columns: column {source_name!r} for {canonical_name} not found. Columns in the "
                f"{found}."
            )


def _rename_columns(table: pd.DataFrame, columns: Mapping[str, str], path) -> pd.DataFrame:
    """Rename mapped and recognised columns to canonical names and drop all others."""
    mapped = {source: canonical for canonical, source in columns.items() if source in table}
    taken, names = set(mapped.values()), dict(mapped)
    other_meaning = _indicator_columns(table)
    for canonical_name, aliases in COLUMN_ALIASES.items():
        candidates = [
            c for c in table
            if c.lower() in aliases and c not in mapped and c.lower() not in other_meaning
        ]  # fmt: skip
        exact = [c for c in candidates if c == canonical_name]
        if canonical_name in taken or not candidates:
            continue
        if len(candidates) > 1 and not exact:
            raise ValueError(
                f"{path} has several columns for {canonical_name}: {', '.join(candidates)}. Choose "
                f"one with --columns='{canonical_name}=…'."
            )
        names[(exact or candidates)[0]] = canonical_name
    return table[list(names)].rename(columns=names)


def _indicator_columns(table: pd.DataFrame) -> set[str]:
    """Return the names, in lower case, of one-hot columns for octants or emotion classes.

    In the processed labels of the official EmoSphere-SER code, ``V`` is the fifth octant.
    """
    names = {name.lower() for name in table}
    return {
        name for group in (_OCTANTS, _CLASS_LETTERS) if len(group & names) >= 5 for name in group
    }


def _as_predictions(table: pd.DataFrame, path) -> tuple[pd.DataFrame, list[str]]:
    """Treat columns such as ``valence`` as predictions, since the labels are in a second file."""
    unmarked = [name for name in DIMENSIONS if name in table]
    both = [name for name in unmarked if f"{name}_predicted" in table]
    notes = [f"Ignored {', '.join(both)} in {path}: labels are given by --labels."] if both else []
    names = {name: f"{name}_predicted" for name in unmarked}
    return table.drop(columns=both).rename(columns=names), notes


def _check_required(table: pd.DataFrame, names, path, *, single_file: bool = False) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        hint = " If the labels are in a second file, add --labels=FILE." if single_file else ""
        raise ValueError(
            f"{path} has no column for {', '.join(missing)}; recognised: "
            f"{', '.join(table) or 'none'}. Map columns with --columns='{missing[0]}=…'.{hint}"
        )


def _join_labels(
    predictions: pd.DataFrame, labels: pd.DataFrame, only_common: bool, path: Path, other: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Join predictions and labels by ID, and return notes about unmatched IDs."""
    keys, label_keys = _join_keys(predictions["ID"], labels["ID"], path, other)
    common = set(keys) & set(label_keys)
    sides = ((path, predictions["ID"], keys), (other, labels["ID"], label_keys))
    unmatched = {
        f"only in {file.name}": [i for i, key in zip(ids, of, strict=True) if key not in common]
        for file, ids, of in sides
    }
    notes = [f"{count_with_examples(ids)} {where}" for where, ids in unmatched.items() if ids]
    if notes and (not only_common or not common):
        advice = (
            "Use --only_common to evaluate only the IDs in both files." if common
            else "Check that both files belong to the same set."
        )  # fmt: skip
        raise ValueError(
            f"Predictions and labels must contain the same utterances; found {len(common):,} IDs "
            f"in both files, {', '.join(notes)}. {advice}"
        )
    label_columns = [name for name in labels if name != "ID"]
    table = predictions.drop(columns=[name for name in label_columns if name in predictions])
    joined = table.assign(_key=keys).merge(
        labels[label_columns].assign(_key=label_keys), on="_key", how="inner"
    )
    notes = [f"Dropped utterances without labels or predictions: {note}." for note in notes]
    return joined.drop(columns="_key"), notes


def _join_keys(a: pd.Series, b: pd.Series, path: Path, other: Path) -> tuple[list, list]:
    """Return the IDs as they are or, if this matches more, without folders and suffixes, and
    without differences of case and Unicode form."""
    full = list(a), list(b)
    short = [utterance_id(name) for name in a], [utterance_id(name) for name in b]
    loose = [_loose_id(name) for name in a], [_loose_id(name) for name in b]
    usable = [pair for pair in (full, short, loose) if not any(map(find_duplicates, pair))]
    if not usable:
        for keys, file in zip(full, (path, other), strict=True):
            if duplicates := find_duplicates(keys):
                raise ValueError(
                    f"IDs in {file} must be unique; duplicates: {count_with_examples(duplicates)}. "
                    "Remove the duplicate rows."
                )
        duplicates = find_duplicates(short[0]) + find_duplicates(short[1])
        raise ValueError(
            "IDs must be unique after removing the folder and suffix; duplicates: "
            f"{count_with_examples(duplicates)}. Rename or remove them."
        )
    return max(usable, key=lambda pair: len(set(pair[0]) & set(pair[1])))


def _loose_id(name: str) -> str:
    """Return an ID without folders, suffix, and differences of case and Unicode form."""
    return normalise_path(utterance_id(file_url_to_path(name)))


def _to_canonical(
    table: pd.DataFrame, scale: Scale, predicted_scale: Scale | None, path
) -> pd.DataFrame:
    """Parse numbers, convert predictions to the label scale, and add octants."""
    result = pd.DataFrame({"ID": table["ID"].tolist()})
    for name in (*MANIFEST_COLUMNS, RATERS):
        if name in table:
            result[name] = table[name].tolist()
    for name in ("duration", *DIMENSIONS, *PREDICTED):
        if name in table:
            result[name] = [
                parse_table_number(text, f"{name} of {i}", path)
                for i, text in zip(table["ID"], table[name], strict=True)
            ]
    if predicted_scale is not None and predicted_scale != scale:
        normalised = predicted_scale.normalise(result[list(PREDICTED)].to_numpy(np.float64))
        result[list(PREDICTED)] = scale.restore(normalised)
    regions = SphericalRegions(90)
    for column, names in (("region", DIMENSIONS), ("region_point", PREDICTED)):
        points = scale.normalise(result[list(names)].to_numpy(np.float64))
        result[column] = region_names(points, regions)
    return result
