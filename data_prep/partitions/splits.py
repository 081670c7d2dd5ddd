"""Random splits of a corpus. They depend on the seed, but not on the order of the rows."""

from __future__ import annotations

import random
from collections.abc import Iterable

from data_prep.corpus import Utterance


def sample_per_class(
    rows: Iterable[Utterance], classes: Iterable[str], *, seed: int, per_class: int
) -> set[str]:
    """Sample the same number of utterances from each class.

    The sample depends on the ids and the seed, but not on the order of the rows. The sample of a
    class does not depend on the other classes.

    Arguments
    ---------
    rows : iterable of Utterance
        Candidates; rows of other classes are ignored.
    classes : iterable of str
        Emotions to sample from.
    seed : int
        Random seed.
    per_class : int
        Number of utterances per class.

    Returns
    -------
    set of str
        Ids of the sampled utterances.

    Raises
    ------
    ValueError
        If ``per_class`` is not positive or a class has fewer utterances.

    Example
    -------
    >>> rows = [Utterance(f"a{k}", f"a{k}.wav", emotion="sad") for k in range(9)]
    >>> len(sample_per_class(rows, ["sad"], seed=1, per_class=2))
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
            f"Each class must have at least {per_class} utterances to sample from; found "
            f"{', '.join(few)}. Use --partition=official or a smaller --partition_per_class."
        )
    chosen: set[str] = set()
    for word, ids in by_class.items():
        chosen.update(random.Random(f"{seed}:{word}").sample(sorted(set(ids)), per_class))
    return chosen


def split_speakers(
    speakers: Iterable[str], *, seed: int, shares: dict[str, float]
) -> dict[str, str]:
    """Assign each speaker to a set at random.

    The result depends on the names and the seed, but not on the order of the names.

    Arguments
    ---------
    speakers : iterable of str
        Names of the speakers.
    seed : int
        Random seed.
    shares : dict of str to float
        Fraction of the speakers in each set except ``train``. A set with a fraction above 0 has at
        least one speaker.

    Returns
    -------
    dict of str to str
        Set of each speaker.

    Raises
    ------
    ValueError
        If the fractions are invalid, or if no speaker is left for training.

    Example
    -------
    >>> place = split_speakers("abcdefghij", seed=1, shares={"valid": 0.2, "test": 0.1})
    >>> sorted(place.values()).count("train"), sorted(place.values()).count("valid")
    (7, 2)
    """
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise ValueError(f"Shares must be in [0, 1) and sum to less than 1; found {shares}.")
    names = sorted(set(speakers))
    random.Random(seed).shuffle(names)
    numbers = {
        name: max(1, round(share * len(names))) if share else 0 for name, share in shares.items()
    }
    if sum(numbers.values()) >= len(names):
        raise ValueError(
            f"Splitting by speaker requires at least {sum(numbers.values()) + 1} speakers; found "
            f"{len(names)}: {', '.join(sorted(names)[:5]) or 'none'}. Add a column 'split' or "
            "more data."
        )
    place = {}
    for name, number in numbers.items():
        place.update((names.pop(), name) for _ in range(number))
    return {**place, **dict.fromkeys(names, "train")}
