"""Backward pass of an optimiser step, with a CCC over the effective batch or each micro-batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emosphere_sb import distributed
from emosphere_sb.data.dataset import Batch
from emosphere_sb.training.batch_outputs import Labels, Output
from emosphere_sb.training.train_statistics import LOSS_SUMS, TrainStatistics

logger = logging.getLogger(__name__)


@dataclass
class StepShare:
    """Share of this process in an optimiser step, and information about the other shares.

    Attributes
    ----------
    batches : list of Batch
        Micro-batches of this process with readable audio.
    unreadable : dict
        Utterances of this process that could not be read: reasons by id.
    sizes : list of int
        Number of readable utterances of each process, by rank.
    stop_requested : bool
        Whether any process has received a request to stop.
    any_unreadable : bool
        Whether any process has unreadable utterances.
    """

    batches: list[Batch]
    unreadable: dict[str, str]
    sizes: list[int]
    stop_requested: bool
    any_unreadable: bool


def gather_share(
    batches: Sequence[Batch], *, stop_requested: bool, device: torch.device | str
) -> StepShare:
    """Drop micro-batches without readable audio and exchange sizes between the processes.

    Arguments
    ---------
    batches : sequence of Batch
        Micro-batches of this process.
    stop_requested : bool
        Whether this process has received a request to stop.
    device : torch.device or str
        Device of this process.

    Returns
    -------
    StepShare
        The share of this process.
    """
    unreadable = {name: reason for batch in batches for name, reason in batch.missing.items()}
    batches = [batch for batch in batches if batch.ids]
    size = sum(len(batch.ids) for batch in batches)
    gathered = distributed.gather_numbers([size, stop_requested, len(unreadable)], device)
    return StepShare(
        batches,
        unreadable,
        sizes=[int(number) for number in gathered[:, 0]],
        stop_requested=bool(gathered[:, 1].any()),
        any_unreadable=bool(gathered[:, 2].any()),
    )


@dataclass
class StepContext:
    """Arguments of a backward pass, except for the batches.

    Attributes
    ----------
    forward : callable
        Function that runs the forward pass of a micro-batch, given its index. Repeated calls with
        the same arguments use the same random state.
    objective : callable
        Function that computes the joint loss of an output and its labels and updates
        ``statistics``.
    statistics : TrainStatistics
        Sums of the losses.
    classes : int
        Number of classes of the auxiliary head; 0 if it is not trained.
    loss_weights : list of torch.nn.Parameter
        Learned loss weights.
    scaler : torch.amp.GradScaler
        Gradient scaler for fp16.
    device : torch.device or str
        Device of this process.
    """

    forward: Callable[[Batch, int], Output]
    objective: Callable[[Output, Batch | Labels], Tensor]
    statistics: TrainStatistics
    classes: int
    loss_weights: list[nn.Parameter]
    scaler: torch.amp.GradScaler
    device: torch.device | str


class StepLoss(NamedTuple):
    """Loss of a step over all processes, and whether it is finite in every process."""

    value: Tensor
    finite: bool


def micro_batch_backward(
    batches: Sequence[Batch], sizes: Sequence[int], step: StepContext
) -> StepLoss:
    """Run the backward pass with a separate CCC for each micro-batch (as in the paper).

    The loss is the mean over the micro-batches, weighted by their numbers of utterances. The pass
    ends at the first loss that is not finite.

    Arguments
    ---------
    batches : sequence of Batch
        Micro-batches of this process.
    sizes : sequence of int
        Number of utterances of the step in each process.
    step : StepContext
        Model, objective and device. The statistics are summed over all processes.

    Returns
    -------
    StepLoss
        Loss of the step.
    """
    total, finite = torch.zeros((), device=step.device), True
    for index, batch in enumerate(batches):
        loss = step.objective(step.forward(batch, index), batch) * len(batch.ids) / sum(sizes)
        total += loss.detach()
        finite = bool(torch.isfinite(loss))
        if not finite:
            break
        step.scaler.scale(loss).backward()
    own = [float(step.statistics.step[name]) for name in LOSS_SUMS]
    gathered = distributed.gather_numbers([finite, float(total), *own], step.device)
    total, *sums = gathered[:, 1:].sum(dim=0).float()
    finite = bool(gathered[:, 0].all())
    if finite:
        step.statistics.step.update(zip(LOSS_SUMS, sums, strict=True))
    return StepLoss(total, finite)


def effective_batch_backward(
    batches: Sequence[Batch], sizes: Sequence[int], step: StepContext
) -> StepLoss:
    """Run the backward pass with one CCC over the effective batch.

    The memory of a single micro-batch is sufficient.

    The predictions of all processes are gathered, and the gradient of the loss with respect to the
    predictions of this process is propagated through the model. The gradient is exact: if there are
    several micro-batches, each one runs first without gradients and then again, with the same
    dropout, for its backward pass. If the loss is not finite, the backward pass is skipped.

    Arguments
    ---------
    batches : sequence of Batch
        Micro-batches of this process; may be empty if other processes have some.
    sizes : sequence of int
        Number of utterances of the step in each process.
    step : StepContext
        Model, objective and device.

    Returns
    -------
    StepLoss
        Loss of the step.
    """
    single = len(batches) < 2
    with torch.set_grad_enabled(single):
        outputs = [step.forward(batch, index) for index, batch in enumerate(batches)]
    joined = Output.join(outputs, step.classes, step.device).gather(sizes).leaves()
    labels = Labels.join(batches, step.device).gather(sizes)
    loss = step.objective(joined, labels)
    if not bool(torch.isfinite(loss)):
        return StepLoss(loss, finite=False)
    step.scaler.scale(loss).backward()
    rank = distributed.rank()
    gradients = joined.gradients(sum(sizes[:rank]), [len(batch.ids) for batch in batches])
    for index, batch in enumerate(batches):
        output = outputs[index] if single else step.forward(batch, index)
        torch.autograd.backward(output.tensors, gradients[index])
    if rank:  # every process has the full gradient of the loss weights: keep only that of rank 0
        for parameter in step.loss_weights:
            parameter.grad = None if parameter.grad is None else parameter.grad.zero_()
    return StepLoss(loss, finite=True)


BACKWARD = {"effective": effective_batch_backward, "micro": micro_batch_backward}
"""Backward pass for each value of ``ccc_window``."""


def backward_function(ccc_window: str) -> Callable[..., StepLoss]:
    """Return the backward pass for a value of ``ccc_window``.

    Arguments
    ---------
    ccc_window : str
        Utterances over which a CCC is computed: those of the ``effective`` batch, or of each
        ``micro`` batch.

    Returns
    -------
    callable
        :func:`effective_batch_backward` or :func:`micro_batch_backward`.

    Raises
    ------
    ValueError
        If ``ccc_window`` is invalid.
    """
    if ccc_window not in BACKWARD:
        raise ValueError(f"ccc_window must be one of {', '.join(BACKWARD)}; found {ccc_window!r}.")
    return BACKWARD[ccc_window]


def report_nonfinite(
    batches: Sequence[Batch], loss: StepLoss, *, count: int, patience: int
) -> None:
    """Log a step that is skipped because its loss or gradient is not finite.

    Every process must call this function.

    Arguments
    ---------
    batches : sequence of Batch
        Micro-batches of this process.
    loss : StepLoss
        Loss of the step.
    count : int
        Number of such steps in this epoch.
    patience : int
        Largest permitted number of such steps in an epoch.

    Raises
    ------
    ValueError
        If ``count`` exceeds ``patience``.
    """
    problem = "The gradient is not finite" if loss.finite else "The loss is not finite"
    shares = distributed.all_gather_object([name for batch in batches for name in batch.ids])
    ids = [name for share in shares for name in share]
    logger.warning(
        "%s (loss: %s); skipping this step. Utterances: %s", problem, loss.value.item(), ids
    )
    if count > patience:
        raise ValueError(
            f"The loss or its gradient was not finite in {count} steps of this epoch, more than "
            f"nonfinite_patience ({patience}). Last utterances: {ids}. Lower the learning rate, or "
            f"train with --precision=bf16 or fp32."
        )
