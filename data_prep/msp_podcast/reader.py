"""MSP-Podcast, releases 1.6 to 2.0 and the Interspeech 2025 challenge: label files to utterances.

The label file orders the dimensions activation, valence, dominance; they are taken by the names of
their columns. Test1 and Test2 stay separate sets; Test3, whose labels are hidden, can only be
predicted.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path

from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.msp_podcast.labels import COLUMNS, EMOTIONS, Label, read_labels
from data_prep.msp_podcast.raters import add_raters, read_raters
from data_prep.parsing.folders import (
    corpus_folder,
    drop_lists,
    find_entry,
    leave_out,
    named_entry,
    names_in,
    relative_path,
    spellings,
    unequal,
)
from data_prep.parsing.label_text import read_table, unused_columns
from data_prep.partitions.splits import draw
from emosphere_sb.scale import Scale

__all__ = ["NAME", "SCALE", "Label", "read", "read_labels", "read_raters", "recognise"]

NAME = "MSP-Podcast"
LANGUAGE = "en"
SPEECH = "English podcasts: spontaneous and prepared speech, rated by listeners from its sound"
TERMS = (
    "MSP-Podcast is given under an agreement with the University of Texas at Dallas: ask its "
    "owners before sharing weights trained on it. The public model of audEERING that was trained "
    "on it is shared under CC BY-NC-SA 4.0, that is not for commercial use."
)
"""What the corpus's terms mean for whoever shares weights, as far as public text says it."""
SCALE = Scale(1, 7)

SETS = {
    "train": "train",
    "validation": "valid",
    "development": "valid",
    "test": "test",
    "test1": "test1",
    "test2": "test2",
    "test3": "test3",
}
"""Split_Set of the label files, in lower case, to the names of the sets here."""

DRAWN = tuple(word for letter, word in EMOTIONS.items() if letter not in "OX")
"""The eight classes of which the paper draws its validation set."""

RELEASES = {
    "1.11": {"Train": 84030, "Development": 19815, "Test1": 30647, "Test2": 14815},
    "IS2025": {"Train": 84260, "Development": 31961},
    "2.0": {"Train": 169190, "Development": 34399, "Test1": 46294, "Test2": 14822},
}
"""Rows of each Split_Set, by which a release is recognised."""

LABEL_FOLDERS = ("Labels", "Label", ".")
LABEL_FILES = [
    f"{folder}/{name}"
    for name in ("labels_consensus.csv", "labels_concensus.csv")
    for folder in LABEL_FOLDERS
]
RATER_FILES = [
    [f"{folder}/{name}" for folder in LABEL_FOLDERS]
    for name in ("labels.txt", "labels_detailed.csv")
]
"""The text and the table with the single raters, each wherever it may be."""

AUDIO_FOLDERS = ("Audios", "Audio")
PARTITIONS = ("official", "paper")
PARTITION_FILES = (
    "Partitions.txt",
    "Labels/Partitions.txt",
    "Partition.txt",
    "Labels/Partition.txt",
)
"""The list of sets; the readme of release 1.12 has it without the s."""
_TEST3 = re.compile(r"msp-podcast_test3_\d+\.wav", re.IGNORECASE)


def read(
    data_folder: str | os.PathLike,
    *,
    audio_folder: str | os.PathLike | None = None,
    labels_file: str | os.PathLike | None = None,
    release: str | None = None,
    partition: str = "official",
    partition_seed: int = 1,
    partition_per_class: int = 300,
    raters: bool = False,
    drop_train: str | Collection[str] = (),
    drop_valid: str | Collection[str] = (),
    drop_test: str | Collection[str] = (),
) -> Corpus:
    """The corpus in a folder, whatever its release and the case of its folders' names.

    Arguments
    ---------
    data_folder : path
        Holds ``Audios`` and ``Labels``.
    audio_folder, labels_file : path, optional
        Where they are if not found, relative to ``data_folder`` or absolute.
    release : str, optional
        Which release this is; recognised from the number of rows where that tells.
    partition : str
        ``official``, or ``paper``: of the Development set some utterances of each of the eight
        classes are the validation set and the rest is the in-house test set, ``test``.
    partition_seed, partition_per_class : int
        For ``paper``: which ones, and how many.
    raters : bool
        Whether to read the single raters as well (``labels.txt`` or ``labels_detailed.csv``), for
        each utterance's number of raters, spread and votes. It takes a while.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to leave out, such as ``other`` and ``no_agreement``.

    Raises
    ------
    FileNotFoundError
        If the folder, the audio, the label file, or with ``raters`` theirs is missing.
    ValueError
        If the label file or an option cannot be used.
    """
    root = corpus_folder(data_folder)
    audio = _audio_folder(root, audio_folder)
    labels = _labels_file(root, labels_file)
    partitions = find_entry(root, PARTITION_FILES)
    dropped = drop_lists(EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test)
    corpus = Corpus(NAME, root, {}, SCALE, official_split=True, audio_folders=[audio])
    _add_inputs(corpus, partitions, PARTITION_FILES)
    if labels_file:
        corpus.inputs.append(labels)
    else:
        _add_inputs(corpus, labels, LABEL_FILES)
    corpus.protocol["partition"] = partition
    splits = _fill(corpus, labels, audio)
    if raters:
        single = _raters_file(root)
        for names in RATER_FILES:
            _add_inputs(corpus, single, names)
        add_raters(corpus, single)
    _divide(corpus, partition, int(partition_seed), int(partition_per_class))
    leave_out(corpus, dropped)
    _add_test3(corpus, audio, partitions)
    _name_release(corpus, release, recognise(splits))
    return corpus


def _add_inputs(corpus: Corpus, taken: Path | None, names: Sequence[str]) -> None:
    """Notes all spellings of a file, and warns of those that differ from the one that is read."""
    places = spellings(corpus.data_root, names)
    corpus.inputs += places
    if taken in places:
        corpus.warnings += unequal(taken, places)


def _name_release(corpus: Corpus, given: str | None, recognised: str | None) -> None:
    """Sets the release, and warns where it is unknown or contradicts the number of rows."""
    corpus.release = str(given) if given else recognised
    if corpus.release is None:
        corpus.warnings.append(
            "The release is not known (the numbers of rows fit none), but labels change between "
            "releases: name it with --release, since every result must name it."
        )
    elif recognised not in (None, corpus.release):
        corpus.warnings.append(
            f"The release is named {corpus.release}, but the numbers of rows are those of "
            f"{recognised}."
        )


def recognise(splits: dict[str, int]) -> str | None:
    """The release whose label file has exactly these numbers of rows; None if there is none.

    Arguments
    ---------
    splits : dict of str to int
        Rows of each Split_Set.

    Example
    -------
    >>> recognise({"Train": 84260, "Development": 31961})
    'IS2025'
    """
    return next((name for name, counts in RELEASES.items() if counts == splits), None)


def _audio_folder(root: Path, given: str | os.PathLike | None) -> Path:
    """The folder with the wav files."""
    if given:
        return named_entry(root, given, option="audio_folder", is_folder=True)
    folder = find_entry(root, AUDIO_FOLDERS, is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{root} must hold a folder Audios (or Audio); found {names_in(root)}. "
            "Check --data_folder, or name the folder with --audio_folder."
        )
    with os.scandir(folder) as entries:
        if any(entry.name.lower().endswith(".wav") for entry in entries):
            return folder
    # Some copies have the wav files one folder further down.
    return find_entry(folder, AUDIO_FOLDERS, is_folder=True) or folder


def _labels_file(root: Path, given: str | os.PathLike | None) -> Path:
    """The consensus labels, in either spelling."""
    if given:
        return named_entry(root, given, option="labels_file")
    file = find_entry(root, LABEL_FILES)
    if file is None:
        raise FileNotFoundError(
            f"{root} must hold Labels/labels_consensus.csv (or labels_concensus.csv); found "
            f"{names_in(root)}. Check --data_folder, or name the file with --labels_file."
        )
    return file


def _raters_file(root: Path) -> Path:
    """The file with the single raters."""
    file = find_entry(root, list(chain.from_iterable(RATER_FILES)))
    if file is None:
        raise FileNotFoundError(
            f"{root} must hold {' or '.join(names[0] for names in RATER_FILES)} for the "
            f"single raters; found {names_in(root)}. Use --raters=False to do without them."
        )
    return file


def _fill(corpus: Corpus, labels: Path, audio: Path) -> dict[str, int]:
    """Puts the label file's rows into sets; returns the number of rows of each Split_Set."""
    corpus.warnings += unused_columns(labels, read_table(labels, COLUMNS)[0], COLUMNS)
    folder = relative_path(audio, corpus.data_root)
    splits: Counter[str] = Counter()
    found: dict[str, list[Utterance]] = {}
    for label in read_labels(labels):
        splits[label.split.capitalize()] += 1
        name = SETS.get(label.split.casefold(), "")
        problem = label.problem or ("" if name else f"unknown partition: {label.split!r}")
        path = posixpath.join(folder, label.file) if label.file else f"{labels.name}:{label.line}"
        if problem:
            corpus.rejected.append(Rejection(path, problem, name))
        else:
            found.setdefault(name, []).append(_utterance(label, path))
    if not splits:
        raise ValueError(f"{labels} must hold rows; it has only a header.")
    if "test" in found and {"test1", "test2"} & found.keys():
        # No release has both: this is what is left of Test1 or Test2 in a line that is cut off.
        cut = [Rejection(row.path, "unknown partition: 'Test'") for row in found.pop("test")]
        corpus.rejected += cut
    corpus.sets = {name: found[name] for name in dict.fromkeys(SETS.values()) if name in found}
    return dict(splits)


def _utterance(label: Label, path: str) -> Utterance:
    """A usable row."""
    return Utterance(
        os.path.splitext(label.file)[0],
        path,
        label.valence,
        label.arousal,
        label.dominance,
        emotion=label.emotion,
        speaker=label.speaker,
        gender=label.gender,
    )


def _divide(corpus: Corpus, partition: str, seed: int, per_class: int) -> None:
    """The paper's division of the Development set, if it is asked for."""
    if partition not in PARTITIONS:
        raise ValueError(f"--partition must be {' or '.join(PARTITIONS)}; found {partition!r}.")
    if partition == "official":
        return
    development = corpus.sets.get("valid", [])
    chosen = draw(development, DRAWN, seed=seed, per_class=per_class)
    sets = {"train": corpus.sets.get("train", [])}
    sets["valid"] = [row for row in development if row.id in chosen]
    sets["test"] = [row for row in development if row.id not in chosen]
    for name, rows in corpus.sets.items():
        if name.startswith("test"):
            # The in-house set takes the name test: release 1.6's only test set moves to test1.
            sets["test1" if name == "test" else name] = rows
    corpus.sets = sets
    corpus.protocol.update(partition_seed=seed, partition_per_class=per_class)


def _add_test3(corpus: Corpus, audio: Path, partitions: Path | None) -> None:
    """The challenge's test set, from ``Partitions.txt`` and from the names of the audio files."""
    files = {name for name in os.listdir(audio) if _TEST3.fullmatch(name)}
    files.update(_partition_files(partitions, "test3") if partitions else ())
    folder = relative_path(audio, corpus.data_root)
    rows = [
        Utterance(os.path.splitext(name)[0], posixpath.join(folder, name)) for name in sorted(files)
    ]
    if rows and "test3" not in corpus.sets:
        corpus.sets["test3"] = rows
        corpus.predict_only = ("test3",)


def _partition_files(path: Path, wanted: str) -> Iterator[str]:
    """Names of the files of one set; lines without a semicolon are headings."""
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        name, semicolon, file = line.partition(";")
        if semicolon and name.strip().casefold() == wanted and file.strip():
            yield file.strip()
