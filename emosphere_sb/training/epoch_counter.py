"""Epoch counter with optional early stopping."""

from __future__ import annotations

import json

from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks
from speechbrain.utils.epoch_loop import EpochCounterWithStopper

UNDEFINED_SCORE = -1.0
"""Score of an epoch in which the mean CCC is undefined. It ranks below all others."""
STATE_FIELDS = ("current", "best_limit", "best_score", "should_stop")


@register_checkpoint_hooks
class EpochCounter(EpochCounterWithStopper):
    """Iterator over epochs that stops after ``patience`` epochs without improvement.

    Arguments
    ---------
    limit : int
        Maximum number of epochs.
    patience : int
        Number of epochs without improvement in mean CCC after which to stop; 0: no early stopping.

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
        self.patience = patience
        # With SpeechBrain's default of 1e-6, an equal metric would count as an improvement.
        self.min_delta = 0.0

    # SpeechBrain's hooks for EpochCounterWithStopper are not registered: they save only the epoch,
    # so a run that stopped early would continue when restarted.
    @mark_as_saver
    def save(self, path: str) -> None:
        """Save the epoch, the best metric so far and whether to stop."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump({name: getattr(self, name) for name in STATE_FIELDS}, file)

    @mark_as_loader
    def load(self, path: str, end_of_epoch: bool) -> None:
        """Restore the counter; a checkpoint within an epoch continues with that epoch."""
        with open(path, encoding="utf-8") as file:
            for name, value in json.load(file).items():
                setattr(self, name, value)
        self.current -= not end_of_epoch
