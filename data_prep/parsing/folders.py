"""What the readers of corpora share: finding files and folders, leaving out classes."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.corpus import Corpus, LeftOut, Utterance


def corpus_folder(data_folder: str | os.PathLike) -> Path:
    """The corpus's folder as an absolute path, ``~`` included.

    Arguments
    ---------
    data_folder : path
        As given on the command line.

    Raises
    ------
    FileNotFoundError
        If it is not there or not a folder.
    """
    folder = Path(os.path.abspath(Path(data_folder).expanduser()))
    if not folder.exists():
        raise FileNotFoundError(
            f"The data folder must exist; {folder} does not. Check --data_folder."
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"The data folder must be a folder; {folder} is a file.")
    return folder


def names_in(folder: Path) -> str:
    """What a folder holds, shortened, for an error."""
    names = sorted(os.listdir(folder))
    return ", ".join(names[:8]) + ", ..." * (len(names) > 8) if names else "nothing"


def relative_path(path: str | os.PathLike, root: Path) -> str:
    """A path as utterances have it: relative to the corpus's folder if it lies there, with ``/``.

    Arguments
    ---------
    path : path
        Absolute, or relative to ``root``.
    root : pathlib.Path
        The corpus's folder.

    Example
    -------
    >>> relative_path("./wav/../a.wav", Path("/data")), relative_path("/else/a.wav", Path("/data"))
    ('a.wav', '/else/a.wav')
    """
    path = Path(os.path.normpath(root / path))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def find_entry(folder: Path, names: Sequence[str], *, is_folder: bool = False) -> Path | None:
    """The first of some names that a folder has, whatever the case of its letters.

    Arguments
    ---------
    folder : pathlib.Path
        Where to look; not in its sub-folders.
    names : sequence of str
        In order of preference; ``a/b`` looks for ``b`` in the folder ``a``.
    is_folder : bool
        Whether a folder is looked for, or a file.

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
    """One entry by name; an exact spelling wins over other cases."""
    return folder / name if (folder / name).exists() else next(iter(_entries(folder, name)), None)


def _entries(folder: Path, name: str) -> list[Path]:
    """All entries of a name, in whatever case."""
    if name == "." or not folder.is_dir():
        return [folder] * (name == ".")
    wanted = name.casefold()
    return [folder / found for found in sorted(os.listdir(folder)) if found.casefold() == wanted]


def spellings(folder: Path, names: Iterable[str]) -> list[Path]:
    """Every file that :func:`find_entry` finds or would find, those that are not there included.

    The inputs of a corpus: one that appears may be preferred to the one that was read.

    Arguments
    ---------
    folder : pathlib.Path
        Where to look.
    names : iterable of str
        See :func:`find_entry`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "labels").mkdir()
    >>> [path.relative_to(folder).as_posix() for path in spellings(folder, ["Labels/a.csv"])]
    ['labels/a.csv', 'Labels/a.csv']
    """
    places: list[Path] = []
    for name in names:
        found = [folder]
        for part in name.split("/"):
            # As it is spelt here, and as the corpus spells it.
            found = [path for own in found for path in (*_entries(own, part), own / part)]
        places += found
    return list(dict.fromkeys(places))


def unequal(taken: Path, others: Iterable[Path]) -> list[str]:
    """Warnings for files that could have been read in the place of another one, and differ from it.

    Arguments
    ---------
    taken : pathlib.Path
        The one that is read.
    others : iterable of pathlib.Path
        See :func:`spellings`.
    """
    return [
        f"{taken} is read; {other} is there as well, and differs. Take one of them away."
        for other in others
        if other != taken and other.is_file() and not filecmp.cmp(taken, other, shallow=False)
    ]


def named_entry(
    folder: Path, name: str | os.PathLike, *, option: str, is_folder: bool = False
) -> Path:
    """A file or folder that the user named, relative to ``folder`` or absolute.

    Arguments
    ---------
    folder : pathlib.Path
        The corpus's folder.
    name : path
        What the user gave.
    option : str
        The option it was given with, for the error.
    is_folder : bool
        Whether it must be a folder, or a file.

    Raises
    ------
    FileNotFoundError
        If it is not there, or of the other kind.
    """
    path = Path(os.path.abspath(folder / Path(name).expanduser()))
    if not (path.is_dir() if is_folder else path.is_file()):
        problem = "is something else" if path.exists() else "does not exist"
        raise FileNotFoundError(
            f"--{option} must name a {'folder' if is_folder else 'file'}, in {folder} or by its "
            f"absolute path; {path} {problem}."
        )
    return path


def class_list(words: str | Collection[str], allowed: Collection[str], *, option: str) -> set[str]:
    """The classes that an option names, in lower case.

    Arguments
    ---------
    words : str or collection of str
        Emotions; a text may name several, separated by commas.
    allowed : collection of str
        Emotions of the corpus, in lower case.
    option : str
        Name of the option, for the error.

    Raises
    ------
    ValueError
        If a word is not allowed.

    Example
    -------
    >>> sorted(class_list("Other, sad", ["angry", "other", "sad"], option="drop_train"))
    ['other', 'sad']
    """
    words = words.split(",") if isinstance(words, str) else words
    chosen = {str(word).strip().casefold() for word in words} - {""}
    unknown = sorted(chosen - set(allowed))
    if unknown:
        raise ValueError(
            f"--{option} must name emotions of the corpus; found {', '.join(unknown)}, "
            f"allowed are {', '.join(allowed) or 'none: the labels have no emotions'}."
        )
    return chosen


def drop_classes(
    sets: Mapping[str, list[Utterance]], dropped: Mapping[str, Collection[str]]
) -> tuple[dict[str, list[Utterance]], list[LeftOut], dict[str, dict[str, int]]]:
    """Takes the emotions that a protocol leaves out from each set.

    Arguments
    ---------
    sets : dict of str to list of Utterance
        All rows.
    dropped : dict of str to collection of str
        For the names of some sets the emotions to leave out. A name without its number (``test``)
        goes for ``test1``, ``test2`` as well.

    Returns
    -------
    kept : dict of str to list of Utterance
        The remaining rows.
    left_out : list of LeftOut
        The others.
    counts : dict of str to dict of str to int
        For each set how many rows of which emotion were left out.

    Example
    -------
    >>> rows = [Utterance("a", "a.wav", emotion="sad"), Utterance("b", "b.wav", emotion="other")]
    >>> kept, left_out, counts = drop_classes({"test1": rows}, {"test": {"other"}})
    >>> [row.id for row in kept["test1"]], counts
    (['a'], {'test1': {'other': 1}})
    >>> [(name, row.id, option) for name, row, option in left_out]
    [('test1', 'b', '--drop_test')]
    """
    kept: dict[str, list[Utterance]] = {}
    left_out: list[LeftOut] = []
    counts: dict[str, dict[str, int]] = {}
    for name, rows in sets.items():
        key = name if name in dropped else name.rstrip("0123456789")
        words = dropped.get(key, ())
        kept[name] = [row for row in rows if row.emotion.casefold() not in words]
        for row in rows:
            if row.emotion.casefold() in words:
                left_out.append(LeftOut(name, row, f"--drop_{key}"))
                counts.setdefault(name, {}).setdefault(row.emotion, 0)
                counts[name][row.emotion] += 1
    return kept, left_out, counts


def drop_lists(
    allowed: Collection[str],
    *,
    train: str | Collection[str] = (),
    valid: str | Collection[str] = (),
    test: str | Collection[str] = (),
) -> dict[str, set[str]]:
    """The options ``drop_train``, ``drop_valid`` and ``drop_test`` as sets of emotions.

    Arguments
    ---------
    allowed : collection of str
        Emotions of the corpus, in lower case.
    train, valid, test : str or collection of str
        See :func:`class_list`.

    Raises
    ------
    ValueError
        If a word is not allowed.

    Example
    -------
    >>> drop_lists(["sad", "other"], train="other")
    {'train': {'other'}, 'valid': set(), 'test': set()}
    """
    given = {"train": train, "valid": valid, "test": test}
    return {
        name: class_list(words, allowed, option=f"drop_{name}") for name, words in given.items()
    }


def leave_out(
    corpus: Corpus,
    dropped: Mapping[str, Collection[str]],
    *,
    always: Collection[str] = (),
    option: str = "",
) -> None:
    """Takes the emotions that a protocol leaves out from a corpus, and notes how many there were.

    Arguments
    ---------
    corpus : Corpus
        Changed: its sets, its rows that are left out, its protocol.
    dropped : dict of str to collection of str
        See :func:`drop_classes`.
    always : collection of str
        Emotions that are left out of every set of ``dropped`` beside those ...
    option : str
        ... and by which option.
    """
    words = {name: {*own, *always} for name, own in dropped.items()}
    corpus.sets, left_out, counts = drop_classes(corpus.sets, words)
    corpus.left_out += [
        item._replace(option=option) if item.row.emotion.casefold() in always else item
        for item in left_out
    ]
    corpus.protocol["drop"] = {name: sorted(own) for name, own in words.items()}
    corpus.protocol["dropped"] = counts


def join_classes(corpus: Corpus, words: Mapping[str, str]) -> None:
    """Calls emotions by the names of the classes that they are parts of.

    Where the label files give one utterance two emotions, both stay as they are: joined they would
    be equal, and pass for one row that stands twice.

    Arguments
    ---------
    corpus : Corpus
        Changed: its sets. What is left out has been left out.
    words : dict of str to str
        The class of each emotion.
    """
    emotions: dict[str, set[str]] = defaultdict(set)
    for row in [*(row for _, row in corpus.utterances()), *(item.row for item in corpus.left_out)]:
        emotions[row.id].add(row.emotion)
    corpus.sets = {
        name: [
            replace(row, emotion=words[row.emotion]) if len(emotions[row.id]) == 1 else row
            for row in rows
        ]
        for name, rows in corpus.sets.items()
    }
