"""Functions shared by the corpus readers: finding files and folders, and excluding classes."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.corpus import Corpus, ExcludedRow, Utterance


def resolve_data_folder(data_folder: str | os.PathLike) -> Path:
    """Return the absolute path of the data folder, with ``~`` expanded.

    Arguments
    ---------
    data_folder : path
        Folder given on the command line.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or is a file.
    """
    folder = Path(os.path.abspath(Path(data_folder).expanduser()))
    if not folder.exists():
        raise FileNotFoundError(f"Data folder {folder} does not exist. Check --data_folder.")
    if not folder.is_dir():
        raise FileNotFoundError(f"--data_folder must be a folder; {folder} is a file.")
    return folder


def list_names(folder: Path) -> str:
    """List the first few names in a folder, for an error message."""
    names = sorted(os.listdir(folder))
    return ", ".join(names[:8]) + ", ..." * (len(names) > 8) if names else "nothing"


def relative_audio_path(path: str | os.PathLike, root: Path) -> str:
    """Return an audio path in the form of :attr:`Utterance.path`, with ``/`` as separator.

    The path is relative to the corpus folder, or absolute if the file is outside that folder.

    Arguments
    ---------
    path : path
        Path, absolute or relative to ``root``.
    root : pathlib.Path
        Folder of the corpus.

    Example
    -------
    >>> relative_audio_path("./wav/../a.wav", Path("/data"))
    'a.wav'
    >>> relative_audio_path("/else/a.wav", Path("/data"))
    '/else/a.wav'
    """
    path = Path(os.path.normpath(root / path))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def find_entry(folder: Path, names: Sequence[str], *, is_folder: bool = False) -> Path | None:
    """Find the first of several names that exists in a folder, ignoring case.

    Arguments
    ---------
    folder : pathlib.Path
        Folder to search; subfolders are not searched.
    names : sequence of str
        Names in order of preference; ``a/b`` is the entry ``b`` in the subfolder ``a``.
    is_folder : bool
        Whether to find a folder instead of a file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "Labels").mkdir()
    >>> find_entry(folder, ["label", "labels"], is_folder=True).name
    'Labels'
    >>> find_entry(folder, ["labels"]) is None
    True
    """
    for name in names:
        found = folder
        for part in name.split("/"):
            found = _entry(found, part)
            if found is None:
                break
        if found is not None and found.is_dir() == is_folder:
            return found
    return None


def _entry(folder: Path, name: str) -> Path | None:
    """Find one entry by name; an exact match is preferred to one that differs in case."""
    return folder / name if (folder / name).exists() else next(iter(_entries(folder, name)), None)


def _entries(folder: Path, name: str) -> list[Path]:
    """Find all entries with a name, ignoring case."""
    if name == "." or not folder.is_dir():
        return [folder] * (name == ".")
    wanted = name.casefold()
    return [folder / found for found in sorted(os.listdir(folder)) if found.casefold() == wanted]


def candidate_paths(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return all paths that :func:`find_entry` considers, including files that do not exist.

    They are the inputs of a corpus, because a file created later may be preferred to the one that
    was read.

    Arguments
    ---------
    folder : pathlib.Path
        Folder to search.
    names : iterable of str
        Names; see :func:`find_entry`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "labels").mkdir()
    >>> [path.relative_to(folder).as_posix() for path in candidate_paths(folder, ["Labels/a.csv"])]
    ['labels/a.csv', 'Labels/a.csv']
    """
    places: list[Path] = []
    for name in names:
        found = [folder]
        for part in name.split("/"):
            # The existing spellings and the official one.
            found = [path for own in found for path in (*_entries(own, part), own / part)]
        places += found
    return list(dict.fromkeys(places))


def differing_file_warnings(taken: Path, others: Iterable[Path]) -> list[str]:
    """Return warnings about alternative files whose contents differ from the file that is read.

    Arguments
    ---------
    taken : pathlib.Path
        File that is read.
    others : iterable of pathlib.Path
        Alternatives; see :func:`candidate_paths`.
    """
    return [
        f"{taken} is used, but {other} also exists and has different contents. Remove one of them."
        for other in others
        if other != taken and other.is_file() and not filecmp.cmp(taken, other, shallow=False)
    ]


def resolve_user_path(
    folder: Path, name: str | os.PathLike, *, option: str, is_folder: bool = False
) -> Path:
    """Return the absolute path of a file or folder given by the user.

    Arguments
    ---------
    folder : pathlib.Path
        Folder of the corpus, to which ``name`` may be relative.
    name : path
        Path given by the user.
    option : str
        Name of the option, for the error message.
    is_folder : bool
        Whether the path must be a folder instead of a file.

    Raises
    ------
    FileNotFoundError
        If the path does not exist or has the wrong type.
    """
    path = Path(os.path.abspath(folder / Path(name).expanduser()))
    if not (path.is_dir() if is_folder else path.is_file()):
        kind = "folder" if is_folder else "file"
        problem = f"is not a {kind}" if path.exists() else "does not exist"
        raise FileNotFoundError(
            f"--{option} must be the path of a {kind}, absolute or relative to {folder}; "
            f"{path} {problem}."
        )
    return path


def parse_classes(
    classes: str | Collection[str], allowed: Collection[str], *, option: str
) -> set[str]:
    """Parse the classes given in an option and convert them to lower case.

    Arguments
    ---------
    classes : str or collection of str
        Emotions; a string may contain several, separated by commas.
    allowed : collection of str
        Emotions of the corpus, in lower case.
    option : str
        Name of the option, for the error message.

    Raises
    ------
    ValueError
        If the corpus has no such emotion.

    Example
    -------
    >>> sorted(parse_classes("Other, sad", ["angry", "other", "sad"], option="drop_train"))
    ['other', 'sad']
    """
    classes = classes.split(",") if isinstance(classes, str) else classes
    chosen = {str(word).strip().casefold() for word in classes} - {""}
    unknown = sorted(chosen - set(allowed))
    if unknown:
        raise ValueError(
            f"--{option} must contain only emotions of the corpus; found {', '.join(unknown)}. "
            f"Valid emotions: {', '.join(allowed) or 'none (the labels contain no emotions)'}."
        )
    return chosen


def exclude_classes(
    sets: Mapping[str, list[Utterance]], dropped: Mapping[str, Collection[str]]
) -> tuple[dict[str, list[Utterance]], list[ExcludedRow], dict[str, dict[str, int]]]:
    """Exclude emotions from each set.

    Arguments
    ---------
    sets : dict of str to list of Utterance
        All rows.
    dropped : dict of str to collection of str
        Emotions to exclude from each set. A name without a number (``test``) also applies to
        ``test1`` and ``test2``.

    Returns
    -------
    remaining : dict of str to list of Utterance
        Remaining rows.
    excluded : list of ExcludedRow
        Excluded rows.
    counts : dict of str to dict of str to int
        Number of excluded rows by set and emotion.

    Example
    -------
    >>> rows = [Utterance("a", "a.wav", emotion="sad"), Utterance("b", "b.wav", emotion="other")]
    >>> remaining, excluded, counts = exclude_classes({"test1": rows}, {"test": {"other"}})
    >>> [row.id for row in remaining["test1"]], counts
    (['a'], {'test1': {'other': 1}})
    >>> [(name, row.id, option) for name, row, option in excluded]
    [('test1', 'b', '--drop_test')]
    """
    remaining: dict[str, list[Utterance]] = {}
    excluded: list[ExcludedRow] = []
    counts: dict[str, dict[str, int]] = {}
    for name, rows in sets.items():
        key = name if name in dropped else name.rstrip("0123456789")
        words = dropped.get(key, ())
        remaining[name] = [row for row in rows if row.emotion.casefold() not in words]
        for row in rows:
            if row.emotion.casefold() in words:
                excluded.append(ExcludedRow(name, row, f"--drop_{key}"))
                counts.setdefault(name, {}).setdefault(row.emotion, 0)
                counts[name][row.emotion] += 1
    return remaining, excluded, counts


def parse_drop_options(
    allowed: Collection[str],
    *,
    train: str | Collection[str] = (),
    valid: str | Collection[str] = (),
    test: str | Collection[str] = (),
) -> dict[str, set[str]]:
    """Parse the options ``drop_train``, ``drop_valid`` and ``drop_test``.

    Arguments
    ---------
    allowed : collection of str
        Emotions of the corpus, in lower case.
    train, valid, test : str or collection of str
        Values of the options; see :func:`parse_classes`.

    Returns
    -------
    dict of str to set of str
        Emotions to exclude from each set.

    Raises
    ------
    ValueError
        If the corpus has no such emotion.

    Example
    -------
    >>> parse_drop_options(["sad", "other"], train="other")
    {'train': {'other'}, 'valid': set(), 'test': set()}
    """
    given = {"train": train, "valid": valid, "test": test}
    return {
        name: parse_classes(words, allowed, option=f"drop_{name}") for name, words in given.items()
    }


def apply_exclusions(
    corpus: Corpus,
    dropped: Mapping[str, Collection[str]],
    *,
    always: Collection[str] = (),
    option: str = "",
) -> None:
    """Exclude emotions from the sets of a corpus, and store their counts in its protocol.

    Arguments
    ---------
    corpus : Corpus
        Corpus whose sets, excluded rows and protocol are modified in place.
    dropped : dict of str to collection of str
        Emotions to exclude from each set; see :func:`exclude_classes`.
    always : collection of str
        Further emotions to exclude from every set in ``dropped``.
    option : str
        Option that excludes the emotions in ``always``.
    """
    words = {name: {*own, *always} for name, own in dropped.items()}
    corpus.sets, excluded, counts = exclude_classes(corpus.sets, words)
    corpus.excluded += [
        item._replace(option=option) if item.row.emotion.casefold() in always else item
        for item in excluded
    ]
    corpus.protocol["drop"] = {name: sorted(own) for name, own in words.items()}
    corpus.protocol["dropped"] = counts


def merge_classes(corpus: Corpus, merged: Mapping[str, str]) -> None:
    """Replace emotions with the merged classes that contain them.

    If the label files contain several emotions for one utterance, its rows are left unchanged.
    Otherwise contradictory rows could become identical and be mistaken for duplicates.

    Arguments
    ---------
    corpus : Corpus
        Corpus whose sets are modified in place. Excluded classes must have been removed before.
    merged : dict of str to str
        Merged class of each emotion.
    """
    emotions: dict[str, set[str]] = defaultdict(set)
    for row in [*(row for _, row in corpus.utterances()), *(item.row for item in corpus.excluded)]:
        emotions[row.id].add(row.emotion)
    corpus.sets = {
        name: [
            replace(row, emotion=merged[row.emotion]) if len(emotions[row.id]) == 1 else row
            for row in rows
        ]
        for name, rows in corpus.sets.items()
    }
