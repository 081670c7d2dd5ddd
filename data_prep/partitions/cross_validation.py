"""Divisions of corpora without official sets, as data: who is in which set in which fold."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Fold = Mapping[str, tuple[str, ...]]
"""Set to the groups (sessions or speakers) in it."""


@dataclass(frozen=True)
class Partition:
    """A way to divide a corpus, fold by fold.

    Arguments
    ---------
    by : str
        The field of an utterance that is never divided: ``session`` or ``speaker``.
    folds : tuple of dict of str to tuple of str
        For each fold the groups of each set, sets in the order in which they are written.

    Example
    -------
    >>> fixed = Partition("session", ({"train": ("1", "2"), "valid": ("3",), "test": ("4",)},))
    >>> fixed.place(1)["3"]
    'valid'
    """

    by: str
    folds: tuple[Fold, ...]

    def fold(self, number: int | str) -> Fold:
        """One fold, counted from 1.

        Arguments
        ---------
        number : int or str
            As given on the command line.

        Raises
        ------
        ValueError
            If there is no such fold.

        Example
        -------
        >>> Partition("session", rotate([("1",), ("2",), ("3",), ("4",)])).fold(4)
        {'train': ('2', '3'), 'valid': ('1',), 'test': ('4',)}
        """
        text = str(number)
        if text not in map(str, range(1, len(self.folds) + 1)):
            allowed = f"from 1 to {len(self.folds)}" if len(self.folds) > 1 else "1: there is one"
            raise ValueError(f"--fold must be a whole number {allowed}; found {number!r}.")
        return self.folds[int(text) - 1]

    def place(self, number: int | str) -> dict[str, str]:
        """The set of each group in one fold.

        Arguments
        ---------
        number : int or str
            See :meth:`fold`.
        """
        return {group: name for name, groups in self.fold(number).items() for group in groups}

    def facts(self, name: str, number: int | str) -> dict[str, Any]:
        """What a result must say of its division, as plain JSON.

        Arguments
        ---------
        name : str
            Of this partition.
        number : int or str
            See :meth:`fold`.
        """
        groups = {key: list(values) for key, values in self.fold(number).items()}
        return {
            "partition": name,
            "fold": int(number),
            "folds": len(self.folds),
            "divided_by": self.by,
            "groups": groups,
        }


def rotate(parts: Sequence[Sequence[str]]) -> tuple[Fold, ...]:
    """Cross-validation: each part is the test set once, the next one, cyclically, the validation.

    Arguments
    ---------
    parts : sequence of sequence of str
        Groups that are in one set together.

    Raises
    ------
    ValueError
        If nothing would be left to train on.

    Example
    -------
    >>> rotate([("a",), ("b",), ("c", "d")])[0]
    {'train': ('c', 'd'), 'valid': ('b',), 'test': ('a',)}
    """
    if len(parts) < 3:
        raise ValueError(
            f"Training, validation and test need at least 3 parts; found {len(parts)}. "
            "Use more folds."
        )
    folds = []
    for test in range(len(parts)):
        valid = (test + 1) % len(parts)
        rest = [part for k, part in enumerate(parts) if k not in (test, valid)]
        train = tuple(group for part in rest for group in part)
        folds.append({"train": train, "valid": tuple(parts[valid]), "test": tuple(parts[test])})
    return tuple(folds)


def partner(pairs: Sequence[tuple[str, str]]) -> tuple[Fold, ...]:
    """Each speaker is the test set once, with whom they talked as the validation set.

    Arguments
    ---------
    pairs : sequence of (str, str)
        Who talked with whom.

    Example
    -------
    >>> [fold["valid"] for fold in partner([("a", "b"), ("c", "d")])]
    [('b',), ('a',), ('d',), ('c',)]
    """
    everybody = [speaker for pair in pairs for speaker in pair]
    folds = []
    for pair in pairs:
        for test, valid in (pair, pair[::-1]):
            train = tuple(speaker for speaker in everybody if speaker not in pair)
            folds.append({"train": train, "valid": (valid,), "test": (test,)})
    return tuple(folds)


def speaker_folds(speakers: Iterable[str], *, folds: int, seed: int) -> Partition:
    """Cross-validation over speakers who are dealt out at random.

    Depends on the names and the seed, not on their order. Numbers of speakers differ by at most 1.

    Arguments
    ---------
    speakers : iterable of str
        Their names.
    folds : int
        How many.
    seed : int
        Another seed is another division.

    Raises
    ------
    ValueError
        If there are fewer than 3 folds, or fewer speakers than folds.

    Example
    -------
    >>> partition = speaker_folds("abcdef", folds=3, seed=1)
    >>> sorted(speaker for fold in partition.folds for speaker in fold["test"])
    ['a', 'b', 'c', 'd', 'e', 'f']
    """
    names = sorted(set(speakers))
    if len(names) < folds:
        raise ValueError(
            f"{folds} folds need as many speakers; found {len(names)}: "
            f"{', '.join(names[:5]) or 'none'}. Use fewer folds."
        )
    random.Random(seed).shuffle(names)
    return Partition("speaker", rotate([tuple(names[k::folds]) for k in range(folds)]))


def choose(partitions: Mapping[str, Partition], name: str) -> Partition:
    """The partition of a name.

    Arguments
    ---------
    partitions : dict of str to Partition
        Those of the corpus.
    name : str
        As given on the command line.

    Raises
    ------
    ValueError
        If the corpus has none of that name.

    Example
    -------
    >>> choose({"session": Partition("session", rotate(["1", "2", "3"]))}, "speaker")
    Traceback (most recent call last):
    ValueError: --partition must be session; found 'speaker'.
    """
    if name not in partitions:
        raise ValueError(f"--partition must be {' or '.join(partitions)}; found {name!r}.")
    return partitions[name]
