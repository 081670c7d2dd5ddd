"""Cross-validation partitions for corpora without official sets."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Fold = Mapping[str, tuple[str, ...]]
"""Groups (sessions or speakers) of each set."""


@dataclass(frozen=True)
class Partition:
    """Partition of a corpus into folds.

    Arguments
    ---------
    by : str
        Grouping field: ``session`` or ``speaker``. All utterances of a group are in the same set.
    folds : tuple of dict of str to tuple of str
        Groups of each set for each fold, with the sets in the order in which they are written.

    Example
    -------
    >>> fixed = Partition("session", ({"train": ("1", "2"), "valid": ("3",), "test": ("4",)},))
    >>> fixed.set_by_group(1)["3"]
    'valid'
    """

    by: str
    folds: tuple[Fold, ...]

    def fold(self, number: int | str) -> Fold:
        """Return one fold.

        Arguments
        ---------
        number : int or str
            Number of the fold, starting at 1, as given on the command line.

        Raises
        ------
        ValueError
            If the fold does not exist.

        Example
        -------
        >>> Partition("session", leave_one_group_out([("1",), ("2",), ("3",), ("4",)])).fold(4)
        {'train': ('2', '3'), 'valid': ('1',), 'test': ('4',)}
        """
        text = str(number)
        if text not in map(str, range(1, len(self.folds) + 1)):
            last = len(self.folds)
            allowed = f"an integer from 1 to {last}" if last > 1 else "1 (there is only one fold)"
            raise ValueError(f"--fold must be {allowed}; found {number!r}.")
        return self.folds[int(text) - 1]

    def set_by_group(self, number: int | str) -> dict[str, str]:
        """Return the set of each group in one fold.

        Arguments
        ---------
        number : int or str
            Number of the fold; see :meth:`fold`.
        """
        return {group: name for name, groups in self.fold(number).items() for group in groups}

    def metadata(self, name: str, number: int | str) -> dict[str, Any]:
        """Return a JSON-serialisable description of the partition, to be stored with results.

        Arguments
        ---------
        name : str
            Name of the partition.
        number : int or str
            Number of the fold; see :meth:`fold`.
        """
        groups = {key: list(values) for key, values in self.fold(number).items()}
        return {
            "partition": name,
            "fold": int(number),
            "folds": len(self.folds),
            "divided_by": self.by,
            "groups": groups,
        }


def leave_one_group_out(parts: Sequence[Sequence[str]]) -> tuple[Fold, ...]:
    """Create one fold per part: test on that part, and validate on the next one (cyclically).

    Arguments
    ---------
    parts : sequence of sequence of str
        Parts of the corpus. The groups in a part are always in the same set.

    Raises
    ------
    ValueError
        If there are fewer than 3 parts.

    Example
    -------
    >>> leave_one_group_out([("a",), ("b",), ("c", "d")])[0]
    {'train': ('c', 'd'), 'valid': ('b',), 'test': ('a',)}
    """
    if len(parts) < 3:
        raise ValueError(
            "Training, validation and test sets require at least 3 folds; found "
            f"{len(parts)}. Use more folds."
        )
    folds = []
    for test in range(len(parts)):
        valid = (test + 1) % len(parts)
        rest = [part for k, part in enumerate(parts) if k not in (test, valid)]
        train = tuple(group for part in rest for group in part)
        folds.append({"train": train, "valid": tuple(parts[valid]), "test": tuple(parts[test])})
    return tuple(folds)


def leave_one_speaker_out(pairs: Sequence[tuple[str, str]]) -> tuple[Fold, ...]:
    """Create one fold per speaker: test on that speaker, and validate on the dialogue partner.

    Arguments
    ---------
    pairs : sequence of (str, str)
        Pairs of dialogue partners.

    Example
    -------
    >>> [fold["valid"] for fold in leave_one_speaker_out([("a", "b"), ("c", "d")])]
    [('b',), ('a',), ('d',), ('c',)]
    """
    speakers = [speaker for pair in pairs for speaker in pair]
    folds = []
    for pair in pairs:
        for test, valid in (pair, pair[::-1]):
            train = tuple(speaker for speaker in speakers if speaker not in pair)
            folds.append({"train": train, "valid": (valid,), "test": (test,)})
    return tuple(folds)


def speaker_k_fold(speakers: Iterable[str], *, folds: int, seed: int) -> Partition:
    """Assign speakers to cross-validation folds at random.

    The result depends on the names and the seed, but not on the order of the names. The numbers of
    speakers per fold differ by at most 1.

    Arguments
    ---------
    speakers : iterable of str
        Names of the speakers.
    folds : int
        Number of folds.
    seed : int
        Random seed.

    Raises
    ------
    ValueError
        If there are fewer than 3 folds, or fewer speakers than folds.

    Example
    -------
    >>> partition = speaker_k_fold("abcdef", folds=3, seed=1)
    >>> sorted(speaker for fold in partition.folds for speaker in fold["test"])
    ['a', 'b', 'c', 'd', 'e', 'f']
    """
    names = sorted(set(speakers))
    if len(names) < folds:
        raise ValueError(
            f"{folds} folds require at least {folds} speakers; found {len(names)}: "
            f"{', '.join(names[:5]) or 'none'}. Use fewer folds."
        )
    random.Random(seed).shuffle(names)
    return Partition("speaker", leave_one_group_out([tuple(names[k::folds]) for k in range(folds)]))


def select_partition(partitions: Mapping[str, Partition], name: str) -> Partition:
    """Return the partition with a given name.

    Arguments
    ---------
    partitions : dict of str to Partition
        Partitions of the corpus.
    name : str
        Name of the partition, as given on the command line.

    Raises
    ------
    ValueError
        If the corpus has no such partition.

    Example
    -------
    >>> partition = Partition("session", leave_one_group_out(["1", "2", "3"]))
    >>> select_partition({"session": partition}, "speaker")
    Traceback (most recent call last):
    ValueError: --partition must be session; found 'speaker'.
    """
    if name not in partitions:
        raise ValueError(f"--partition must be {' or '.join(partitions)}; found {name!r}.")
    return partitions[name]
