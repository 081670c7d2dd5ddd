"""Counting epochs: SpeechBrain's counter with early stopping as a setting."""

from __future__ import annotations

from speechbrain.utils.epoch_loop import EpochCounterWithStopper


class EpochCounter(EpochCounterWithStopper):
    """Counts to ``limit``, and stops after ``patience`` epochs without a better mean CCC.

    Arguments
    ---------
    limit : int
        Number of epochs.
    patience : int
        0: never stop early.
    """

    def __init__(self, limit: int, patience: int = 0):
        super().__init__(
            limit, limit_to_stop=patience or limit + 1, limit_warmup=0, direction="max"
        )
