"""Profile of training steps: time of the GPU's kernels, launches and synchronisations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

TOP = 5  # number of kernels and operations that are listed


class TimedIterator:
    """Iterator that measures the time spent waiting for its items.

    Attributes
    ----------
    seconds : float
        Total time in s.
    """

    def __init__(self, items: Iterator):
        self.items, self.seconds = items, 0.0

    def __iter__(self) -> TimedIterator:
        return self

    def __next__(self) -> object:
        start = time.perf_counter()
        try:
            return next(self.items)
        finally:
            self.seconds += time.perf_counter() - start


def profile_steps(pipeline, steps: int, device: str) -> dict:
    """Profile the next training steps of a pipeline.

    The same batches are used three times: for warm-up, to measure the time, and in the profiler,
    which itself takes time. They are in memory, so the data loader has no effect.

    Arguments
    ---------
    pipeline : PublishedPipeline or RecipePipeline
        Pipeline with loaded rows.
    steps : int
        Number of steps.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        Results per step: ``step_seconds``; on a GPU also ``device_seconds`` (time of the kernels),
        ``busy`` (their share of the time), and the numbers of ``launches`` and
        ``synchronisations``. The lists ``kernels`` (on a GPU) and ``operations`` contain names and
        times in s of the most expensive ones.
    """
    batches = list(itertools.islice(pipeline.batches, steps))
    pipeline.batches, remaining = itertools.chain(batches, batches, batches), pipeline.batches
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    pipeline.train(steps)
    seconds = timed(lambda: pipeline.train(steps), device)
    with profile(activities=activities) as profiler:
        timed(lambda: pipeline.train(steps), device)
    pipeline.batches = remaining
    events = profiler.key_averages()
    found = {"step_seconds": seconds / steps}
    if device != "cuda":
        times = {event.key: event.self_cpu_time_total for event in events}
        return found | {"operations": most_expensive(times, steps)}
    on_device = [event for event in events if event.device_type == DeviceType.CUDA]
    # Annotations of a range, such as that of an optimiser step, contain kernels.
    kernels = {e.key: e.self_device_time_total for e in on_device if not is_annotation(e)}
    others = [event for event in events if event.device_type != DeviceType.CUDA]
    operations = {event.key: event.self_device_time_total for event in others if "::" in event.key}
    on_gpu = sum(kernels.values()) / 1e6
    return found | {
        "device_seconds": on_gpu / steps,
        "busy": on_gpu / seconds,
        "launches": sum(e.count for e in others if "LaunchKernel" in e.key) / steps,
        "synchronisations": sum(e.count for e in others if "Synchronize" in e.key) / steps,
        "kernels": most_expensive(kernels, steps),
        "operations": most_expensive(operations, steps),
    }


def timed(work: Callable[[], object], device: str) -> float:
    """Run a function, wait for the GPU, and return the duration in s."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Wait until the GPU has finished all work."""
    if device == "cuda":
        torch.cuda.synchronize()


def is_annotation(event) -> bool:
    """Return whether an event on the GPU is a range of kernels and not a kernel."""
    return getattr(event, "is_user_annotation", False) or event.key.startswith("Optimizer.")


def most_expensive(microseconds: dict[str, float], steps: int) -> list[tuple[str, float]]:
    """Return the names and the times per step in s of the most expensive entries."""
    order = sorted(microseconds.items(), key=lambda item: item[1], reverse=True)
    return [(name[:120], spent / 1e6 / steps) for name, spent in order[:TOP]]
