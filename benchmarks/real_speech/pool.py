"""Launcher that runs many short runs in few processes, which import the libraries only once."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.tables.launcher import COMMAND_PREFIX, GRACE_SECONDS, LOG_FILE, Job
from emosphere_sb.training.preemption import EXIT_STOPPED

CPU_FILE = "cpu_seconds.txt"
"""File in a run's folder with its CPU time, which does not depend on the load of the machine."""


class PoolLauncher:
    """Launcher for :func:`emosphere_sb.tables.jobs.run_jobs` with long-lived processes.

    Arguments
    ---------
    processes : int
        Number of parallel runs.
    """

    def __init__(self, processes: int):
        self.processes = processes

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Run jobs in order and yield each with its exit status when it has finished."""
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.processes, context, initializer=stop_with_parent)
        try:
            pending = {pool.submit(run_job, job): job for job in jobs}
            for future in as_completed(pending):
                yield pending[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def stop_with_parent() -> None:
    """Stop this process, as after SIGTERM, when the parent process ends for any reason."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)  # a run saves a checkpoint
    time.sleep(GRACE_SECONDS)
    os._exit(EXIT_STOPPED)


def run_job(job: Job) -> int:
    """Run the commands of a job, with the output in its log file.

    Returns
    -------
    int
        0, or the exit status of the first command that failed.
    """
    from emosphere_sb.recipe.main import main

    job.folder.mkdir(parents=True, exist_ok=True)
    screen, start = [os.dup(1), os.dup(2)], time.process_time()
    with open(job.folder / LOG_FILE, "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            for command in job.commands:
                print(f"\n{COMMAND_PREFIX}{shlex.join([job.corpus, *command])}", flush=True)
                if status := _exit_status(main, list(command), job.corpus):
                    return status
        finally:
            gc.collect()  # models are part of reference cycles
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), screen, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            earlier = cpu_seconds(job.folder)
            atomic_write(job.folder / CPU_FILE, str(earlier + time.process_time() - start))
    return 0


def cpu_seconds(folder: Path) -> float:
    """Return the CPU time of a run in seconds; 0 if it is unknown."""
    file = folder / CPU_FILE
    return float(file.read_text(encoding="utf-8")) if file.is_file() else 0.0


def _exit_status(main, command: list[str], corpus: str) -> int:
    import traceback

    try:
        return main(command, corpus=corpus)
    except Exception:  # the other runs continue
        traceback.print_exc()
        return 1
