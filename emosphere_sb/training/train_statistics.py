"""Sums of the training losses over a step and an epoch, for the log."""

from __future__ import annotations

from collections import defaultdict

LOSS_SUMS = ("regression_loss", "undefined", "auxiliary_loss", "objectives")
"""Values summed over the CCC windows of a step, and then over the steps of an epoch."""


class TrainStatistics:
    """Sums of losses over the current step and over the epoch so far.

    After a step, the sums are equal in all processes. The sums of the epoch are saved in
    checkpoints, so the log of a resumed epoch equals that of an uninterrupted one.

    Attributes
    ----------
    step : dict
        Sums of :data:`LOSS_SUMS` over the CCC windows of the current step.
    epoch : dict
        Sums of :data:`LOSS_SUMS` over the steps of the epoch, and the number of completed
        ``steps``, of skipped steps (``left_out``), and of steps with a ``nonfinite`` loss or
        gradient.

    Example
    -------
    >>> statistics = TrainStatistics()
    >>> for loss in (1.0, 2.0):
    ...     statistics.start_step()
    ...     statistics.add(regression_loss=loss, undefined=0, objectives=1)
    ...     statistics.end_step()
    >>> statistics.metrics(1.5)
    {'loss': 1.5, 'regression_loss': 1.5}
    """

    def __init__(self):
        self.step: dict = defaultdict(float)
        self.epoch: dict = defaultdict(float)

    def start_epoch(self) -> None:
        """Reset the sums of the epoch."""
        self.epoch = defaultdict(float)

    def start_step(self) -> None:
        """Reset the sums of the step."""
        self.step.clear()

    def add(self, **values) -> None:
        """Add to the sums of the step, by name."""
        for name, value in values.items():
            self.step[name] += value

    def end_step(self) -> None:
        """Add a completed step to the epoch."""
        self.epoch["steps"] += 1
        for name in LOSS_SUMS:
            self.epoch[name] += self.step[name]

    def skip_step(self) -> None:
        """Count a step that did not update the weights."""
        self.epoch["left_out"] += 1

    def count_nonfinite(self) -> int:
        """Count a step with a non-finite loss or gradient; return the number in this epoch."""
        self.epoch["nonfinite"] += 1
        return int(self.epoch["nonfinite"])

    def check_any_step(self, epoch: int) -> None:
        """Check that at least one step of the epoch was completed.

        Raises
        ------
        ValueError
            If all steps were skipped.
        """
        if not self.epoch["steps"] and self.epoch["left_out"]:
            raise ValueError(
                f"No step of epoch {epoch} had a finite loss and gradient. Check the audio for NaN "
                f"samples and lower the learning rate."
            )

    def metrics(self, loss: float, *, weight: float | None = None) -> dict:
        """Compute the mean losses of the epoch for the log.

        Arguments
        ---------
        loss : float
            Mean of the joint loss.
        weight : float
            Weight of the auxiliary loss. (default: the auxiliary loss is not logged)
        """
        sums = defaultdict(float, self.state_dict())
        count = max(sums["objectives"], 1)
        metrics = {"loss": loss, "regression_loss": sums["regression_loss"] / count}
        if weight is not None:
            metrics["auxiliary_loss"] = sums["auxiliary_loss"] / count
            metrics["weight"] = weight
        if sums["undefined"]:
            metrics["undefined_ccc"] = int(sums["undefined"])
        return metrics

    def state_dict(self) -> dict[str, float]:
        """Return the sums of the epoch."""
        return {name: float(value) for name, value in self.epoch.items()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the sums of the epoch."""
        self.epoch = defaultdict(float, state)
