"""Combine the notes on several sets, so that each note is shown once."""

from __future__ import annotations

import re
from collections.abc import Iterable

MISSING_LABELS = {"raters": "number of raters"}
"""Names of columns in notes about missing breakdowns, where they differ."""

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def grouped_notes(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Combine notes that differ only in numbers.

    Arguments
    ---------
    notes : iterable of (str, str)
        Name of the set and the text of each note.

    Returns
    -------
    list of str
        Each text once, after the names of its sets, in the order of first occurrence. Numbers that
        differ are listed in the order of the sets. Several notes on one set remain separate.

    Example
    -------
    >>> grouped_notes([("valid", "Only 4 of 10 are known."), ("test1", "Only 12 of 10 are known.")])
    ['valid, test1: Only 4 and 12 of 10 are known.']
    >>> grouped_notes([("valid", "No labels."), ("valid", "No labels."), ("test1", "No labels.")])
    ['valid, test1: No labels.']
    """
    # Groups with the same words differ in their last key: the first, second, … note of each set
    groups: dict[tuple[tuple[str, ...], int], dict[str, list[str]]] = {}
    for name, text in dict.fromkeys(notes):
        words, number = tuple(_NUMBER.split(text)), 0
        while name in groups.get((words, number), {}):
            number += 1
        groups.setdefault((words, number), {})[name] = _NUMBER.findall(text)
    return [
        f"{', '.join(members)}: {_merged(words, list(members.values()))}"
        for (words, _), members in groups.items()
    ]


def _merged(words: tuple[str, ...], rows: list[list[str]]) -> str:
    numbers = [_listed(column) for column in zip(*rows, strict=True)]
    pairs = zip(words, [*numbers, ""], strict=True)
    return "".join(f"{word}{number}" for word, number in pairs)


def _listed(numbers: tuple[str, ...]) -> str:
    """Return a number that all sets share once, and others as a list."""
    if len(set(numbers)) == 1:
        return numbers[0]
    return f"{', '.join(numbers[:-1])} and {numbers[-1]}"
