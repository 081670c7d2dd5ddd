"""What is done and how long the rest will take, said while a table's runs go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emosphere_sb.tables.launcher import Job


class Progress:
    """Counts runs, with a part for each epoch of those that are under way.

    Arguments
    ---------
    jobs : sequence of Job
        All that are to be run.
    epochs : mapping of Path to int
        For each job's folder the number of its epochs.
    say : callable
        Takes each line.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        epochs: Mapping[Path, int],
        *,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.jobs, self.epochs, self.say, self.clock = list(jobs), dict(epochs), say, clock
        self.ended: set[Path] = set()
        self.started = clock()
        self._before = self.done()

    def done(self) -> float:
        """Runs that have ended, and the parts of those under way."""
        return sum(self._part(job) for job in self.jobs)

    def _part(self, job: Job) -> float:
        if job.folder in self.ended:
            return 1.0
        return min(0.95, epochs_done(job.folder) / self.epochs[job.folder])

    def left(self) -> float | None:
        """Seconds that the rest takes at the speed so far; ``None`` before anything was done."""
        done = self.done()
        gained, seconds = done - self._before, self.clock() - self.started
        if gained <= 0 or seconds <= 0:
            return None
        return (len(self.jobs) - done) * seconds / gained

    def end(self, job: Job, text: str) -> None:
        """Say that a job has ended."""
        self.ended.add(job.folder)
        self.say(f"[{len(self.ended)}/{len(self.jobs)}] {text}; {self.estimate()}")

    def estimate(self) -> str:
        """The time left, in words."""
        if len(self.ended) == len(self.jobs):
            return "all are done"
        left = self.left()
        return "no estimate yet" if left is None else f"about {duration(left)} left"


def epochs_done(folder: Path) -> int:
    """Epochs of a run so far: lines of its log."""
    log = folder / "train_log.txt"
    if not log.is_file():
        return 0
    return log.read_text(encoding="utf-8").count("epoch: ")


def duration(seconds: float) -> str:
    """A time in the unit that fits.

    Example
    -------
    >>> duration(42), duration(150), duration(9000), duration(200_000)
    ('42 s', '2.5 min', '2.5 h', '2.3 days')
    """
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
