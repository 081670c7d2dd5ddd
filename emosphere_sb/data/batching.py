"""Grouping of utterances into batches, without torch."""

from __future__ import annotations

from collections.abc import Sequence


def split_list(order: list[int], size: int) -> list[list[int]]:
    """Split a list into consecutive parts of ``size`` items; the last part may be shorter."""
    return [order[first : first + size] for first in range(0, len(order), size)]


def batches_by_length(
    durations: Sequence[float], batch_size: int, max_total: float | None = None
) -> list[list[int]]:
    """Group utterances into batches in descending order of duration, for evaluation.

    Arguments
    ---------
    durations : sequence of float
        Durations of the utterances, in any unit.
    batch_size : int
        Maximum number of utterances per batch.
    max_total : float, optional
        Maximum duration of a padded batch, in the unit of the durations. An utterance that is
        longer is a batch of its own. (default: no maximum)

    Returns
    -------
    list of list of int
        Indices of the utterances of each batch.

    Raises
    ------
    ValueError
        If the batch size is less than 1.

    Example
    -------
    >>> batches_by_length([1.0, 3.0, 2.0], 2)
    [[1, 2], [0]]
    >>> batches_by_length([1.0, 3.0, 2.0], 2, max_total=4.0)
    [[1], [2, 0]]
    """
    if batch_size < 1:
        raise ValueError(f"eval_batch must be at least 1 utterance; found {batch_size}.")
    order = sorted(range(len(durations)), key=lambda index: -durations[index])
    if max_total is None:
        return split_list(order, batch_size)
    batches: list[list[int]] = []
    for index in order:
        batch = batches[-1] if batches else []
        # The first utterance of a batch is the longest: all others are padded to its length.
        if 0 < len(batch) < batch_size and (len(batch) + 1) * durations[batch[0]] <= max_total:
            batch.append(index)
        else:
            batches.append([index])
    return batches
