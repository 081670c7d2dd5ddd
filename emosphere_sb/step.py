"""What a step handles: outputs and labels to join, random states, parameters, a lack of memory."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from emosphere_sb.data import Batch


@dataclass
class Output:
    """What the model says: ``vad`` (batch, 3) in [-1, 1], ``logits`` (batch, classes) or None."""

    vad: Tensor
    logits: Tensor | None

    @staticmethod
    def join(parts: list[Output]) -> Output:
        """One batch from several."""
        logits = [part.logits for part in parts if part.logits is not None]
        vad = torch.cat([part.vad for part in parts])
        return Output(vad, torch.cat(logits) if logits else None)

    def leaves(self) -> Output:
        """The same values as leaves of a new graph."""
        logits = None if self.logits is None else self.logits.detach().requires_grad_()
        return Output(self.vad.detach().requires_grad_(), logits)


@dataclass
class Labels:
    """What the objective compares with: ``vad`` (batch, 3), ``target`` (batch,)."""

    vad: Tensor
    target: Tensor

    @staticmethod
    def join(batches: list[Batch]) -> Labels:
        """The labels of several batches in one."""
        return Labels(torch.cat([b.vad for b in batches]), torch.cat([b.target for b in batches]))


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and PyTorch (every device) from a key of integers."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def parameter_groups(modules: nn.ModuleDict, lr_backbone: float, lr_weighting: float) -> list[dict]:
    """Trainable parameters as an optimiser takes them: backbone, learned loss weights, the rest.

    A learned mixture of the backbone's layers belongs to the rest.
    """
    special = {
        "backbone": {"lr": lr_backbone},
        # Two numbers that must get somewhere within the run, and that decay would pull to 0.
        "weighting": {"lr": lr_weighting, "weight_decay": 0.0},
    }
    groups: dict[str, list] = {"": [], **{name: [] for name in special}}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            part = "backbone" if name.startswith("encoder.backbone.") else name.partition(".")[0]
            groups[part if part in special else ""].append(parameter)
    return [{"params": part, **special.get(name, {})} for name, part in groups.items() if part]


@contextmanager
def memory_advice(batch: Batch, setting: str):
    """Turn a lack of memory into an error that names the ``setting`` to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one, the CPU's has no class
        texts = ("out of memory", "can't allocate memory")
        if not any(text in str(error).lower() for text in texts):
            raise
        size, seconds = len(batch.ids), batch.seconds
        raise MemoryError(
            f"{size} utterances of {seconds:.1f} s do not fit into memory. Lower {setting} (now "
            f"{size}): the result stays the same; or lower max_seconds, or set "
            f"--gradient_checkpointing=True."
        ) from error
