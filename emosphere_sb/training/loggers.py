"""The log of a run, which goes on where its checkpoint stands."""

from __future__ import annotations

from pathlib import Path

from speechbrain.utils.train_logger import FileTrainLogger, TensorboardLogger

from emosphere_sb import distributed
from emosphere_sb.fileio.atomic import atomic_write


def make_loggers(folder: Path, tensorboard: bool) -> list:
    """SpeechBrain's file logger, and its TensorBoard logger where that is asked for."""
    loggers = [FileTrainLogger(str(folder / "train_log.txt"))]
    if tensorboard:
        loggers.append(TensorboardLogger(str(folder / "tensorboard")))
    return loggers


class LogState:
    """What the logs held at a checkpoint: a restarted run writes no epoch twice."""

    def __init__(self, loggers: list):
        self.loggers = loggers

    def state_dict(self) -> dict:
        """Text of the log file; steps that TensorBoard has seen."""
        path = Path(self.loggers[0].save_file)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return {"text": text, "steps": [log.global_step for log in self.loggers[1:]]}

    def load_state_dict(self, state: dict) -> None:
        """Take back what was written behind the checkpoint."""
        self._write(state["text"])
        # Not strict: TensorBoard may have been asked for meanwhile.
        for log, steps in zip(self.loggers[1:], state["steps"], strict=False):
            log.global_step = steps

    def clear(self) -> None:
        """Begin anew: what a run wrote before its first checkpoint is written again."""
        self._write("")

    def _write(self, text: str) -> None:
        path = Path(self.loggers[0].save_file)
        if distributed.is_main_process() and (text or path.is_file()):
            atomic_write(path, text)
