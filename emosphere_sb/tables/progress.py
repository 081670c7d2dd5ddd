"""Progress of a table's runs, with an estimate of the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emosphere_sb.results.number_format import format_duration
from emosphere_sb.tables.launcher import Job


class Progress:
    """Progress in runs. Unfinished runs count in proportion to their finished epochs.

    Arguments
    ---------
    jobs : sequence of Job
        All jobs to run.
    epochs : mapping of Path to int
        Number of epochs of each job, by folder.
    log : callable
        Function that is called with each line of output.
    clock : callable
        Function that returns the time in seconds.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        epochs: Mapping[Path, int],
        *,
        log: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.jobs, self.epochs, self.log, self.clock = list(jobs), dict(epochs), log, clock
        self.ended: set[Path] = set()
        self.started = clock()
        self._before = self.done()

    def done(self) -> float:
        """Return the number of finished runs, plus the finished fractions of the others."""
        return sum(self._fraction(job) for job in self.jobs)

    def _fraction(self, job: Job) -> float:
        if job.folder in self.ended:
            return 1.0
        return min(0.95, epochs_done(job.folder) / self.epochs[job.folder])

    def seconds_left(self) -> float | None:
        """Return the estimated remaining time in seconds; ``None`` before any progress."""
        done = self.done()
        gained, seconds = done - self._before, self.clock() - self.started
        if gained <= 0 or seconds <= 0:
            return None
        return (len(self.jobs) - done) * seconds / gained

    def end(self, job: Job, text: str) -> None:
        """Record that a job has finished, and log it."""
        self.ended.add(job.folder)
        self.log(f"[{len(self.ended)}/{len(self.jobs)}] {text}; {self.estimate()}")

    def estimate(self) -> str:
        """Return the estimate of the remaining time as text."""
        if len(self.ended) == len(self.jobs):
            return "all finished"
        left = self.seconds_left()
        return "no estimate yet" if left is None else f"about {format_duration(left)} left"


def epochs_done(folder: Path) -> int:
    """Return the number of finished epochs of a run, from its training log."""
    log = folder / "train_log.txt"
    if not log.is_file():
        return 0
    return log.read_text(encoding="utf-8").count("epoch: ")
