"""Backward pass of one optimiser step, with a CCC over the effective batch or each micro-batch."""

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
    """This process's share of a step, and what holds for those of all processes.

    Attributes
    ----------
    batches : list of Batch
        Micro-batches with readable audio.
    unreadable : dict
        Why utterances of this share could not be read, by id.
    sizes : list of int
        Number of readable utterances of each process, by rank.
    stop_requested : bool
        Whether any process was asked to stop.
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
        This process's micro-batches.
    stop_requested : bool
        Whether this process was asked to stop.
    device : torch.device or str
        Device of this process.
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
    """What a backward pass needs beside its batches.

    Attributes
    ----------
    forward : callable
        Maps a micro-batch and its index to the model's output, with the same random state in each
        call.
    objective : callable
        Joint loss of an output and its labels. It adds to ``statistics``.
    statistics : TrainStatistics
        Sums of the losses.
    classes : int
        Number of classes of the auxiliary head; 0: it is not trained.
    loss_weights : list of torch.nn.Parameter
        Learned weights inside the objective.
    scaler : torch.amp.GradScaler
        Scales the loss in fp16.
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
    """Loss of a step over all processes, and whether it is finite in each of them."""

    value: Tensor
    finite: bool


def micro_batch_backward(
    batches: Sequence[Batch], sizes: Sequence[int], step: StepContext
) -> StepLoss:
    """Backward pass of the published loss: the mean of the micro-batches' own losses.

    Each micro-batch is weighted by its number of utterances. The pass ends at the first loss that
    is not finite.

    Arguments
    ---------
    batches : sequence of Batch
        This process's micro-batches.
    sizes : sequence of int
        Number of utterances of the step in each process.
    step : StepContext
        Its statistics of the step become those of all processes.
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
    """Backward pass of the loss over the effective batch, with the memory of one micro-batch.

    The predictions of all processes are gathered, and the gradient of their loss with respect to
    this process's own predictions is propagated through the model. The result is exact: with
    several micro-batches, each runs a first time without gradients, and a second time, with the
    same dropout, for its backward pass. Nothing is propagated if the loss is not finite.

    Arguments
    ---------
    batches : sequence of Batch
        This process's micro-batches; may be empty if another process has some.
    sizes : sequence of int
        Number of utterances of the step in each process.
    step : StepContext
        Model, objective and device.
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
    if rank:  # each process has the full gradient of the loss weights: keep it in one of them
        for parameter in step.loss_weights:
            parameter.grad = None if parameter.grad is None else parameter.grad.zero_()
    return StepLoss(loss, finite=True)


BACKWARD = {"effective": effective_batch_backward, "micro": micro_batch_backward}
"""Backward pass by the value of ``ccc_window``."""


def backward_function(ccc_window: str) -> Callable[..., StepLoss]:
    """Look up the backward pass of a window.

    Arguments
    ---------
    ccc_window : str
        Utterances over which one CCC is computed: those of the ``effective`` batch, or of each
        ``micro`` batch.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if ccc_window not in BACKWARD:
        raise ValueError(f"ccc_window must be one of {', '.join(BACKWARD)}; found {ccc_window!r}.")
    return BACKWARD[ccc_window]


def report_nonfinite(
    batches: Sequence[Batch], loss: StepLoss, *, count: int, patience: int
) -> None:
    """Log a step that is left out because its loss or gradient is not finite.

    Every process must call this with its own micro-batches.

    Arguments
    ---------
    batches : sequence of Batch
        This process's micro-batches of the step.
    loss : StepLoss
        Loss of the step.
    count : int
        Number of such steps in this epoch.
    patience : int
        Largest number of such steps in an epoch.

    Raises
    ------
    ValueError
        If there are more than ``patience`` of them.
    """
    fault = "The loss is finite, its gradient is not" if loss.finite else "The loss is not finite"
    shares = distributed.all_gather_object([name for batch in batches for name in batch.ids])
    ids = [name for share in shares for name in share]
    logger.warning(
        "%s (loss %s); the step is left out. Utterances: %s", fault, loss.value.item(), ids
    )
    if count > patience:
        raise ValueError(
            f"The loss or its gradient was not finite {count} times in this epoch, more than "
            f"nonfinite_patience ({patience}). Last utterances: {ids}. Lower the learning rate, or "
            f"train in --precision=bf16 or fp32."
        )
