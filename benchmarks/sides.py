"""One side of the throughput benchmark, in a process of its own that the measuring one calls."""

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
from ours import Ours
from plain import BATCH, PlainPipeline
from workload import SCALE, SIZES, load_plain

SIDES = ("plain", "ours")


@dataclass(frozen=True)
class Job:
    """What a process of one side is started with."""

    side: str
    size: str
    folder: Path
    device: str
    batch: int = BATCH

    def of(self, side: str) -> Job:
        """The same for another side."""
        return replace(self, side=side)


def serve(connection, job: Job) -> None:
    """Answer calls of the methods of a ``Worker`` until there are no more."""
    try:
        worker = Worker(job)
        connection.send((True, None))
        for method, arguments in iter(connection.recv, None):
            connection.send((True, getattr(worker, method)(*arguments)))
    except EOFError:  # the measuring process is gone
        return
    except Exception:  # whatever it is, the other end must not wait for ever
        connection.send((False, traceback.format_exc()))


class Worker:
    """One side: its pipeline, its clock and its peaks of memory."""

    def __init__(self, job: Job):
        quiet()
        self.device, self.batch, size = job.device, job.batch, SIZES[job.size]
        known = {"device": job.device, "scale": SCALE, "batch": job.batch}
        if job.side == "plain":
            model = load_plain(size, job.folder)
            self.pipeline = PlainPipeline(model, **known)
        else:
            self.pipeline = Ours(size, job.folder, **known)

    def load(self, rows: dict, evaluated: int) -> None:
        """Give the pipeline its corpus."""
        self.pipeline.load(rows, evaluated)

    def begin(self) -> dict[str, list[float]]:
        """Predictions with the weights as given; then a first, small step."""
        predictions = self.pipeline.evaluate()
        self.pipeline.warm(2)
        give_back(self.device)
        return predictions

    def part(self, steps: int) -> dict:
        """A part of the epoch and an evaluation, timed."""
        if self.device == "cuda":  # whose memory was given back
            self.pipeline.warm(self.batch)
        (names, losses), train = self._timed(self.pipeline.train, steps)
        predictions, evaluation = self._timed(self.pipeline.evaluate)
        give_back(self.device)
        if not all(map(math.isfinite, losses)):
            raise RuntimeError(f"Every loss must be finite; found {losses}.")
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
        """Train without a clock."""
        self.pipeline.train(steps)

    def peaks(self) -> dict[str, float | None]:
        """The most memory held so far, in MiB: of this process, and on the device."""
        cuda = self.device == "cuda"
        device = torch.cuda.max_memory_allocated() / 2**20 if cuda else None
        return {"host": host_peak(), "device": device}


def quiet() -> None:
    """Leave out what libraries say of themselves."""
    logging.getLogger("speechbrain").setLevel(logging.ERROR)
    transformers.logging.disable_progress_bar()
    # transformers' own attention, at its first call
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)


def give_back(device: str) -> None:
    """Return freed memory to the system: while one side works, the other must not fill it."""
    if device == "cuda":
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's, which keeps gigabytes
    if trim is not None:
        trim(0)


def host_peak() -> float:
    """The most memory that this process has held, in MiB."""
    # Not getrusage where it can be helped: there a process starts with its parent's peak.
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@contextmanager
def side(job: Job):
    """A function that calls a method of a ``Worker`` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, job))
    process.start()
    there.close()

    def answer():
        try:
            good, result = here.recv()
        except EOFError:
            process.join()
            raise RuntimeError(
                f"The process of {job.side} ended with status {process.exitcode}; -9 is mostly a "
                f"lack of memory: take a smaller --batch or --size, or end what else runs here."
            ) from None
        if not good:
            raise RuntimeError(f"The process of {job.side} failed:\n{result}")
        return result

    def call(method: str, *arguments):
        here.send((method, arguments))
        return answer()

    try:
        answer()
        yield call
        here.send(None)
    finally:
        here.close()
        process.join(10)
        process.terminate()
