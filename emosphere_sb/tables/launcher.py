"""Where runs are started: on this machine, some at a time, or on a Slurm cluster."""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SCREEN = "screen.txt"
"""In a run's folder: what it said."""
BEGUN = "$ "
"""Stands before each command there."""
GRACE = 60
"""Seconds that a run has to save when it is told to stop."""


@dataclass(frozen=True)
class Job:
    """Runs that share a folder, and so go one after the other.

    Arguments
    ---------
    folder : Path
        Of the runs.
    corpus : str
        Whose recipe.
    commands : tuple of tuple of str
        Arguments of the recipe, one command after the other.
    """

    folder: Path
    corpus: str
    commands: tuple[tuple[str, ...], ...]

    def processes(self) -> list[list[str]]:
        """The command lines of the processes."""
        start = [sys.executable, "-m", "emosphere_sb.tables.run", self.corpus]
        return [[*start, *command] for command in self.commands]


class Launcher(Protocol):
    """Runs jobs and says which has ended."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Run all jobs; yields each with its exit status as it ends.

        Leaving the iterator (an exception, ``close``) stops what is running.
        """
        ...


class LocalLauncher:
    """Runs on this machine.

    Arguments
    ---------
    at_once : int
        How many at a time.
    gpus : sequence of str
        What ``CUDA_VISIBLE_DEVICES`` may hold: each run gets one of them; none: the CPU.

    Raises
    ------
    ValueError
        If ``at_once`` is not positive.
    """

    def __init__(self, at_once: int = 1, gpus: Sequence[str] = ()):
        if at_once < 1:
            raise ValueError(f"--jobs must be at least 1; found {at_once}.")
        self.at_once, self.gpus = at_once, tuple(gpus)
        self._running: set[subprocess.Popen] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """See :class:`Launcher`."""
        self._stopped = False
        slots: queue.Queue[int] = queue.Queue()
        for slot in range(self.at_once):
            slots.put(slot)
        ended: queue.Queue[tuple[Job, int | BaseException]] = queue.Queue()

        def work(job: Job) -> None:
            slot = slots.get()
            try:
                ended.put((job, self._run(job, slot)))
            except BaseException as error:  # handed on, or the other thread waits on
                ended.put((job, error))
            finally:
                slots.put(slot)

        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                for job in jobs:
                    pool.submit(work, job)
                for _ in jobs:
                    job, status = self._next(ended)
                    if isinstance(status, BaseException):
                        raise status
                    yield job, status
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()

    @staticmethod
    def _next(ended: queue.Queue) -> tuple:
        while True:
            try:  # with a limit, so that Ctrl-C is seen
                return ended.get(timeout=1.0)
            except queue.Empty:
                continue

    def _run(self, job: Job, slot: int) -> int:
        """One job; the status of the first command that fails, 0 where none does."""
        job.folder.mkdir(parents=True, exist_ok=True)
        for command in job.processes():
            with open(job.folder / SCREEN, "ab", buffering=0) as screen:
                screen.write(f"\n{BEGUN}{shlex.join(command)}\n".encode())
                process = self._start(command, screen, slot)
                if process is None:
                    return -signal.SIGTERM
                try:
                    status = process.wait()
                finally:
                    with self._lock:
                        self._running.discard(process)
                    process.stdin.close()
            if status:
                return status
        return 0

    def _start(self, command: Sequence[str], screen, slot: int) -> subprocess.Popen | None:
        with self._lock:
            if self._stopped:
                return None
            # Its standard input is this process's sign of life: the run stops where it closes, so
            # that no run is left behind when this process is killed.
            process = subprocess.Popen(
                command, env=self.environment(slot), stdin=subprocess.PIPE, stdout=screen,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
            return process

    def environment(self, slot: int) -> dict[str, str]:
        """Of a run: its GPU, or its share of the cores."""
        environment = dict(os.environ)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        elif self.at_once > 1 and "OMP_NUM_THREADS" not in environment:
            # Runs that share cores wait for one another's threads.
            environment["OMP_NUM_THREADS"] = str(max(1, cores() // self.at_once))
        return environment

    def _stop(self) -> None:
        """Tell what runs to save and leave, and wait for it."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()


class SlurmLauncher:
    """Runs on a Slurm cluster, through submitit (the extra ``slurm``).

    Arguments
    ---------
    folder : path
        For submitit's files; on a disk that all machines share.
    parameters : mapping
        Of ``submitit.AutoExecutor.update_parameters``, such as ``timeout_min``, ``gpus_per_node``,
        ``slurm_partition``.
    cluster : str
        ``slurm``; ``local`` starts processes here, for tests.
    seconds : float
        Between two looks at the queue.

    Raises
    ------
    ImportError
        If submitit is not installed.
    ValueError
        If submitit does not take a parameter.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, Any] | None = None,
        *,
        cluster: str = "slurm",
        seconds: float = 10.0,
    ):
        try:
            import submitit
        except ImportError as error:
            raise ImportError(
                "--launcher=slurm needs submitit: pip install 'emosphere-sb[slurm]'"
            ) from error
        self.seconds = seconds
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
            self._executor.update_parameters(**(parameters or {}))
        except (RuntimeError, NameError, TypeError, AssertionError) as error:
            raise ValueError(f"--slurm: submitit says: {' '.join(str(error).split())}") from error

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """See :class:`Launcher`. Jobs that wait or run are cancelled when the iterator is left."""
        from submitit.helpers import CommandFunction

        for job in jobs:
            job.folder.mkdir(parents=True, exist_ok=True)
        with self._executor.batch():
            handles = [
                (job, self._executor.submit(CommandFunction(_in_order(job), cwd=os.getcwd())))
                for job in jobs
            ]
        waiting = list(handles)
        try:
            while waiting:
                over = [pair for pair in waiting if pair[1].done()]
                for job, handle in over:
                    waiting.remove((job, handle))
                    yield job, self._status(job, handle)
                if waiting and not over:
                    time.sleep(self.seconds)
        finally:
            for _, handle in waiting:
                handle.cancel()

    @staticmethod
    def _status(job: Job, handle) -> int:
        """0, or 1 where the job failed; what it said stands in the run's folder."""
        error = handle.exception()
        said = "\n".join(text for text in (handle.stdout(), handle.stderr()) if text)
        with open(job.folder / SCREEN, "a", encoding="utf-8") as screen:
            screen.write(f"\n{BEGUN}{shlex.join(_in_order(job))}\n{said}\n")
        return 0 if error is None else 1


def _in_order(job: Job) -> list[str]:
    """All commands of a job as one, which ends with the first that fails."""
    lines = " && ".join(shlex.join(command) for command in job.processes())
    # srun gives its tasks a pipe that is closed at once: no sign that a parent has gone.
    return ["/bin/sh", "-c", f"exec < /dev/null; {lines}"]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs of this machine, as ``CUDA_VISIBLE_DEVICES`` names them, without importing torch."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1")]
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    cards = [line for line in run.stdout.splitlines() if line.startswith("GPU ")]  # not their parts
    return [str(number) for number, _ in enumerate(cards)]
