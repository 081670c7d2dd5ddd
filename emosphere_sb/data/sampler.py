"""The order of training: exact effective batches, little padding, new groups every epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from emosphere_sb.data.batching import cut


class PooledBatchSampler(Sampler[list[int]]):
    """Effective batches of similar lengths whose order is a pure function of (seed, epoch).

    The shuffled epoch is cut into pools of a few effective batches; each pool is sorted by length
    and cut into batches, and the batches are shuffled. Every batch has exactly ``batch_size``
    utterances except the epoch's last. Each process takes every ``processes``-th utterance
    of a batch, so that shares have similar lengths too; a share may be empty.

    Arguments
    ---------
    durations : sequence of float
        Length of each utterance.
    batch_size : int
        Utterances of an effective batch, over all processes.
    seed : int
        Of the order.
    pool : int
        Effective batches that are sorted together; 0 keeps the shuffled order (published).
    process, processes : int
        This process's number and how many there are.

    Raises
    ------
    ValueError
        If there is no utterance, or a number is out of range.

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
                f"0, and process ({process}) below processes ({processes})."
            )
        self.durations, self.batch_size = durations, batch_size
        self.seed, self.pool, self.epoch, self.done = seed, pool, 0, 0
        self.process, self.processes = process, processes

    def set_epoch(self, epoch: int, done: int = 0) -> None:
        """Choose the epoch whose order is given next, and how many of its steps are done."""
        self.epoch, self.done = epoch, done

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return -(-len(self.durations) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.effective_batches()[self.done :]:
            yield batch[self.process :: self.processes]

    def effective_batches(self) -> list[list[int]]:
        """The whole epoch: a list of indices for each step, over all processes."""
        chance = random.Random(f"{self.seed}/{self.epoch}")
        order = list(range(len(self.durations)))
        chance.shuffle(order)
        # The remainder is drawn before any sorting, so that it is no pool's shortest; it is last.
        whole = len(order) - len(order) % self.batch_size
        order, remainder = order[:whole], order[whole:]
        batches = []
        for pool in cut(order, self.batch_size * max(self.pool, 1)):
            if self.pool:
                pool.sort(key=lambda index: -self.durations[index])
            batches += cut(pool, self.batch_size)
        if self.pool:
            chance.shuffle(batches)
            remainder.sort(key=lambda index: -self.durations[index])
        return batches + ([remainder] if remainder else [])
