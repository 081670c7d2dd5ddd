"""Counting epochs: SpeechBrain's counter with early stopping as a setting."""

from __future__ import annotations

import json

from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks
from speechbrain.utils.epoch_loop import EpochCounterWithStopper

STATE = ("current", "best_limit", "best_score", "should_stop")


@register_checkpoint_hooks
class EpochCounter(EpochCounterWithStopper):
    """Counts to ``limit``, and stops after ``patience`` epochs without a better mean CCC.

    Arguments
    ---------
    limit : int
        Number of epochs.
    patience : int
        0: never stop early.

    Example
    -------
    >>> counter = EpochCounter(limit=9, patience=2)
    >>> for epoch in counter:
    ...     counter.update_metric([0.1, 0.4, 0.4, 0.3, 0.9][epoch - 1])
    >>> epoch
    4
    """

    def __init__(self, limit: int, patience: int = 0):
        super().__init__(
            limit, limit_to_stop=patience or limit + 1, limit_warmup=0, direction="max"
        )
        # With SpeechBrain's 1e-6 the same figure again would count as a better one.
        self.min_delta = 0.0

    # SpeechBrain's hooks of the stopper are not registered: only the epoch would be saved, and a
    # run that patience had stopped would go on when it is started again.
    @mark_as_saver
    def save(self, path: str) -> None:
        """Write the epoch, the best figure so far and whether to stop."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump({name: getattr(self, name) for name in STATE}, file)

    @mark_as_loader
    def load(self, path: str, end_of_epoch: bool) -> None:
        """Read them back; within an epoch, that epoch is the next one."""
        with open(path, encoding="utf-8") as file:
            for name, value in json.load(file).items():
                setattr(self, name, value)
        self.current -= not end_of_epoch
