"""Utterances put together to run together; without torch."""

from __future__ import annotations

from collections.abc import Sequence


def cut(order: list[int], size: int) -> list[list[int]]:
    """Consecutive pieces of ``size``, the last one as long as is left."""
    return [order[first : first + size] for first in range(0, len(order), size)]


def by_length(durations: Sequence[float], batch_size: int) -> list[list[int]]:
    """All utterances, longest first, cut into batches (evaluation).

    Raises
    ------
    ValueError
        If a batch would hold less than one utterance.

    Example
    -------
    >>> by_length([1.0, 3.0, 2.0], 2)
    [[1, 2], [0]]
    """
    if batch_size < 1:
        raise ValueError(f"eval_batch must be at least 1 utterance; found {batch_size}.")
    order = sorted(range(len(durations)), key=lambda index: -durations[index])
    return cut(order, batch_size)
