"""Reader for your own data: a CSV table with one row per audio file and any label scale."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from data_prep.corpus import Corpus, Rejection, Utterance, speaker_key
from data_prep.own_data.labels import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SETS,
    iterate_rows,
    open_table,
    parse_labels,
    read_labels,
    split_name,
    unique_ids,
)
from data_prep.parsing.folders import (
    apply_exclusions,
    parse_drop_options,
    relative_audio_path,
    resolve_data_folder,
    resolve_user_path,
)
from data_prep.parsing.label_text import (
    parse_gender,
    truncate_text,
    unused_column_warnings,
)
from data_prep.partitions.cross_validation import speaker_k_fold
from data_prep.partitions.splits import split_speakers
from emosphere_sb.fileio.path_index import file_url_to_path
from emosphere_sb.scale import Scale

__all__ = ["NAME", "PARTITIONS", "WHOLE", "read", "read_labels"]

NAME = "OwnData"
LANGUAGE = ""
SPEECH = "the publisher's own recordings (no further information available)"
TERMS = (
    "Trained on the publisher's own data. Whether the weights may be shared depends on the terms "
    "of that data and on the consent of its speakers."
)
"""Implications of the terms of the data for sharing trained weights."""
PARTITIONS = ("split", "by_speaker", "folds", "whole")

WHOLE = {"partition": "whole"}
"""Settings for testing a model that was trained on another corpus."""


def read(
    data_folder: str | os.PathLike,
    *,
    labels_file: str | os.PathLike = "labels.csv",
    label_low: float | None = None,
    label_high: float | None = None,
    reversed_dimensions: str | Collection[str] = (),
    release: str | None = None,
    partition: str | None = None,
    fold: int = 1,
    folds: int = 5,
    partition_seed: int = 1,
    valid_share: float = 0.15,
    test_share: float = 0.15,
    drop_train: str | Collection[str] = (),
    drop_valid: str | Collection[str] = (),
    drop_test: str | Collection[str] = (),
) -> Corpus:
    """Read the corpus described by a table.

    Required columns are ``file`` (absolute or relative to the folder), ``valence``, ``arousal`` and
    ``dominance``. Optional columns are ``id``, ``speaker``, ``gender``, ``emotion``, ``session``,
    ``transcript``, and ``split`` (train, valid, test, test1, ...).

    Arguments
    ---------
    data_folder : path
        Folder with the table and the audio.
    labels_file : path
        Table, relative to ``data_folder`` or absolute.
    label_low, label_high : float
        Lower and upper end of the label scale.
    reversed_dimensions : str or collection of str
        Dimensions with a reversed scale.
    release : str, optional
        Name for this version of the data.
    partition : str, optional
        ``split`` uses the column ``split`` and is the default if that column exists.
        ``by_speaker``, the default otherwise, splits the speakers at random. ``folds`` is
        cross-validation with speaker-disjoint folds. ``whole`` uses all data as one test set.
        Without a column ``speaker``, each file is treated as a separate speaker.
    fold, folds : int
        Number of the fold, starting at 1, and number of folds, for ``folds``.
    partition_seed : int
        Random seed for ``by_speaker`` and ``folds``.
    valid_share, test_share : float
        Fractions of the speakers in the validation and test sets, for ``by_speaker``.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to exclude.

    Raises
    ------
    FileNotFoundError
        If the folder or the table is missing.
    ValueError
        If the scale is not given, or if the table or an option is invalid.
    """
    root = resolve_data_folder(data_folder)
    scale = _label_scale(label_low, label_high, reversed_dimensions)
    labels = resolve_user_path(root, labels_file, option="labels_file")
    corpus = Corpus(NAME, root, {}, scale, release=str(release) if release else None)
    corpus.inputs, corpus.audio_folders = [labels], [root]
    header, rows, split_words = _read_rows(corpus, labels)
    # Audio files outside the data folder are also checked for changes, but not their folders.
    elsewhere = sorted({row.path for _, row in rows if os.path.isabs(row.path)})
    corpus.audio_files = [Path(path) for path in elsewhere]
    if elsewhere:
        corpus.warnings.append(
            f"{len(elsewhere):,} audio files are outside the data folder (first: {elsewhere[0]})."
        )
    allowed = sorted({row.emotion.casefold() for _, row in rows} - {""})
    dropped = parse_drop_options(allowed, train=drop_train, valid=drop_valid, test=drop_test)
    partition = _select_partition(partition, header, labels)
    corpus.protocol["partition"] = partition
    use_folds = partition == "folds"
    if not use_folds and str(fold) != "1":
        raise ValueError(
            f"--fold must be 1, because the partition {partition!r} has no folds; found {fold!r}. "
            "Use --partition=folds for cross-validation over speakers."
        )
    if partition == "split":
        corpus.sets = _split_by_column(rows)
        corpus.warnings += _check_split_words(labels, split_words)
        corpus.warnings += _unknown_speaker_warnings([row for _, row in rows])
    elif partition == "whole":
        corpus.sets = {"test": [row for _, row in rows]}
        reason = "--partition=whole assigns all data to the 'test' set"
        corpus.empty_set_reasons = {"train": reason, "valid": reason}
    else:
        seed, shares = int(partition_seed), {"valid": float(valid_share), "test": float(test_share)}
        facts = {"fold": int(fold), "folds": int(folds)} if use_folds else {"shares": shares}
        corpus.protocol.update(facts, partition_seed=seed)
        if use_folds:  # runs with 5 and with 10 folds need separate folders
            corpus.protocol["partition"] = f"{int(folds)}_folds"
        corpus.empty_set_reasons = {
            name: f"--{name}_share=0 assigns no speakers to it"
            for name, share in shares.items()
            if not (share or use_folds)
        }
        _split_by_speaker(
            corpus,
            [row for _, row in rows],
            lambda groups: (
                speaker_k_fold(groups, folds=int(folds), seed=seed).set_by_group(fold)
                if use_folds
                else split_speakers(groups, seed=seed, shares=shares)
            ),
        )
    apply_exclusions(corpus, dropped)
    return corpus


def _select_partition(name: str | None, header: Collection[str], labels: Path) -> str:
    """Return the selected or default partition; check that the table supports it."""
    name = name or ("split" if "split" in header else "by_speaker")
    if name not in PARTITIONS:
        raise ValueError(f"--partition must be one of {', '.join(PARTITIONS)}; found {name!r}.")
    if name == "split" and "split" not in header:
        raise ValueError(
            f"--partition=split requires a column 'split', which {labels} lacks. Add the column or "
            "use --partition=by_speaker."
        )
    return name


def _label_scale(
    low: float | None, high: float | None, reversed_dimensions: str | Collection[str]
) -> Scale:
    """Return the label scale, which cannot be inferred from the labels."""
    if low is None or high is None:
        raise ValueError(
            "The two ends of the label scale are required; found "
            f"label_low={low}, label_high={high}. Pass, for example, --label_low=1 --label_high=7."
        )
    if isinstance(reversed_dimensions, str):
        reversed_dimensions = [
            word.strip() for word in reversed_dimensions.split(",") if word.strip()
        ]
    return Scale(low, high, tuple(reversed_dimensions))


def _read_rows(
    corpus: Corpus, labels: Path
) -> tuple[set[str], list[tuple[str, Utterance]], Counter[str]]:
    """Return the columns, the usable rows with the names of their sets, and the split words."""
    table = open_table(labels)
    header = table.header
    corpus.warnings += table.notes
    corpus.warnings += unused_column_warnings(labels, header, REQUIRED_COLUMNS + OPTIONAL_COLUMNS)
    found: list[tuple[str, str, dict[str, str]]] = []
    words: Counter[str] = Counter()
    for line, row, problem in iterate_rows(table):
        name = split_name(row["split"]) if row.get("split") else ""
        words[row.get("split", "")] += 1
        if not problem and "split" in header and not name:
            problem = f"unknown split: {row['split']!r}"
        path = f"{labels.name}:{line}"
        if row.get("file"):
            path = relative_audio_path(file_url_to_path(row["file"]), corpus.data_root)
        if problem:
            corpus.rejected.append(Rejection(path, problem, name))
        else:
            found.append((name, path, row))
    if not found and not corpus.rejected:
        raise ValueError(f"{labels} must contain rows, but it has only a header.")
    rows = _to_utterances(corpus, found)
    if not rows:
        first = corpus.rejected[0]
        raise ValueError(
            f"{labels} has no usable rows; all {len(corpus.rejected):,} were rejected "
            f"(first: {first.path}, {truncate_text(first.reason)})."
        )
    return set(header), rows, words


def _to_utterances(
    corpus: Corpus, found: list[tuple[str, str, dict[str, str]]]
) -> list[tuple[str, Utterance]]:
    """Convert rows with valid labels; the others are added to the rejections."""
    ids = unique_ids({path for _, path, _ in found})
    rows = []
    for name, path, row in found:
        try:
            vad = parse_labels(row)
        except ValueError as error:
            corpus.rejected.append(Rejection(path, str(error), name))
            continue
        texts = {key: row.get(key, "") for key in ("emotion", "speaker", "session", "transcript")}
        gender = parse_gender(row.get("gender", ""))
        rows.append(
            (name, Utterance(row.get("id") or ids[path], path, *vad, gender=gender, **texts))
        )
    return rows


def _split_by_column(rows: list[tuple[str, Utterance]]) -> dict[str, list[Utterance]]:
    """Split by the column ``split``: training, validation, then the test sets by name."""
    tests = sorted({name for name, _ in rows} - {"train", "valid"})
    return {name: [row for own, row in rows if own == name] for name in ("train", "valid", *tests)}


def _check_split_words(labels: Path, words: Mapping[str, int]) -> list[str]:
    """Check that the test set is not missing because its word is unknown.

    Missing training and validation sets are reported for all readers.

    Returns
    -------
    list of str
        A warning if there is no test set and some rows have an empty ``split``.

    Raises
    ------
    ValueError
        If no row belongs to a test set, although there are rows with unknown words.
    """
    if any(split_name(word).startswith("test") for word in words):
        return []
    unknown = {word: count for word, count in words.items() if word and not split_name(word)}
    if unknown:
        found = ", ".join(f"{word!r} ({count:,} rows)" for word, count in unknown.items())
        raise ValueError(
            f"The column 'split' of {labels} has no rows for a test set, but unknown words: "
            f"{found}. Known words are {', '.join(SETS)}, test1, test2, and so on. Correct the "
            "words, or use --partition=by_speaker."
        )
    if empty := words.get("", 0):
        return [f"There is no test set, and the column 'split' is empty in {empty:,} rows."]
    return []


def _unknown_speaker_warnings(rows: list[Utterance]) -> list[str]:
    """Return a warning if unknown speakers prevent the check for shared speakers."""
    unknown = sum(not speaker_key(row.speaker) for row in rows)
    if not unknown:
        return []
    return [
        f"{unknown:,} of {len(rows):,} files have no speaker, so it cannot be checked whether the "
        "sets share speakers."
    ]


def _split_by_speaker(
    corpus: Corpus, rows: list[Utterance], divide: Callable[[set[str]], dict[str, str]]
) -> None:
    """Split by speaker; ``divide`` assigns a set to each speaker."""
    # All spellings of a name are replaced with the first, so that a speaker is in only one set.
    names: dict[str, str] = {}
    for speaker in sorted({row.speaker for row in rows}):
        names.setdefault(speaker_key(speaker), speaker)
    known = [row for row in rows if speaker_key(row.speaker)]
    if rows and not known:
        corpus.warnings.append(
            "The speakers are unknown, so each file is treated as a separate speaker. Sets may "
            "share speakers, and results may be too optimistic. Add a column 'speaker'."
        )
    elif len(known) < len(rows):
        corpus.warnings.append(
            f"All {len(rows) - len(known)} files without a speaker are used for training."
        )
    groups = {row.path: names[speaker_key(row.speaker)] if known else row.path for row in rows}
    place = divide({groups[row.path] for row in known or rows})
    corpus.sets = {name: [] for name in ("train", "valid", "test") if name in place.values()}
    for row in rows:
        corpus.sets[place.get(groups[row.path], "train")].append(row)
    corpus.protocol["divided_by"] = "speaker" if known else "file"
    corpus.protocol["speakers"] = dict(Counter(place.values()))
