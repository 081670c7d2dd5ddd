"""Run loggers whose logs stay consistent with the checkpoint after a restart."""

from __future__ import annotations

from pathlib import Path

from speechbrain.utils.train_logger import FileTrainLogger, TensorboardLogger

from emosphere_sb import distributed
from emosphere_sb.fileio.atomic import atomic_write


def make_loggers(folder: Path, tensorboard: bool) -> list:
    """Create SpeechBrain's file logger and, optionally, its TensorBoard logger.

    Arguments
    ---------
    folder : path
        Output folder of the run.
    tensorboard : bool
        Whether to write TensorBoard logs as well.
    """
    loggers = [FileTrainLogger(str(folder / "train_log.txt"))]
    if tensorboard:
        loggers.append(TensorboardLogger(str(folder / "tensorboard")))
    return loggers


class LogState:
    """State of the logs, saved in checkpoints so that a restarted run logs each epoch once."""

    def __init__(self, loggers: list):
        self.loggers = loggers

    def state_dict(self) -> dict:
        """Return the text of the log file and the step of each TensorBoard logger."""
        path = Path(self.loggers[0].save_file)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return {"text": text, "steps": [log.global_step for log in self.loggers[1:]]}

    def load_state_dict(self, state: dict) -> None:
        """Remove log entries that were written after the checkpoint."""
        self._write(state["text"])
        # Not strict: TensorBoard may have been enabled since then.
        for log, steps in zip(self.loggers[1:], state["steps"], strict=False):
            log.global_step = steps

    def clear(self) -> None:
        """Empty the log file: a run without a checkpoint starts from scratch."""
        self._write("")

    def _write(self, text: str) -> None:
        path = Path(self.loggers[0].save_file)
        if distributed.is_main_process() and (text or path.is_file()):
            atomic_write(path, text)
