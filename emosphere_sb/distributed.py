"""Communication between the processes of one run, through ``torch.distributed``.

``torchrun`` starts the processes; with a single process these functions return immediately.

Instead of ``DistributedDataParallel``, gradients are summed once per step after the last backward
pass. Each process differentiates the loss of the entire effective batch with respect to its own
share, so the sum is the gradient of that loss for any number of processes. This supports empty
shares, unused parameters and a second forward pass; see
:meth:`emosphere_sb.training.brain.EmoSphereBrain.fit_batch`.
"""

from __future__ import annotations

import datetime
import importlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_SIZE = 8 * 2**20
"""Number of gradient values per all-reduce call: 32 MB in float32."""

TIMEOUT = datetime.timedelta(hours=12)
"""Timeout of collective operations. It is long, because the other processes wait while the first
prepares a corpus."""

TORCHRUN_VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that torchrun sets in each process, in addition to ``WORLD_SIZE``."""

DISK_SECONDS = 60
"""Maximum time in seconds to wait for a file on a shared disk to become visible on all machines."""


def rank() -> int:
    """Return the global rank of this process; 0 without distributed training."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes on all machines; 1 without distributed training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    """Return whether this process is the one that writes files and logs (rank 0)."""
    return rank() == 0


def init_distributed(options: dict) -> None:
    """Initialise the process group and select the device if torchrun started this process.

    Arguments
    ---------
    options : dict
        SpeechBrain's run options. ``device`` and ``distributed_backend`` are read and set.

    Raises
    ------
    ValueError
        If several processes are requested but were not started by torchrun, if the backend is
        unknown or does not support the device, or if this machine has fewer GPUs than processes.
    """
    absent = [name for name in TORCHRUN_VARIABLES if name not in os.environ]
    if absent and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but these variables are not set: "
            f"{', '.join(absent)}. Use torchrun to start several processes; see "
            f"docs/distributed.md."
        )
    if absent:
        return
    cpu = options.get("device") == "cpu" or not torch.cuda.is_available()
    backend = options.setdefault("distributed_backend", "gloo" if cpu else "nccl")
    if backend not in ("gloo", "nccl") or (cpu and backend == "nccl"):
        raise ValueError(
            f"--distributed_backend must be nccl (GPUs only) or gloo; found {backend} on "
            f"{'the CPU' if cpu else 'GPUs'}."
        )
    options["device"] = "cpu" if cpu else _local_gpu(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        # Import before the group exists. The default arguments of this module's functions refer to
        # the group that exists at import, so it would survive destroy_process_group, and gloo's
        # threads would abort the interpreter at exit.
        importlib.import_module("torch.distributed.nn.functional")
        bound = {"device_id": torch.device(options["device"])} if backend == "nccl" else {}
        dist.init_process_group(backend, timeout=TIMEOUT, **bound)


def _local_gpu(local: int) -> str:
    """Return the device of the process with this local rank."""
    count = torch.cuda.device_count()
    if local >= count:
        raise ValueError(
            f"Each process needs its own GPU; this machine has {count}. Reduce --nproc_per_node to "
            f"{count}, or train with --device=cpu."
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def destroy_distributed() -> None:
    """Destroy the process group, if any, and stop its threads."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_peer_failure(error: RuntimeError) -> bool:
    """Return whether an error was caused by the failure of another process."""
    return world_size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error))


def barrier() -> None:
    """Wait until all processes have reached this point."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def local_rank_first() -> Iterator[bool]:
    """Run a block in the first process of each node, then in the other processes.

    This is used for files that one process downloads or writes and all others read. The nodes run
    one after the other, because they may share a disk.

    Yields
    ------
    bool
        Whether this process is the first one on its node.
    """
    if world_size() == 1:
        yield True
        return
    first = int(os.environ["LOCAL_RANK"]) == 0
    node = int(os.environ.get("GROUP_RANK", "0"))
    nodes = max(all_gather_object(node)) + 1
    for _ in range(node if first else nodes):
        dist.barrier()
    yield first
    for _ in range(nodes - node if first else 0):
        dist.barrier()


def check_shared_disk(path: Path) -> None:
    """Check that all nodes can access the output folder. Every process must call this function.

    Arguments
    ---------
    path : path
        File in the output folder that the main process has written.

    Raises
    ------
    ValueError
        If a process cannot see the file.
    """
    barrier()
    end = time.monotonic() + DISK_SECONDS
    while not path.is_file() and time.monotonic() < end:
        time.sleep(1)
    missing_ranks = [
        number for number, seen in enumerate(all_gather_object(path.is_file())) if not seen
    ]
    if missing_ranks:
        raise ValueError(
            f"The output folder must be on a disk shared by all nodes, because each process reads "
            f"checkpoints from it; ranks {missing_ranks} cannot access {path}. Use a shared "
            f"--results_folder."
        )


def all_gather_object(value: object) -> list:
    """Return the values of all processes, ordered by rank."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_from_main(value: object) -> object:
    """Return the main process's value in every process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_numbers(numbers: list[float], device: torch.device | str) -> Tensor:
    """Gather a list of numbers from each process; all lists must have the same length.

    Returns
    -------
    torch.Tensor
        Shape (processes, numbers), float64, on the CPU, ordered by rank.
    """
    own = torch.tensor([numbers], dtype=torch.float64)
    if world_size() == 1:
        return own
    own = own.to(device)
    rows = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(rows, own)
    return torch.cat(rows).cpu()


def gather_rows(rows: Tensor, sizes: list[int]) -> Tensor:
    """Concatenate the rows of all processes, ordered by rank, without gradients.

    Arguments
    ---------
    rows : torch.Tensor
        Rows of this process, shape (rows, …).
    sizes : list of int
        Number of rows of each process; may be 0.

    Returns
    -------
    torch.Tensor
        Shape (sum of ``sizes``, …).
    """
    if world_size() == 1:
        return rows.detach()
    # Pad to the same length, because not every backend supports tensors of different shapes.
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def sum_over_processes(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; it has the same shape in each."""
    if world_size() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient with its sum over the processes, in place.

    A parameter with a gradient in any process gets one in all processes. If no process has a
    gradient for it, the gradient stays None, so optimisers skip the parameter.
    """
    if world_size() == 1:
        return
    parameters = list(parameters)
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8)
    used = used.to(parameters[0].device)
    dist.all_reduce(used, op=dist.ReduceOp.MAX)
    gradients = []
    for parameter, somewhere in zip(parameters, used.tolist(), strict=True):
        if somewhere:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    waiting = []
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        waiting.append((dist.all_reduce(flat, async_op=True), flat, bucket))
        if len(waiting) > 1:  # two at a time: one is copied while the other is sent
            _finish(*waiting.pop(0))
    for entry in waiting:
        _finish(*entry)


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Yield groups of gradients of the same dtype with about :data:`BUCKET_SIZE` values."""
    bucket, count = [], 0
    for gradient in gradients:
        if bucket and (count + gradient.numel() > BUCKET_SIZE or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, count = [], 0
        bucket.append(gradient)
        count += gradient.numel()
    if bucket:
        yield bucket


def _finish(work: dist.Work, flat: Tensor, bucket: list[Tensor]) -> None:
    work.wait()
    parts = flat.split([gradient.numel() for gradient in bucket])
    for gradient, part in zip(bucket, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def broadcast_state(module: nn.Module) -> None:
    """Copy parameters and buffers of the main process to all other processes, in place."""
    if world_size() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)
