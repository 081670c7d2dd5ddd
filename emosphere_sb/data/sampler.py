"""Batch sampler for training: batches of exact size with little padding, regrouped each epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from emosphere_sb.data.batching import split_list


class PooledBatchSampler(Sampler[list[int]]):
    """Sampler of effective batches of similar durations, determined by seed and epoch.

    The utterances are shuffled and divided into pools of a few effective batches. Each pool is
    sorted by duration and split into batches, and all batches are shuffled. Every batch has exactly
    ``batch_size`` utterances, except possibly the last one of an epoch. Each process takes every
    ``processes``-th utterance of a batch, so the shares of a batch have similar durations; a share
    may be empty.

    Arguments
    ---------
    durations : sequence of float
        Duration of each utterance in seconds.
    batch_size : int
        Number of utterances in an effective batch, over all processes.
    seed : int
        Seed for the order.
    pool : int
        Number of effective batches that are sorted together; 0: no sorting (as in the paper).
    process : int
        Rank of this process.
    processes : int
        Number of processes.

    Raises
    ------
    ValueError
        If the set is empty or a number is out of range.

    Example
    -------
    >>> sampler = PooledBatchSampler([3.0, 1.0, 2.0], 2, seed=1)
    >>> sorted(len(batch) for batch in sampler)
    [1, 2]
    """

    def __init__(
        self,
        durations: Sequence[float],
        batch_size: int,
        *,
        seed: int = 0,
        pool: int = 8,
        process: int = 0,
        processes: int = 1,
    ):
        if not len(durations):
            raise ValueError("A batch sampler needs at least one utterance; found none.")
        if batch_size < 1 or pool < 0 or not 0 <= process < processes:
            raise ValueError(
                f"batch_size ({batch_size}) must be at least 1, bucket_batches ({pool}) at least "
                f"0, and process ({process}) less than processes ({processes})."
            )
        self.durations, self.batch_size = durations, batch_size
        self.seed, self.pool, self.epoch, self.done = seed, pool, 0, 0
        self.process, self.processes = process, processes

    def set_epoch(self, epoch: int, done: int = 0) -> None:
        """Set the epoch, and the number of its steps that are already done and are skipped."""
        self.epoch, self.done = epoch, done

    def __len__(self) -> int:
        """Number of steps of a full epoch."""
        return -(-len(self.durations) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.effective_batches()[self.done :]:
            yield batch[self.process :: self.processes]

    def effective_batches(self) -> list[list[int]]:
        """Return the indices of each step of the epoch, over all processes."""
        chance = random.Random(f"{self.seed}/{self.epoch}")
        order = list(range(len(self.durations)))
        chance.shuffle(order)
        # The remainder (the last batch) is taken before sorting, so it is a random sample.
        full = len(order) - len(order) % self.batch_size
        order, remainder = order[:full], order[full:]
        batches = []
        for pool in split_list(order, self.batch_size * max(self.pool, 1)):
            if self.pool:
                pool.sort(key=lambda index: -self.durations[index])
            batches += split_list(pool, self.batch_size)
        if self.pool:
            chance.shuffle(batches)
            remainder.sort(key=lambda index: -self.durations[index])
        return batches + ([remainder] if remainder else [])
