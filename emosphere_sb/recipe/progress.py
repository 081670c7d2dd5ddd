"""Progress of a training run: one line per epoch, for the console and ``log.txt``."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from emosphere_sb.results.number_format import format_duration, format_score
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.training.epoch_counter import UNDEFINED_SCORE, EpochCounter

logger = logging.getLogger(__name__)


def log_epoch(
    counter: EpochCounter, train: Mapping, valid: Mapping, seconds: float, *, task: str
) -> None:
    """Log the line of an epoch, and why training stops if it stops before the last epoch.

    Arguments
    ---------
    counter : EpochCounter
        Counter after the update with the score of this epoch.
    train, valid : mapping
        Metrics of the training and the development set, as in ``train_log.txt``.
    seconds : float
        Training time of all epochs so far, over all restarts.
    task : str
        Kind of the auxiliary task, such as ``region``.
    """
    logger.info("%s", epoch_line(counter, train, valid, seconds, task=task))
    if counter.should_stop and counter.current < counter.limit:
        logger.info(
            "Stopped early after epoch %d of %d: no improvement in mean CCC for %d epochs "
            "(patience: %d).", counter.current, counter.limit,
            counter.current - counter.best_limit, counter.patience,
        )  # fmt: skip


def epoch_line(
    counter: EpochCounter, train: Mapping, valid: Mapping, seconds: float, *, task: str
) -> str:
    """Format the losses, the CCC, the best epoch so far and the time left.

    Arguments
    ---------
    counter, train, valid, seconds, task
        See :func:`log_epoch`.

    Example
    -------
    >>> counter = EpochCounter(limit=20)
    >>> counter.current, counter.best_limit, counter.best_score = 4, 3, 0.51
    >>> train = {"loss": 4.75, "regression_loss": 2.94, "auxiliary_loss": 2.26, "weight": 0.8}
    >>> valid = {"valence": 0.4, "arousal": 0.6, "dominance": 0.5, "mean_ccc": 0.5}
    >>> print(epoch_line(counter, train, valid, 240, task="region"))
    Epoch 4/20: loss 4.750 (VAD 2.940, region 2.260 with weight 0.800); valid CCC V .400, A .600, \
D .500, mean .500; best mean CCC .510 in epoch 3; 16 min left
    """
    scores = [f"{name[0].upper()} {format_score(valid[name])}" for name in DIMENSIONS]
    scores.append(f"mean {format_score(valid['mean_ccc'])}")
    best = None if counter.best_score == UNDEFINED_SCORE else counter.best_score
    parts = [
        f"Epoch {counter.current}/{counter.limit}: {_losses(train, task)}",
        f"valid CCC {', '.join(scores)}",
        f"best mean CCC {format_score(best)} in epoch {counter.best_limit}",
    ]
    left = epochs_left(counter)
    if left:
        most = "at most " if counter.patience else ""
        parts.append(f"{most}{format_duration(left * seconds / counter.current)} left")
    return "; ".join(parts)


def epochs_left(counter: EpochCounter) -> int:
    """Return the number of epochs that remain; 0 if training stops early."""
    return 0 if counter.should_stop else counter.limit - counter.current


def _losses(train: Mapping, task: str) -> str:
    """Format the joint loss and, with an auxiliary task, its terms."""
    text = f"loss {train['loss']:.3f}"
    if "auxiliary_loss" not in train:
        return text
    return (
        f"{text} (VAD {train['regression_loss']:.3f}, {task} {train['auxiliary_loss']:.3f} with "
        f"weight {train['weight']:.3f})"
    )


def log_finished(metrics: Mapping) -> None:
    """Log that a run is complete, which weights were tested, and where its results are.

    Arguments
    ---------
    metrics : mapping
        Content of ``metrics.json``.
    """
    protocol, run = metrics["protocol"], metrics["run"]
    averaged = protocol.get("averaged_epochs", ())
    if len(averaged) > 1:
        tested = f"mean weights of epochs {', '.join(map(str, averaged))}"
    elif averaged:
        tested = f"weights of the last epoch ({averaged[0]})"
    else:
        tested = f"weights of the best epoch ({protocol['best_epoch']})"
    logger.info(
        "Run complete: %s of training, %s tested. Results: %s (metrics.json, predictions/, save/)",
        format_duration(run["training_seconds"]), tested, run["folder"],
    )  # fmt: skip
