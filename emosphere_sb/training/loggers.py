"""Run loggers whose logs stay consistent with the checkpoint after a restart."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from speechbrain.utils.train_logger import (
    FileTrainLogger,
    TensorboardLogger,
    TrainLogger,
    WandBLogger,
)

from emosphere_sb import distributed
from emosphere_sb.fileio.atomic import atomic_write

LOGGERS = ("tensorboard", "wandb")
"""Loggers that can be used in addition to ``train_log.txt``; each needs the extra of this name."""
WANDB_PROJECT = "emosphere"
"""Project of runs in Weights & Biases if the environment variable ``WANDB_PROJECT`` is not set."""

PLAIN_TYPES = (str, int, float, list, type(None))


class WandBRunLogger(TrainLogger):
    """SpeechBrain's Weights & Biases logger, for a run that continues after a restart.

    The run starts with :meth:`start`, because its ID may come from a checkpoint. Console output is
    not uploaded.

    Arguments
    ---------
    folder : path
        Output folder of the run. The run is named after it, and local files are written to the
        subfolder ``wandb``.
    settings : mapping
        Hyperparameters. The plain values are the configuration of the run.

    Attributes
    ----------
    id : str or None
        ID of the run; None for a new run that has not started.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder, self.id = Path(folder), None
        self.settings = {k: v for k, v in settings.items() if isinstance(v, PLAIN_TYPES)}
        self._logger: WandBLogger | None = None

    def start(self) -> None:
        """Start the run, or continue it if it has an ID.

        Raises
        ------
        ValueError
            If the run cannot be started, for example without an account.
        """
        self.id = self.id or uuid.uuid4().hex[:8]
        if not distributed.is_main_process():
            return
        import wandb

        try:
            run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", WANDB_PROJECT),
                name="/".join(self.folder.absolute().parts[-4:]),
                id=self.id, resume="allow", dir=str(self.folder), config=self.settings,
                settings=wandb.Settings(console="off"),
            )  # fmt: skip
        except wandb.Error as error:
            raise ValueError(
                f"Could not start a run in Weights & Biases ({error}). Log in with `wandb login`, "
                f"set the environment variable WANDB_MODE=offline, or remove --logger=wandb."
            ) from error
        self._logger = WandBLogger(lambda: run)  # its own error message is broken

    def log_stats(
        self, stats_meta, train_stats=None, valid_stats=None, test_stats=None, verbose=False
    ) -> None:
        """Log the metrics of an epoch; see ``speechbrain.utils.train_logger.TrainLogger``."""
        if self._logger is not None:
            self._logger.log_stats(stats_meta, train_stats, valid_stats, test_stats, verbose)

    def close(self, status: int = 0) -> None:
        """Write the remaining data, and mark the run as finished (0) or failed."""
        if self._logger is not None:
            self._logger.run.finish(exit_code=status)
            self._logger = None


def make_loggers(folder: Path, kind: str | None, settings: Mapping[str, Any] | None = None) -> list:
    """Create SpeechBrain's file logger and, optionally, another one.

    Arguments
    ---------
    folder : path
        Output folder of the run.
    kind : str, optional
        One of :data:`LOGGERS`. (default: only the file logger)
    settings : mapping, optional
        Hyperparameters, for W&B.

    Raises
    ------
    ImportError
        If the package of a logger is not installed.
    """
    loggers: list = [FileTrainLogger(str(folder / "train_log.txt"))]
    if kind is not None and find_spec(kind) is None:
        raise ImportError(
            f"--logger={kind} requires the package {kind}. Install it with: pip install "
            f"'emosphere-sb[{kind}]'."
        )
    if kind == "tensorboard":
        loggers.append(TensorboardLogger(str(folder / "tensorboard")))
    elif kind == "wandb":
        loggers.append(WandBRunLogger(folder, settings or {}))
    return loggers


class LogState:
    """State of the logs, saved in checkpoints so that a restarted run logs each epoch once.

    The additional logger may differ between restarts.

    Arguments
    ---------
    loggers : list
        Result of :func:`make_loggers`.
    """

    def __init__(self, loggers: list):
        self.loggers = loggers
        self._wandb_id: str | None = None  # retained while another logger is used

    def state_dict(self) -> dict:
        """Return the text of the log file, the steps of TensorBoard and the ID of the W&B run."""
        path = Path(self.loggers[0].save_file)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        ids = [log.id for log in self._of(WandBRunLogger)]
        return {
            "text": text,
            "steps": [log.global_step for log in self._of(TensorboardLogger)],
            "wandb_id": ids[0] if ids else self._wandb_id,
        }

    def load_state_dict(self, state: dict) -> None:
        """Remove log entries that were written after the checkpoint."""
        self._write(state["text"])
        # Not strict: TensorBoard may have been enabled since then.
        for log, steps in zip(self._of(TensorboardLogger), state["steps"], strict=False):
            log.global_step = steps
        self._wandb_id = state.get("wandb_id")  # not in checkpoints of earlier versions
        for log in self._of(WandBRunLogger):
            log.id = self._wandb_id

    def clear(self) -> None:
        """Empty the log file: a run without a checkpoint starts from scratch."""
        self._write("")

    @contextmanager
    def close_at_end(self) -> Iterator[None]:
        """Close the additional logger when the context exits."""
        try:
            yield
        except BaseException:
            self._close(status=1)
            raise
        self._close(status=0)

    def start(self) -> None:
        """Start the additional logger, after the state is loaded or cleared."""
        for log in self._of(WandBRunLogger):
            log.start()

    def _close(self, status: int) -> None:
        for log in self._of(WandBRunLogger):
            log.close(status)
        for log in self._of(TensorboardLogger):
            if log.writer is not None:  # only the main process writes
                log.writer.close()

    def _of(self, kind: type) -> list:
        return [log for log in self.loggers if isinstance(log, kind)]

    def _write(self, text: str) -> None:
        path = Path(self.loggers[0].save_file)
        if distributed.is_main_process() and (text or path.is_file()):
            atomic_write(path, text)
