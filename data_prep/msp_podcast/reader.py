"""Reader for MSP-Podcast, releases 1.6 to 2.0 and the Interspeech 2025 challenge.

The label file lists activation, valence and dominance, in that order. They are read by column name.
Test1 and Test2 are separate sets. The labels of Test3 are hidden, so it can only be predicted.
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
from data_prep.msp_podcast.labels import (
    EMOTIONS,
    KNOWN_COLUMNS,
    Label,
    open_labels,
    parse_labels,
    read_labels,
)
from data_prep.msp_podcast.raters import add_raters, read_raters
from data_prep.parsing.folders import (
    apply_exclusions,
    candidate_paths,
    differing_file_warnings,
    find_entry,
    list_names,
    parse_drop_options,
    relative_audio_path,
    resolve_data_folder,
    resolve_user_path,
)
from data_prep.parsing.label_text import unused_column_warnings
from data_prep.partitions.splits import sample_per_class
from emosphere_sb.scale import Scale

__all__ = ["NAME", "SCALE", "Label", "read", "read_labels", "read_raters", "recognise_release"]

NAME = "MSP-Podcast"
LANGUAGE = "en"
SPEECH = "English podcasts: spontaneous and prepared speech, rated by listeners from the audio"
TERMS = (
    "MSP-Podcast is licensed under an agreement with the University of Texas at Dallas. Contact "
    "its owners before sharing weights trained on it. The public audEERING model that was trained "
    "on it is licensed under CC BY-NC-SA 4.0, which excludes commercial use."
)
"""Implications of the corpus's terms for sharing trained weights, based on public information."""
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
"""Name of the set for each ``Split_Set`` in the label files (in lower case)."""

SAMPLED_CLASSES = tuple(word for letter, word in EMOTIONS.items() if letter not in "OX")
"""The eight classes from which the validation set of the paper is sampled."""

RELEASES = {
    "1.11": {"Train": 84030, "Development": 19815, "Test1": 30647, "Test2": 14815},
    "IS2025": {"Train": 84260, "Development": 31961},
    "2.0": {"Train": 169190, "Development": 34399, "Test1": 46294, "Test2": 14822},
}
"""Number of rows of each ``Split_Set``, from which the release is detected."""

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
"""Possible paths of the text file and of the table with the individual ratings."""

AUDIO_FOLDERS = ("Audios", "Audio")
PARTITIONS = ("official", "paper")
PARTITION_FILES = (
    "Partitions.txt",
    "Labels/Partitions.txt",
    "Partition.txt",
    "Labels/Partition.txt",
)
"""Possible paths of the list of sets. The readme of release 1.12 calls it ``Partition.txt``."""
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
    """Read the corpus. Any release and any capitalisation of folder names are accepted.

    Arguments
    ---------
    data_folder : path
        Folder with ``Audios`` and ``Labels``.
    audio_folder, labels_file : path, optional
        Audio folder and label file if their names differ from the standard ones; absolute or
        relative to ``data_folder``.
    release : str, optional
        Release of the corpus. By default it is detected from the numbers of rows, if possible.
    partition : str
        ``official``, or ``paper``: the validation set is sampled from the eight classes of the
        Development set, and the remaining utterances are the in-house test set ``test``.
    partition_seed, partition_per_class : int
        Random seed and number of utterances per class for the partition ``paper``.
    raters : bool
        Whether to read the individual ratings (``labels.txt`` or ``labels_detailed.csv``) for the
        rater count, SDs and votes of each utterance. This takes some time.
    drop_train, drop_valid, drop_test : str or collection of str
        Emotions to exclude, such as ``other`` and ``no_agreement``.

    Raises
    ------
    FileNotFoundError
        If the folder, the audio, the label file, or (with ``raters``) the file of individual
        ratings is missing.
    ValueError
        If the label file or an option is invalid.
    """
    root = resolve_data_folder(data_folder)
    audio = _audio_folder(root, audio_folder)
    labels = _labels_file(root, labels_file)
    partitions = find_entry(root, PARTITION_FILES)
    dropped = parse_drop_options(
        EMOTIONS.values(), train=drop_train, valid=drop_valid, test=drop_test
    )
    corpus = Corpus(NAME, root, {}, SCALE, official_split=True, audio_folders=[audio])
    _add_inputs(corpus, partitions, PARTITION_FILES)
    if labels_file:
        corpus.inputs.append(labels)
    else:
        _add_inputs(corpus, labels, LABEL_FILES)
    corpus.protocol["partition"] = partition
    splits = _fill_sets(corpus, labels, audio)
    if raters:
        single = _raters_file(root)
        for names in RATER_FILES:
            _add_inputs(corpus, single, names)
        add_raters(corpus, single)
    _apply_partition(corpus, partition, int(partition_seed), int(partition_per_class))
    apply_exclusions(corpus, dropped)
    _add_test3(corpus, audio, partitions)
    _set_release(corpus, release, recognise_release(splits))
    return corpus


def _add_inputs(corpus: Corpus, taken: Path | None, names: Sequence[str]) -> None:
    """Add the candidates for a file to the inputs, and warn if their contents differ."""
    places = candidate_paths(corpus.data_root, names)
    corpus.inputs += places
    if taken in places:
        corpus.warnings += differing_file_warnings(taken, places)


def _set_release(corpus: Corpus, given: str | None, recognised: str | None) -> None:
    """Set the release; warn if it is unknown or does not match the numbers of rows."""
    corpus.release = str(given) if given else recognised
    if corpus.release is None:
        corpus.warnings.append(
            "Unknown release: the numbers of rows match no known release. Labels change between "
            "releases, so specify it with --release and report it with each result."
        )
    elif recognised not in (None, corpus.release):
        corpus.warnings.append(
            f"The release is given as {corpus.release}, but the numbers of rows match "
            f"{recognised}. Check --release."
        )


def recognise_release(splits: dict[str, int]) -> str | None:
    """Detect the release from the numbers of rows; return None if none matches exactly.

    Arguments
    ---------
    splits : dict of str to int
        Number of rows of each ``Split_Set``.

    Example
    -------
    >>> recognise_release({"Train": 84260, "Development": 31961})
    'IS2025'
    """
    return next((name for name, counts in RELEASES.items() if counts == splits), None)


def _audio_folder(root: Path, given: str | os.PathLike | None) -> Path:
    """Find the folder with the wav files."""
    if given:
        return resolve_user_path(root, given, option="audio_folder", is_folder=True)
    folder = find_entry(root, AUDIO_FOLDERS, is_folder=True)
    if folder is None:
        raise FileNotFoundError(
            f"{root} must contain a folder Audios (or Audio); found {list_names(root)}. "
            "Check --data_folder or specify the folder with --audio_folder."
        )
    with os.scandir(folder) as entries:
        if any(entry.name.lower().endswith(".wav") for entry in entries):
            return folder
    # In some copies the wav files are one level deeper.
    return find_entry(folder, AUDIO_FOLDERS, is_folder=True) or folder


def _labels_file(root: Path, given: str | os.PathLike | None) -> Path:
    """Find the file of consensus labels, in either spelling."""
    if given:
        return resolve_user_path(root, given, option="labels_file")
    file = find_entry(root, LABEL_FILES)
    if file is None:
        raise FileNotFoundError(
            f"{root} must contain Labels/labels_consensus.csv (or labels_concensus.csv); found "
            f"{list_names(root)}. Check --data_folder or specify the file with --labels_file."
        )
    return file


def _raters_file(root: Path) -> Path:
    """Find the file with the individual ratings."""
    file = find_entry(root, list(chain.from_iterable(RATER_FILES)))
    if file is None:
        raise FileNotFoundError(
            f"{root} must contain {' or '.join(names[0] for names in RATER_FILES)} for the "
            f"individual ratings; found {list_names(root)}. Use --raters=False to skip them."
        )
    return file


def _fill_sets(corpus: Corpus, labels: Path, audio: Path) -> dict[str, int]:
    """Read the label file into sets; return the number of rows of each ``Split_Set``."""
    table = open_labels(labels)
    corpus.warnings += table.notes
    corpus.warnings += unused_column_warnings(labels, table.header, KNOWN_COLUMNS)
    folder = relative_audio_path(audio, corpus.data_root)
    splits: Counter[str] = Counter()
    found: dict[str, list[Utterance]] = {}
    for label in parse_labels(table):
        splits[label.split.capitalize()] += 1
        name = SETS.get(label.split.casefold(), "")
        problem = label.problem or ("" if name else f"unknown partition: {label.split!r}")
        path = posixpath.join(folder, label.file) if label.file else f"{labels.name}:{label.line}"
        if problem:
            corpus.rejected.append(Rejection(path, problem, name))
        else:
            found.setdefault(name, []).append(_to_utterance(label, path))
    if not splits:
        raise ValueError(f"{labels} must contain rows, but it has only a header.")
    if "test" in found and {"test1", "test2"} & found.keys():
        # No release has Test as well as Test1, so "Test" is a truncated Test1 or Test2.
        cut = [Rejection(row.path, "unknown partition: 'Test'") for row in found.pop("test")]
        corpus.rejected += cut
    corpus.sets = {name: found[name] for name in dict.fromkeys(SETS.values()) if name in found}
    return dict(splits)


def _to_utterance(label: Label, path: str) -> Utterance:
    """Convert a usable row."""
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


def _apply_partition(corpus: Corpus, partition: str, seed: int, per_class: int) -> None:
    """Split the Development set as in the paper, for ``partition="paper"``."""
    if partition not in PARTITIONS:
        raise ValueError(f"--partition must be {' or '.join(PARTITIONS)}; found {partition!r}.")
    if partition == "official":
        return
    development = corpus.sets.get("valid", [])
    existing = {row.emotion for row in development}
    absent = [word for word in SAMPLED_CLASSES if word not in existing]
    if 0 < len(absent) < len(SAMPLED_CLASSES):
        corpus.warnings.append(
            f"The Development set has no utterances of {', '.join(absent)}, so the validation set "
            f"has none either: this is not the partition of the paper, which has all "
            f"{len(SAMPLED_CLASSES)} classes."
        )
        sampled = [word for word in SAMPLED_CLASSES if word in existing]
    else:
        sampled = SAMPLED_CLASSES
    chosen = sample_per_class(development, sampled, seed=seed, per_class=per_class)
    sets = {"train": corpus.sets.get("train", [])}
    sets["valid"] = [row for row in development if row.id in chosen]
    sets["test"] = [row for row in development if row.id not in chosen]
    for name, rows in corpus.sets.items():
        if name.startswith("test"):
            # "test" is the in-house set, so the only test set of release 1.6 becomes "test1".
            sets["test1" if name == "test" else name] = rows
    corpus.sets = sets
    corpus.protocol.update(partition_seed=seed, partition_per_class=per_class)


def _add_test3(corpus: Corpus, audio: Path, partitions: Path | None) -> None:
    """Add the test set of the challenge, from ``Partitions.txt`` and the audio file names."""
    files = {name for name in os.listdir(audio) if _TEST3.fullmatch(name)}
    files.update(_partition_files(partitions, "test3") if partitions else ())
    folder = relative_audio_path(audio, corpus.data_root)
    rows = [
        Utterance(os.path.splitext(name)[0], posixpath.join(folder, name)) for name in sorted(files)
    ]
    if rows and "test3" not in corpus.sets:
        corpus.sets["test3"] = rows
        corpus.predict_only = ("test3",)


def _partition_files(path: Path, wanted: str) -> Iterator[str]:
    """Yield the file names of one set; lines without a semicolon are headings."""
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        name, semicolon, file = line.partition(";")
        if semicolon and name.strip().casefold() == wanted and file.strip():
            yield file.strip()
