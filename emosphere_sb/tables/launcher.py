"""Launchers that start runs on this machine or on a Slurm cluster."""

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

LOG_FILE = "screen.txt"
"""File in a run's folder with its console output."""
COMMAND_PREFIX = "$ "
"""Prefix of each command in the log file."""
GRACE_SECONDS = 60
"""Seconds that an interrupted run has to save a checkpoint before it is killed."""


@dataclass(frozen=True)
class Job:
    """Commands that share a run folder and are therefore run sequentially.

    Arguments
    ---------
    folder : Path
        Folder of the run.
    corpus : str
        Training corpus, which selects the recipe.
    commands : tuple of tuple of str
        Arguments of the recipe for each command.
    """

    folder: Path
    corpus: str
    commands: tuple[tuple[str, ...], ...]

    def processes(self) -> list[list[str]]:
        """Return the command line of each process."""
        start = [sys.executable, "-m", "emosphere_sb.tables.run", self.corpus]
        return [[*start, *command] for command in self.commands]


class Launcher(Protocol):
    """Interface of launchers."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Run all jobs and yield each with its exit status when it has finished.

        An exception, or closing the iterator early, stops all running jobs.
        """
        ...


class LocalLauncher:
    """Launcher for this machine.

    Arguments
    ---------
    max_parallel : int
        Maximum number of parallel runs.
    gpus : sequence of str
        Values of ``CUDA_VISIBLE_DEVICES``, used in turn by parallel runs; if empty, runs use the
        CPU.

    Raises
    ------
    ValueError
        If ``max_parallel`` is not positive.
    """

    def __init__(self, max_parallel: int = 1, gpus: Sequence[str] = ()):
        if max_parallel < 1:
            raise ValueError(f"--jobs must be at least 1; found {max_parallel}.")
        self.max_parallel, self.gpus = max_parallel, tuple(gpus)
        self._running: set[subprocess.Popen] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Run jobs (see :class:`Launcher`)."""
        self._stopped = False
        slots: queue.Queue[int] = queue.Queue()
        for slot in range(self.max_parallel):
            slots.put(slot)
        ended: queue.Queue[tuple[Job, int | BaseException]] = queue.Queue()

        def work(job: Job) -> None:
            slot = slots.get()
            try:
                ended.put((job, self._run(job, slot)))
            except BaseException as error:  # re-raised in the main thread
                ended.put((job, error))
            finally:
                slots.put(slot)

        with ThreadPoolExecutor(self.max_parallel) as pool:
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
            try:  # the timeout lets Ctrl-C interrupt the loop
                return ended.get(timeout=1.0)
            except queue.Empty:
                continue

    def _run(self, job: Job, slot: int) -> int:
        """Run a job; return 0 or the exit status of the first command that fails."""
        job.folder.mkdir(parents=True, exist_ok=True)
        for command in job.processes():
            with open(job.folder / LOG_FILE, "ab", buffering=0) as log:
                log.write(f"\n{COMMAND_PREFIX}{shlex.join(command)}\n".encode())
                process = self._start(command, log, slot)
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

    def _start(self, command: Sequence[str], log, slot: int) -> subprocess.Popen | None:
        with self._lock:
            if self._stopped:
                return None
            # The run stops when its standard input is closed, which also happens if this process
            # is killed: no run continues without its launcher.
            process = subprocess.Popen(
                command, env=self.environment(slot), stdin=subprocess.PIPE, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
            return process

    def environment(self, slot: int) -> dict[str, str]:
        """Return the environment variables of a run, with its GPU or its number of CPU threads."""
        environment = dict(os.environ)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        elif self.max_parallel > 1 and "OMP_NUM_THREADS" not in environment:
            # Oversubscribed cores would slow down all runs.
            environment["OMP_NUM_THREADS"] = str(max(1, available_cores() // self.max_parallel))
        return environment

    def _stop(self) -> None:
        """Interrupt all running processes and wait until they have saved and exited."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class SlurmLauncher:
    """Launcher for a Slurm cluster. Requires submitit (the ``slurm`` extra).

    Arguments
    ---------
    folder : path
        Folder for submitit's files, on a file system that all nodes share.
    parameters : mapping
        Parameters of ``submitit.AutoExecutor.update_parameters``, such as ``timeout_min``,
        ``gpus_per_node`` and ``slurm_partition``.
    cluster : str
        ``slurm``, or ``local`` to start local processes in tests.
    seconds : float
        Interval between checks of the queue in seconds.

    Raises
    ------
    ImportError
        If submitit is not installed.
    ValueError
        If submitit rejects a parameter.
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
                "--launcher=slurm requires submitit: pip install 'emosphere-sb[slurm]'"
            ) from error
        self.seconds = seconds
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
            self._executor.update_parameters(**(parameters or {}))
        except (RuntimeError, NameError, TypeError, AssertionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"--slurm: submitit rejected the parameters: {reason}") from error

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Run jobs (see :class:`Launcher`). Unfinished jobs are cancelled on exit."""
        from submitit.helpers import CommandFunction

        for job in jobs:
            job.folder.mkdir(parents=True, exist_ok=True)
        with self._executor.batch():
            handles = [
                (
                    job,
                    self._executor.submit(CommandFunction(command, cwd=os.getcwd())),
                )
                for job, command in ((job, _sequential_command(job)) for job in jobs)
            ]
        waiting = list(handles)
        try:
            while waiting:
                finished = [pair for pair in waiting if pair[1].done()]
                for job, handle in finished:
                    waiting.remove((job, handle))
                    yield job, self._status(job, handle)
                if waiting and not finished:
                    time.sleep(self.seconds)
        finally:
            for _, handle in waiting:
                handle.cancel()

    @staticmethod
    def _status(job: Job, handle) -> int:
        """Return 0, or 1 if the job failed, and append its output to the run's log file."""
        error = handle.exception()
        output = "\n".join(text for text in (handle.stdout(), handle.stderr()) if text)
        with open(job.folder / LOG_FILE, "a", encoding="utf-8") as log:
            log.write(f"\n{COMMAND_PREFIX}{shlex.join(_sequential_command(job))}\n{output}\n")
        return 0 if error is None else 1


def _sequential_command(job: Job) -> list[str]:
    """Return a single command that runs all commands of a job until one fails."""
    lines = " && ".join(shlex.join(command) for command in job.processes())
    # srun closes the standard input of its tasks immediately, which would stop the run.
    return ["/bin/sh", "-c", f"exec < /dev/null; {lines}"]


def available_cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the GPUs in the format of ``CUDA_VISIBLE_DEVICES``, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    gpus = [line for line in run.stdout.splitlines() if line.startswith("GPU ")]  # no MIG devices
    return [str(number) for number, _ in enumerate(gpus)]
