"""Communication between the processes of one run, through ``torch.distributed``.

``torchrun`` starts the processes; with one process everything here costs nothing. Gradients are
summed once a step, after the last backward pass, in place of ``DistributedDataParallel``: each
process differentiates the loss of the *whole* effective batch with respect to its own share, so
that the sum is that loss's gradient, whatever the number of processes, with empty shares, unused
parameters and a second forward pass (:meth:`emosphere_sb.training.brain.EmoSphereBrain.fit_batch`).
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET = 8 * 2**20
"""Numbers that are summed in one call: 32 MB of float32."""

TIMEOUT = datetime.timedelta(hours=12)
"""How long processes wait for each other: preparing a corpus on the first is such a wait."""

LAUNCHED = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process, beside ``WORLD_SIZE``."""

DISK_SECONDS = 60
"""How long a network disk may take to show another machine's file."""


def rank() -> int:
    """Rank of this process, over all machines; 0 without distributed training."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, over all machines; 1 without distributed training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    """Whether this is rank 0, which writes files and logs."""
    return rank() == 0


def start(options: dict) -> None:
    """Join the other processes where torchrun started this one, and choose this one's device.

    Arguments
    ---------
    options : dict
        SpeechBrain's run options; ``device`` and ``distributed_backend`` are read, and filled in.

    Raises
    ------
    ValueError
        If the processes were not started by torchrun, the backend is unknown or cannot serve the
        device, or there are fewer GPUs than processes on this machine.
    """
    absent = [name for name in LAUNCHED if name not in os.environ]
    if absent and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(absent)} are not set. Start "
            f"several processes with torchrun, see docs/distributed.md."
        )
    if absent:
        return
    cpu = options.get("device") == "cpu" or not torch.cuda.is_available()
    backend = options.setdefault("distributed_backend", "gloo" if cpu else "nccl")
    if backend not in ("gloo", "nccl") or (cpu and backend == "nccl"):
        raise ValueError(
            f"--distributed_backend must be nccl (GPUs) or gloo; found {backend} on "
            f"{'the CPU' if cpu else 'GPUs'}."
        )
    options["device"] = "cpu" if cpu else _own_gpu(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        bound = {"device_id": torch.device(options["device"])} if backend == "nccl" else {}
        dist.init_process_group(backend, timeout=TIMEOUT, **bound)


def _own_gpu(local: int) -> str:
    """The GPU of the process with this number on its machine."""
    count = torch.cuda.device_count()
    if local >= count:
        raise ValueError(
            f"Each process needs a GPU of its own; this machine has {count}. Lower "
            f"--nproc_per_node to {count}, or train with --device=cpu."
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def finish() -> None:
    """Leave the other processes, at the end of the last run."""
    if dist.is_initialized():
        dist.destroy_process_group()


def another_ended(error: RuntimeError) -> bool:
    """Whether an error says that another process is gone, rather than that this one failed."""
    return world_size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error))


def barrier() -> None:
    """Wait until all processes have reached this point."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def local_rank_first() -> Iterator[bool]:
    """Run a block in the first process of each node, then in the others.

    For what is downloaded or written to disk once, and read by all. The nodes take turns, because
    they may share the disk. The value of the context is whether this process is the first of its
    node.
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


def refuse_unshared(path: Path) -> None:
    """Refuse nodes that do not share the disk with the output folder; every process must call this.

    Arguments
    ---------
    path : path
        A file that the main process has written.

    Raises
    ------
    ValueError
        If another process does not see it.
    """
    barrier()
    end = time.monotonic() + DISK_SECONDS
    while not path.is_file() and time.monotonic() < end:
        time.sleep(1)
    blind = [number for number, seen in enumerate(all_gather_object(path.is_file())) if not seen]
    if blind:
        raise ValueError(
            f"All nodes must share the disk with the output folder, where checkpoints are read: "
            f"processes {blind} do not see {path}. Take a shared --results_folder."
        )


def all_gather_object(value: object) -> list:
    """Value of each process, ordered by rank."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_from_main(value: object) -> object:
    """Value of the main process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_numbers(numbers: list[float], device: torch.device | str) -> Tensor:
    """Shape (processes, numbers), float64: as many from each."""
    own = torch.tensor([numbers], dtype=torch.float64)
    if world_size() == 1:
        return own
    own = own.to(device)
    rows = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(rows, own)
    return torch.cat(rows).cpu()


def gather_rows(rows: Tensor, sizes: list[int]) -> Tensor:
    """The rows of all processes, in their order, without a gradient.

    Arguments
    ---------
    rows : torch.Tensor
        Shape (own size, …).
    sizes : list of int
        How many rows each process has; some may have none.
    """
    if world_size() == 1:
        return rows.detach()
    # Each as long as the longest: not every backend takes tensors of different shapes.
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over the processes, in place.

    A parameter that has a gradient in one process has one in all of them afterwards, one that has
    none anywhere keeps none: an optimiser then leaves it alone.
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
        if len(waiting) > 1:  # two at a time: copying one while the other travels
            _finish(*waiting.pop(0))
    for entry in waiting:
        _finish(*entry)


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients of one type in groups of about :data:`BUCKET` numbers."""
    bucket, count = [], 0
    for gradient in gradients:
        if bucket and (count + gradient.numel() > BUCKET or gradient.dtype != bucket[0].dtype):
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


def share_state(module: nn.Module) -> None:
    """Give every process the main one's parameters and buffers."""
    if world_size() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)
