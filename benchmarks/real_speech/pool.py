"""Launcher that runs many short runs in few processes, which import the libraries only once."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from emosphere_sb.tables.launcher import COMMAND_PREFIX, LOG_FILE, Job


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
    os.kill(os.getpid(), signal.SIGTERM)


def run_job(job: Job) -> int:
    """Run the commands of a job, with the output in its log file.

    Returns
    -------
    int
        0, or the exit status of the first command that failed.
    """
    from emosphere_sb.recipe.main import main

    job.folder.mkdir(parents=True, exist_ok=True)
    screen = [os.dup(1), os.dup(2)]
    with open(job.folder / LOG_FILE, "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            for command in job.commands:
                print(f"\n{COMMAND_PREFIX}{shlex.join([job.corpus, *command])}", flush=True)
                if status := _exit_status(main, list(command), job.corpus):
                    return status
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), screen, strict=True):
                os.dup2(copy, number)
                os.close(copy)
    return 0


def _exit_status(main, command: list[str], corpus: str) -> int:
    import traceback

    try:
        return main(command, corpus=corpus)
    except Exception:  # the other runs continue
        traceback.print_exc()
        return 1
