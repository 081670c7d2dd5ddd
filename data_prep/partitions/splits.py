"""Divisions of a corpus by chance: the same for the same seed, whatever the order of the rows."""

from __future__ import annotations

import random
from collections.abc import Iterable

from data_prep.corpus import Utterance


def draw(
    rows: Iterable[Utterance], classes: Iterable[str], *, seed: int, per_class: int
) -> set[str]:
    """Ids of a random choice with equally many utterances of some classes.

    It depends on the ids and the seed, not on the order of the rows, and the choice in one class
    not on the others.

    Arguments
    ---------
    rows : iterable of Utterance
        To choose from; rows of other classes are never chosen.
    classes : iterable of str
        Emotions.
    seed : int
        Another seed is another choice.
    per_class : int
        How many of each class.

    Raises
    ------
    ValueError
        If ``per_class`` is not positive or a class has fewer utterances.

    Example
    -------
    >>> rows = [Utterance(f"a{k}", f"a{k}.wav", emotion="sad") for k in range(9)]
    >>> len(draw(rows, ["sad"], seed=1, per_class=2))
    2
    """
    if per_class < 1:
        raise ValueError(f"--partition_per_class must be at least 1; found {per_class}.")
    by_class: dict[str, list[str]] = {word: [] for word in classes}
    for row in rows:
        by_class.get(row.emotion, []).append(row.id)
    few = [f"{word} {len(ids)}" for word, ids in by_class.items() if len(set(ids)) < per_class]
    if few:
        raise ValueError(
            f"Choosing {per_class} utterances of each class needs as many of each; too few: "
            f"{', '.join(few)}. Use --partition=official or a smaller --partition_per_class."
        )
    chosen: set[str] = set()
    for word, ids in by_class.items():
        chosen.update(random.Random(f"{seed}:{word}").sample(sorted(set(ids)), per_class))
    return chosen


def divide_speakers(
    speakers: Iterable[str], *, seed: int, shares: dict[str, float]
) -> dict[str, str]:
    """The set of each speaker.

    Depends on the names and the seed, not on the order of the rows.

    Arguments
    ---------
    speakers : iterable of str
        Their names.
    seed : int
        Another seed is another division.
    shares : dict of str to float
        Share of the speakers that each set but ``train`` gets; at least one speaker unless 0.

    Raises
    ------
    ValueError
        If the shares are no shares, or no speaker is left for training.

    Example
    -------
    >>> place = divide_speakers("abcdefghij", seed=1, shares={"valid": 0.2, "test": 0.1})
    >>> sorted(place.values()).count("train"), sorted(place.values()).count("valid")
    (7, 2)
    """
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise ValueError(
            f"Shares must lie in [0, 1) and leave a rest for training; found {shares}."
        )
    names = sorted(set(speakers))
    random.Random(seed).shuffle(names)
    numbers = {
        name: max(1, round(share * len(names))) if share else 0 for name, share in shares.items()
    }
    if sum(numbers.values()) >= len(names):
        raise ValueError(
            f"A division by speakers needs at least {sum(numbers.values()) + 1} speakers; found "
            f"{len(names)}: {', '.join(sorted(names)[:5]) or 'none'}. Add a column split, or data."
        )
    place = {}
    for name, number in numbers.items():
        place.update((names.pop(), name) for _ in range(number))
    return {**place, **dict.fromkeys(names, "train")}
