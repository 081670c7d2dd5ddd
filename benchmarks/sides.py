"""Worker processes, each of which runs one implementation for the throughput benchmark."""

from __future__ import annotations

import ctypes
import logging
import math
import multiprocessing
import sys
import time
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from published_pipeline import BATCH, PublishedPipeline
from recipe_pipeline import RecipePipeline
from workload import SCALE, SIZES, load_published_model

SIDES = ("published", "recipe")
LABELS = {"published": "published pipeline", "recipe": "this project"}


@dataclass(frozen=True)
class Job:
    """Arguments of a worker process."""

    side: str
    size: str
    folder: Path
    device: str
    batch: int = BATCH

    def for_side(self, side: str) -> Job:
        """Return a copy of the arguments for another implementation."""
        return replace(self, side=side)


def serve(connection, job: Job) -> None:
    """Execute the requested methods of a ``Worker`` until the connection is closed."""
    try:
        worker = Worker(job)
        connection.send((True, None))
        for method, arguments in iter(connection.recv, None):
            connection.send((True, getattr(worker, method)(*arguments)))
    except EOFError:  # the parent process has ended
        return
    except Exception:  # report all errors, because the parent process waits for a reply
        connection.send((False, traceback.format_exc()))


class Worker:
    """Pipeline of one implementation, with measurement of time and peak memory."""

    def __init__(self, job: Job):
        quiet()
        self.device, self.batch, size = job.device, job.batch, SIZES[job.size]
        options = {"device": job.device, "scale": SCALE, "batch": job.batch}
        if job.side == "published":
            model = load_published_model(size, job.folder)
            self.pipeline = PublishedPipeline(model, **options)
        else:
            self.pipeline = RecipePipeline(size, job.folder, **options)

    def load(self, rows: dict, evaluated: int) -> None:
        """Load the corpus into the pipeline."""
        self.pipeline.load(rows, evaluated)

    def begin(self) -> dict[str, list[float]]:
        """Return predictions with the initial weights, then run a small warm-up step."""
        predictions = self.pipeline.evaluate()
        self.pipeline.warm_up(2)
        free_memory(self.device)
        return predictions

    def part(self, steps: int) -> dict:
        """Measure the time of a part of the epoch and of an evaluation."""
        if self.device == "cuda":  # allocate the freed memory again before timing
            self.pipeline.warm_up(self.batch)
        (names, losses), train = self._timed(self.pipeline.train, steps)
        predictions, evaluation = self._timed(self.pipeline.evaluate)
        free_memory(self.device)
        if not all(map(math.isfinite, losses)):
            raise RuntimeError(
                f"All losses must be finite; found {losses}. The speed is then meaningless."
            )
        return {
            "train": {"seconds": train, "names": names},
            "eval": {"seconds": evaluation, "names": list(predictions)},
        }

    def _timed(self, work, *arguments) -> tuple:
        self._wait()
        start = time.perf_counter()
        result = work(*arguments)
        self._wait()
        return result, time.perf_counter() - start

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def train(self, steps: int) -> None:
        """Run training steps without timing them."""
        self.pipeline.train(steps)

    def peaks(self) -> dict[str, float | None]:
        """Return the peak memory of the current process and of the device in MiB."""
        cuda = self.device == "cuda"
        device = torch.cuda.max_memory_allocated() / 2**20 if cuda else None
        return {"host": host_peak(), "device": device}


def quiet() -> None:
    """Suppress log messages and warnings from libraries."""
    logging.getLogger("speechbrain").setLevel(logging.ERROR)
    transformers.logging.disable_progress_bar()
    # This warning comes from the attention of transformers when it is first called.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)


def free_memory(device: str) -> None:
    """Return freed memory to the system so that it is available to the other implementation."""
    if device == "cuda":
        torch.cuda.empty_cache()
    trim = getattr(
        ctypes.CDLL(None), "malloc_trim", None
    )  # glibc retains gigabytes of freed memory
    if trim is not None:
        trim(0)


def host_peak() -> float:
    """Return the peak memory of the current process in MiB."""
    # Avoid getrusage if possible, because its value in a new process starts at the parent's peak.
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@contextmanager
def worker_process(job: Job):
    """Yield a function that calls a method of a ``Worker`` in a new process."""
    context = multiprocessing.get_context("spawn")
    connection, child_connection = context.Pipe()
    process = context.Process(target=serve, args=(child_connection, job))
    process.start()
    child_connection.close()

    def receive():
        try:
            success, result = connection.recv()
        except EOFError:
            process.join()
            raise RuntimeError(
                f"The worker process for the {LABELS[job.side]} ended with status "
                f"{process.exitcode}. Status -9 usually means that the machine ran out of "
                f"memory. Use a smaller --batch or --size, or stop other processes on this machine."
            ) from None
        if not success:
            raise RuntimeError(f"The worker process for the {LABELS[job.side]} failed:\n{result}")
        return result

    def call(method: str, *arguments):
        connection.send((method, arguments))
        return receive()

    try:
        receive()
        yield call
        connection.send(None)
    finally:
        connection.close()
        process.join(10)
        process.terminate()
