"""Predictions from elsewhere: anybody's CSV becomes our table of predictions.

Columns are found by the names that are usual, or by a mapping. Labels may stand in the same file or
in a second one; predictions may be on another scale than the labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emosphere_sb.report.read.file_lists import repeated, some, stem
from emosphere_sb.results.predictions import KEPT, PREDICTED, RATERS, region_names
from emosphere_sb.results.text_table import number, read_text_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

_USUAL = {
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
_MARKS = ("{}_predicted", "{}_prediction", "{}_pred", "predicted_{}", "pred_{}", "{}_hat")
USUAL = _USUAL | {
    f"{name}_predicted": tuple(mark.format(word) for word in _USUAL[name] for mark in _MARKS)
    for name in DIMENSIONS
}
"""Our column: the names, in lower case, under which it is recognised."""


class Foreign(NamedTuple):
    """A table of predictions, and what has to be said about how it came about."""

    table: pd.DataFrame
    notes: list[str]


def read_foreign(
    path: str | os.PathLike,
    *,
    scale: Scale,
    columns: Mapping[str, str] | None = None,
    labels: str | os.PathLike | None = None,
    predicted_scale: Scale | None = None,
    only_common: bool = False,
) -> Foreign:
    """Read anybody's predictions.

    Arguments
    ---------
    path : path
        CSV with comma, semicolon or tab, UTF-8 with or without a byte order mark. Where labels
        stand in a second file, its columns ``valence``, ``EmoVal``, … are predictions; otherwise
        they are the truth, and predictions are named ``valence_predicted``, ``pred_EmoVal``, ….
    scale : Scale
        Of the labels; the table's.
    columns : mapping of str to str, optional
        Our column's name to that in the files, for what is not recognised: ``ID``, ``valence``, …,
        ``valence_predicted``, …, ``speaker``, ``gender``, ``emotion``, ``duration``, ``n_raters``.
        Each must be in one of the files at least.
    labels : path, optional
        CSV with the truth (MSP-Podcast's ``labels_consensus.csv``, say) and who speaks. Its lines
        are found by id; folders and an audio ending are left out of account where more ids meet
        without them.
    predicted_scale : Scale, optional
        Of the predictions, where it is another one. (default: ``scale``)
    only_common : bool
        Whether ids in one of two files only are left out, and counted in ``notes``, rather than
        refused.

    Returns
    -------
    Foreign
        ``table`` as ``read_predictions`` gives it, on ``scale``, with the octant of truth and of
        prediction, in the order of ``path``; and ``notes``.

    Raises
    ------
    ValueError
        If columns are not found or not told apart, a value is no number, ids are double or stand
        in one file only.
    """
    columns = dict(columns or {})
    raw = {"predictions": read_text_table(path)}
    if labels is not None:
        raw["labels"] = read_text_table(labels)
    _check_mapping(columns, raw)
    if labels is None:
        table, notes = _renamed(raw["predictions"], columns, path), []
        _require(table, ("ID", *PREDICTED, *DIMENSIONS), path, alone=True)
    else:
        mapping = {ours: theirs for ours, theirs in columns.items() if ours not in DIMENSIONS}
        table = _renamed(raw["predictions"], mapping, path)
        table, notes = _bare_are_predictions(table, path)
        _require(table, ("ID", *PREDICTED), path)
        mapping = {ours: theirs for ours, theirs in columns.items() if ours not in PREDICTED}
        truth = _renamed(raw["labels"], mapping, labels)
        truth = truth.drop(columns=[name for name in PREDICTED if name in truth])
        _require(truth, ("ID", *DIMENSIONS), labels)
        table, left_out = _joined(table, truth, only_common, Path(path), Path(labels))
        notes += left_out
    if doubles := repeated(table["ID"]):
        raise ValueError(f"Every id must stand in {path} once; {some(doubles)} more often.")
    return Foreign(_our_table(table, scale, predicted_scale, path), notes)


def _check_mapping(columns: Mapping[str, str], raw: Mapping[str, pd.DataFrame]) -> None:
    unknown = [name for name in columns if name not in USUAL]
    if unknown:
        raise ValueError(
            f"columns must name one of {', '.join(USUAL)} before the '='; found "
            f"{', '.join(unknown)}."
        )
    for ours, theirs in columns.items():
        if not any(theirs in table for table in raw.values()):
            heads = "; ".join(f"{role}: {', '.join(table)}" for role, table in raw.items())
            raise ValueError(
                f"columns says that {ours} is called {theirs!r}; no such column was found. There "
                f"are, in the {heads}."
            )


def _renamed(table: pd.DataFrame, columns: Mapping[str, str], path) -> pd.DataFrame:
    """Our names for what is mapped or recognised; every other column is left out."""
    mapped = {theirs: ours for ours, theirs in columns.items() if theirs in table}
    taken, names = set(mapped.values()), dict(mapped)
    for ours, usual in USUAL.items():
        candidates = [c for c in table if c.strip().lower() in usual and c not in mapped]
        exact = [c for c in candidates if c == ours]
        if ours in taken or not candidates:
            continue
        if len(candidates) > 1 and not exact:
            raise ValueError(
                f"{path} must have one column for {ours}; found {', '.join(candidates)}. Say which "
                f"with --columns='{ours}=…'."
            )
        names[(exact or candidates)[0]] = ours
    return table[list(names)].rename(columns=names)


def _bare_are_predictions(table: pd.DataFrame, path) -> tuple[pd.DataFrame, list[str]]:
    """In a file beside the labels ``valence`` is a prediction, unless there are both."""
    bare = [name for name in DIMENSIONS if name in table]
    both = [name for name in bare if f"{name}_predicted" in table]
    notes = [f"The truth is the labels'; not used: {', '.join(both)} of {path}."] if both else []
    names = {name: f"{name}_predicted" for name in bare}
    return table.drop(columns=both).rename(columns=names), notes


def _require(table: pd.DataFrame, names, path, *, alone: bool = False) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        hint = " Labels in a second file are given with --labels=FILE." if alone else ""
        raise ValueError(
            f"{path} must have columns for {', '.join(missing)}; recognised: "
            f"{', '.join(table) or 'none'}. Say what they are called with "
            f"--columns='{missing[0]}=…'.{hint}"
        )


def _joined(
    predictions: pd.DataFrame, labels: pd.DataFrame, only_common: bool, path: Path, other: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Predictions with the labels of the same id, and notes about ids in one file only."""
    ours, theirs = _join_keys(predictions["ID"], labels["ID"], path, other)
    common = set(ours) & set(theirs)
    sides = ((path, predictions["ID"], ours), (other, labels["ID"], theirs))
    lonely = {
        f"in {file.name} only": [i for i, key in zip(ids, keys, strict=True) if key not in common]
        for file, ids, keys in sides
    }
    notes = [f"{some(ids)} {where}" for where, ids in lonely.items() if ids]
    if notes and (not only_common or not common):
        advice = "--only_common takes those in both" if common else "Are they of the same set?"
        raise ValueError(
            f"Predictions and labels must be of the same utterances; {len(common):,} ids are in "
            f"both, {', '.join(notes)}. {advice}."
        )
    own = [name for name in labels if name != "ID"]
    table = predictions.drop(columns=[name for name in own if name in predictions])
    joined = table.assign(_key=ours).merge(labels[own].assign(_key=theirs), on="_key", how="inner")
    notes = [f"Left out, because labels and predictions were not both there: {n}." for n in notes]
    return joined.drop(columns="_key"), notes


def _join_keys(a: pd.Series, b: pd.Series, path: Path, other: Path) -> tuple[list, list]:
    """Ids as they stand, or without folders and audio endings where more of them meet so."""
    whole, bare = (list(a), list(b)), ([stem(name) for name in a], [stem(name) for name in b])
    usable = [pair for pair in (whole, bare) if not repeated(pair[0]) and not repeated(pair[1])]
    if not usable:
        for keys, file in zip(whole, (path, other), strict=True):
            if doubles := repeated(keys):
                raise ValueError(
                    f"Every id must stand in {file} once; {some(doubles)} stand there more often."
                )
        doubles = repeated(bare[0]) + repeated(bare[1])
        raise ValueError(f"Ids must differ in more than their folder; not so {some(doubles)}.")
    return max(usable, key=lambda pair: len(set(pair[0]) & set(pair[1])))


def _our_table(
    table: pd.DataFrame, scale: Scale, predicted_scale: Scale | None, path
) -> pd.DataFrame:
    """Numbers as numbers, predictions on the labels' scale, and the octants."""
    result = pd.DataFrame({"ID": table["ID"].tolist()})
    for name in (*KEPT, RATERS):
        if name in table:
            result[name] = table[name].tolist()
    for name in ("duration", *DIMENSIONS, *PREDICTED):
        if name in table:
            result[name] = [
                number(text, f"{name} of {i}", path)
                for i, text in zip(table["ID"], table[name], strict=True)
            ]
    if predicted_scale is not None and predicted_scale != scale:
        inside = predicted_scale.normalise(result[list(PREDICTED)].to_numpy(np.float64))
        result[list(PREDICTED)] = scale.restore(inside)
    regions = SphericalRegions(90)
    for column, names in (("region", DIMENSIONS), ("region_point", PREDICTED)):
        points = scale.normalise(result[list(names)].to_numpy(np.float64))
        result[column] = region_names(points, regions)
    return result
