"""One's own data: a CSV with a row an audio file, on any scale that two numbers give."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.corpus import Corpus, Rejection, Utterance, speaker_key
from data_prep.parsing.folders import (
    corpus_folder,
    drop_lists,
    leave_out,
    named_entry,
    relative_path,
)
from data_prep.parsing.label_text import (
    parse_gender,
    parse_value,
    read_table,
    shortened,
    unused_columns,
)
from data_prep.partitions.cross_validation import speaker_folds
from data_prep.partitions.splits import divide_speakers
from emosphere_sb.scale import DIMENSIONS, Scale

NAME = "OwnData"
LANGUAGE = ""
SPEECH = "recordings of the releaser's own, of which nothing more is known here"
TERMS = (
    "Trained on data of the releaser's own: whether its weights may be shared follows from the "
    "terms of that data, and from what its speakers have agreed to."
)
"""What the data's terms mean for whoever shares weights."""
PARTITIONS = ("split", "by_speaker", "folds", "whole")
MISSING = frozenset({"na", "n/a", "null", "none"})
"""Words (in lower case) that tables have for a missing value, beside ``NaN`` and nothing."""

WHOLE = {"partition": "whole"}
"""What to set where a model that was trained elsewhere is tested on this corpus."""

REQUIRED = ("file", *DIMENSIONS)
OPTIONAL = ("id", "speaker", "gender", "emotion", "split", "session", "transcript")
SETS = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "development": "valid",
    "test": "test",
}
"""Words for a set, in lower case; ``test`` may have a number."""


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
    """The corpus that a table describes.

    Columns: ``file`` (relative to the folder, or absolute), ``valence``, ``arousal``,
    ``dominance``; where present ``id``, ``speaker``, ``gender``, ``emotion``, ``session``,
    ``transcript``, and ``split`` (train, valid, test, test1, ...).

    Arguments
    ---------
    data_folder : path
        Holds the table and the audio.
    labels_file : path
        The table, relative to ``data_folder`` or absolute.
    label_low, label_high : float
        The ends of the scale of the labels.
    reversed_dimensions : str or collection of str
        Dimensions stored upside down.
    release : str, optional
        A name for this state of the data.
    partition : str, optional
        ``split``: by the column ``split``, the default where there is one. ``by_speaker``: speakers
        are divided at random by shares, the default otherwise. ``folds``: cross-validation over
        speakers. ``whole``: all of it is one test set. Without a column ``speaker`` every file
        counts as a speaker of its own.
    fold, folds : int
        For ``folds``: which one, from 1, of how many.
    partition_seed, valid_share, test_share : int, float, float
        For ``by_speaker`` and ``folds``: the seed; for ``by_speaker``: the shares of speakers.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to leave out.

    Raises
    ------
    FileNotFoundError
        If the folder or the table is missing.
    ValueError
        If the scale is not given, or the table or an option cannot be used.
    """
    root = corpus_folder(data_folder)
    scale = _scale(label_low, label_high, reversed_dimensions)
    labels = named_entry(root, labels_file, option="labels_file")
    corpus = Corpus(NAME, root, {}, scale, release=str(release) if release else None)
    corpus.inputs, corpus.audio_folders = [labels], [root]
    header, rows = _rows(corpus, labels)
    # Audio elsewhere is watched for changes as well.
    elsewhere = {Path(row.path).parent for _, row in rows if os.path.isabs(row.path)}
    corpus.audio_folders += sorted(elsewhere)
    allowed = sorted({row.emotion.casefold() for _, row in rows} - {""})
    dropped = drop_lists(allowed, train=drop_train, valid=drop_valid, test=drop_test)
    partition = _partition(partition, header, labels)
    corpus.protocol["partition"] = partition
    folds_asked = partition == "folds"
    if not folds_asked and str(fold) != "1":
        raise ValueError(
            f"--fold must be 1: the partition {partition!r} has no folds; found {fold!r}. "
            "Cross-validation over speakers is --partition=folds."
        )
    if partition == "split":
        corpus.sets = _by_column(rows)
        corpus.warnings += _nameless([row for _, row in rows])
    elif partition == "whole":
        corpus.sets = {"test": [row for _, row in rows]}
        reason = "--partition=whole makes all of it the set 'test'"
        corpus.unfilled = {"train": reason, "valid": reason}
    else:
        seed, shares = int(partition_seed), {"valid": float(valid_share), "test": float(test_share)}
        facts = {"fold": int(fold), "folds": int(folds)} if folds_asked else {"shares": shares}
        corpus.protocol.update(facts, partition_seed=seed)
        if folds_asked:  # so that runs over 5 and over 10 folds have folders of their own
            corpus.protocol["partition"] = f"{int(folds)}_folds"
        corpus.unfilled = {
            name: f"--{name}_share=0 gives it no speaker"
            for name, share in shares.items()
            if not (share or folds_asked)
        }
        _by_speaker(
            corpus,
            [row for _, row in rows],
            lambda groups: (
                speaker_folds(groups, folds=int(folds), seed=seed).place(fold)
                if folds_asked
                else divide_speakers(groups, seed=seed, shares=shares)
            ),
        )
    leave_out(corpus, dropped)
    return corpus


def _partition(name: str | None, header: Collection[str], labels: Path) -> str:
    """The partition that is meant, if the table has what it needs."""
    name = name or ("split" if "split" in header else "by_speaker")
    if name not in PARTITIONS:
        raise ValueError(f"--partition must be one of {', '.join(PARTITIONS)}; found {name!r}.")
    if name == "split" and "split" not in header:
        raise ValueError(f"--partition=split needs a column split in {labels}; there is none.")
    return name


def _scale(
    low: float | None, high: float | None, reversed_dimensions: str | Collection[str]
) -> Scale:
    """The scale, which nobody can guess from the labels."""
    if low is None or high is None:
        raise ValueError(
            "The scale of the labels must be given by its two ends; found "
            f"label_low={low}, label_high={high}. Pass for instance --label_low=1 --label_high=7."
        )
    if isinstance(reversed_dimensions, str):
        reversed_dimensions = [
            word.strip() for word in reversed_dimensions.split(",") if word.strip()
        ]
    return Scale(low, high, tuple(reversed_dimensions))


def read_labels(
    path: str | os.PathLike, *, path_columns: Sequence[str] = ("file",)
) -> Iterable[tuple[int, dict[str, str], str]]:
    """The rows of a table.

    Arguments
    ---------
    path : path
        The table.
    path_columns : sequence of str
        Columns that may hold the path of the audio file; the first that the table has is read, and
        is called ``file`` in what is returned.

    Yields
    ------
    (int, dict of str to str, str)
        Line, values by the names of their columns in lower case, and why the row cannot be used
        (empty if it can).

    Raises
    ------
    ValueError
        If a column is missing, or the file is no CSV in UTF-8.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.csv"
    >>> _ = path.write_text("File,Valence,Arousal,Dominance\\na.wav,1,2,3\\n")
    >>> list(read_labels(path))
    [(2, {'file': 'a.wav', 'valence': '1', 'arousal': '2', 'dominance': '3'}, '')]
    """
    path = Path(path)
    names, _ = read_table(path, ())
    column = next((name for name in path_columns if name in names), " or ".join(path_columns))
    header, rows = read_table(path, (column, *DIMENSIONS), multiline=True)
    header[header.index(column)] = "file"
    for line, values in rows:
        row = dict(zip(header, values, strict=False))
        if len(values) != len(header):
            yield line, row, f"damaged row: line {line} has {len(values)} values, not {len(header)}"
        else:
            yield line, row, "" if row["file"] else f"no file name: line {line}"


def _rows(corpus: Corpus, labels: Path) -> tuple[set[str], list[tuple[str, Utterance]]]:
    """Columns of the table, and its usable rows, each with the name of its set."""
    header, _ = read_table(labels, REQUIRED)
    corpus.warnings += unused_columns(labels, header, REQUIRED + OPTIONAL)
    found: list[tuple[str, str, dict[str, str]]] = []
    for line, row, problem in read_labels(labels):
        name = set_name(row["split"]) if row.get("split") else ""
        if not problem and "split" in header and not name:
            problem = f"unknown split: {row['split']!r}"
        path = f"{labels.name}:{line}"
        if row.get("file"):
            path = relative_path(row["file"], corpus.data_root)
        if problem:
            corpus.rejected.append(Rejection(path, problem, name))
        else:
            found.append((name, path, row))
    if not found and not corpus.rejected:
        raise ValueError(f"{labels} must hold rows; it has only a header.")
    rows = _utterances(corpus, found)
    if not rows:
        first = corpus.rejected[0]
        raise ValueError(
            f"{labels} must hold rows that can be used; found none in "
            f"{len(corpus.rejected):,} (first: {first.path}, {shortened(first.reason)})."
        )
    return set(header), rows


def set_name(word: str) -> str:
    """The set that a word in the column ``split`` means; empty if none.

    Example
    -------
    >>> set_name("Dev"), set_name("test2"), set_name("later")
    ('valid', 'test2', '')
    """
    word = word.casefold()
    stem = word.rstrip("0123456789")
    return word if stem == "test" else SETS.get(word, "")


def _utterances(
    corpus: Corpus, found: list[tuple[str, str, dict[str, str]]]
) -> list[tuple[str, Utterance]]:
    """Rows with parsed labels; the others become rejections."""
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


def parse_labels(row: Mapping[str, str]) -> list[float | None]:
    """Valence, arousal and dominance of a row; None where the table has no value.

    Raises
    ------
    ValueError
        If a label is no finite number.

    Example
    -------
    >>> parse_labels({"valence": "2.5", "arousal": "n/a", "dominance": ""})
    [2.5, None, None]
    """
    return [
        None if row[name].casefold() in MISSING else parse_value(row[name], name)
        for name in DIMENSIONS
    ]


def unique_ids(paths: Iterable[str]) -> dict[str, str]:
    """An id for each path: the path without its ending, ``-`` for ``/``, numbered where needed.

    Example
    -------
    >>> unique_ids(["s1/a.wav", "s1-a.wav", "b.flac"])
    {'b.flac': 'b', 's1-a.wav': 's1-a', 's1/a.wav': 's1-a-2'}
    """
    ids: dict[str, str] = {}
    used: set[str] = set()
    for path in sorted(paths):
        base = os.path.splitext(path)[0].strip("/").replace("/", "-")
        name, number = base, 1
        while name in used:
            number += 1
            name = f"{base}-{number}"
        used.add(name)
        ids[path] = name
    return ids


def _by_column(rows: list[tuple[str, Utterance]]) -> dict[str, list[Utterance]]:
    """Sets as the table has them: training, validation, then the test sets by name."""
    tests = sorted({name for name, _ in rows} - {"train", "valid"})
    return {name: [row for own, row in rows if own == name] for name in ("train", "valid", *tests)}


def _nameless(rows: list[Utterance]) -> list[str]:
    """A warning if the guard against shared speakers does not see all voices."""
    nameless = sum(not speaker_key(row.speaker) for row in rows)
    if not nameless:
        return []
    return [
        f"{nameless:,} of {len(rows):,} files have no speaker: whether their voices are in several "
        "sets cannot be checked."
    ]


def _by_speaker(
    corpus: Corpus, rows: list[Utterance], divide: Callable[[set[str]], dict[str, str]]
) -> None:
    """Sets by a random division of the speakers, which ``divide`` makes."""
    # Of spellings of one name the first stands for all: a person is in one set.
    names: dict[str, str] = {}
    for speaker in sorted({row.speaker for row in rows}):
        names.setdefault(speaker_key(speaker), speaker)
    known = [row for row in rows if speaker_key(row.speaker)]
    if rows and not known:
        corpus.warnings.append(
            "No speakers are named: each file counts as a speaker of its own, so that sets may "
            "share voices and results come out too good. Add a column speaker."
        )
    elif len(known) < len(rows):
        corpus.warnings.append(
            f"{len(rows) - len(known)} files without a speaker are all used for training."
        )
    groups = {row.path: names[speaker_key(row.speaker)] if known else row.path for row in rows}
    place = divide({groups[row.path] for row in known or rows})
    corpus.sets = {name: [] for name in ("train", "valid", "test") if name in place.values()}
    for row in rows:
        corpus.sets[place.get(groups[row.path], "train")].append(row)
    corpus.protocol["divided_by"] = "speaker" if known else "file"
    corpus.protocol["speakers"] = dict(Counter(place.values()))
