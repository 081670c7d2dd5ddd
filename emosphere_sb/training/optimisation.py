"""Optimiser step: random states, gradient clipping, parameter groups and memory."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from emosphere_sb import distributed
from emosphere_sb.data.dataset import Batch


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and PyTorch (every device) from a key of integers."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def step_optimizers(
    optimizers: Collection[Optimizer], scaler: torch.amp.GradScaler, max_grad_norm: float
) -> bool:
    """Sum gradients over processes, unscale them, clip their total norm, and step.

    Arguments
    ---------
    optimizers : collection of torch.optim.Optimizer
        Optimisers; the gradient norm is computed over the parameters of all of them.
    scaler : torch.amp.GradScaler
        Gradient scaler. In fp16 it skips steps with a non-finite gradient and reduces its scale,
        which is expected.
    max_grad_norm : float
        Largest norm of the gradient; inf: no clipping.

    Returns
    -------
    bool
        False if the step was skipped because a gradient was not finite and the scaler is disabled.
    """
    trainable = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    distributed.sum_gradients(trainable)
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    # The norm of the sum is the same in all processes, so they all make the same decision.
    norm = get_total_norm([p.grad for p in trainable if p.grad is not None])
    if not (scaler.is_enabled() or bool(norm.isfinite())):
        return False
    if math.isfinite(max_grad_norm):
        clip_grads_with_norm_(trainable, max_grad_norm, norm)
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()
    return True


def parameter_groups(
    modules: nn.ModuleDict,
    *,
    lr_backbone: float,
    lr_loss_weights: float,
    lr_layer_weights: float,
) -> list[dict]:
    """Split trainable parameters into groups with their own learning rates.

    The first group contains the pooling, the heads and everything else that is in no other group;
    it has the learning rate of the optimiser.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        Modules of the model.
    lr_backbone : float
        Learning rate of the backbone, including adapters.
    lr_loss_weights : float
        Learning rate of learned loss weights.
    lr_layer_weights : float
        Learning rate of the weights of a weighted sum of layers.

    Returns
    -------
    list of dict
        Parameter groups for an optimiser.
    """
    special = {
        "encoder.backbone.": {"lr": lr_backbone},
        # Scalars that need a higher learning rate; weight decay would pull them to 0.
        "weighting.": {"lr": lr_loss_weights, "weight_decay": 0.0},
        "encoder.states.weights": {"lr": lr_layer_weights, "weight_decay": 0.0},
    }
    groups: dict[str, list] = {"": [], **{name: [] for name in special}}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            part = next((prefix for prefix in special if name.startswith(prefix)), "")
            groups[part].append(parameter)
    return [{"params": part, **special.get(name, {})} for name, part in groups.items() if part]


@contextmanager
def reserve_optimizer_state(modules: nn.Module, optimizer: Optimizer):
    """Allocate the memory of Adam's two moments, which exist only after the first step."""
    trainable = [p for p in modules.parameters() if p.requires_grad]
    moments = [] if optimizer.state else [torch.empty_like(p) for p in trainable * 2]
    yield
    del moments


@contextmanager
def memory_advice(batches: Sequence[Batch], setting: str):
    """Convert out-of-memory errors into a MemoryError that names the ``setting`` to reduce."""
    try:
        yield
    except RuntimeError as error:  # base class of torch.OutOfMemoryError; type of the CPU error
        texts = ("out of memory", "can't allocate memory")
        if not any(text in str(error).lower() for text in texts):
            raise
        size = max((len(batch.ids) for batch in batches), default=0)
        seconds = max((batch.seconds for batch in batches), default=0.0)
        raise MemoryError(
            f"Not enough memory for {size} utterances of {seconds:.1f} s. Reduce {setting} "
            f"(currently {size}; this does not change the result) or max_seconds, or set "
            f"--gradient_checkpointing=True."
        ) from error
