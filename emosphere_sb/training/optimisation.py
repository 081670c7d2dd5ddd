"""What a step handles: outputs and labels to join, random states, parameters, a lack of memory."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from emosphere_sb.data.dataset import Batch
from emosphere_sb.distributed import all_gather_object, gather_rows


@dataclass
class Output:
    """What the model says: ``vad`` (batch, 3) in [-1, 1], ``logits`` (batch, classes) or None."""

    vad: Tensor
    logits: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """What there is of the two."""
        return [self.vad] if self.logits is None else [self.vad, self.logits]

    @staticmethod
    def join(parts: list[Output], classes: int, device: torch.device | str) -> Output:
        """One batch from several, or from none; ``classes`` 0 means no class scores."""
        if not parts:
            none = torch.zeros(0, max(classes, 3), device=device)
            return Output(none[:, :3], none[:, :classes] if classes else None)
        logits = [part.logits for part in parts if part.logits is not None]
        vad = torch.cat([part.vad for part in parts])
        return Output(vad, torch.cat(logits) if logits else None)

    def gather(self, sizes: list[int]) -> Output:
        """Those of all processes, in their order, without gradients."""
        return Output(*(None if t is None else gather_rows(t, sizes) for t in self._pair))

    def leaves(self) -> Output:
        """The same values as leaves of a new graph."""
        return Output(*(None if t is None else t.detach().requires_grad_() for t in self._pair))

    def gradients(self, first: int, cuts: list[int]) -> list[list[Tensor]]:
        """Gradients of ``tensors`` for consecutive cuts of the rows from ``first`` on."""
        end = first + sum(cuts)
        parts = [(t.grad if t.grad is not None else torch.zeros_like(t)) for t in self.tensors]
        return [list(cut) for cut in zip(*(p[first:end].split(cuts) for p in parts), strict=True)]

    @property
    def _pair(self) -> tuple[Tensor, Tensor | None]:
        return self.vad, self.logits


@dataclass
class Labels:
    """What the objective compares with: ``vad`` (batch, 3), ``target`` (batch,)."""

    vad: Tensor
    target: Tensor

    @staticmethod
    def join(batches: list[Batch], device: torch.device | str) -> Labels:
        """The labels of several batches in one, or of none."""
        none = torch.zeros(0, dtype=torch.long)
        vad = torch.cat([torch.zeros(0, 3), *(batch.vad for batch in batches)])
        target = torch.cat([none, *(batch.target for batch in batches)])
        return Labels(vad.to(device), target.to(device))

    def gather(self, sizes: list[int]) -> Labels:
        """Those of all processes, in their order."""
        return Labels(gather_rows(self.vad, sizes), gather_rows(self.target, sizes))


def gather_predictions(kept: dict[str, tuple]) -> dict[str, tuple]:
    """What all processes have kept by id, in the order of the ids, whoever had them.

    Arguments
    ---------
    kept : dict
        Tensors by id, of the same shapes for each; ``None`` in a place where there are none.
    """
    # In columns: thousands of small tensors would travel with the batches that they are views of.
    columns = [None if c[0] is None else torch.stack(c) for c in zip(*kept.values(), strict=True)]
    rows = {}
    for ids, parts in all_gather_object((list(kept), columns)):
        parts = [[None] * len(ids) if part is None else part for part in parts]
        rows.update(zip(ids, zip(*parts, strict=True), strict=True))
    return {name: rows[name] for name in sorted(rows)}


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and PyTorch (every device) from a key of integers."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def parameter_groups(
    modules: nn.ModuleDict, lr_backbone: float, lr_loss_weights: float
) -> list[dict]:
    """Trainable parameters as an optimiser takes them: backbone, learned loss weights, the rest.

    A learned mixture of the backbone's layers belongs to the rest.
    """
    special = {
        "backbone": {"lr": lr_backbone},
        # Two numbers that must get somewhere within the run, and that decay would pull to 0.
        "weighting": {"lr": lr_loss_weights, "weight_decay": 0.0},
    }
    groups: dict[str, list] = {"": [], **{name: [] for name in special}}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            part = "backbone" if name.startswith("encoder.backbone.") else name.partition(".")[0]
            groups[part if part in special else ""].append(parameter)
    return [{"params": part, **special.get(name, {})} for name, part in groups.items() if part]


@contextmanager
def memory_advice(batches: list[Batch], setting: str):
    """Turn a lack of memory into an error that names the ``setting`` to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one, the CPU's has no class
        texts = ("out of memory", "can't allocate memory")
        if not any(text in str(error).lower() for text in texts):
            raise
        size = max((len(batch.ids) for batch in batches), default=0)
        seconds = max((batch.seconds for batch in batches), default=0.0)
        raise MemoryError(
            f"{size} utterances of {seconds:.1f} s do not fit into memory. Lower {setting} (now "
            f"{size}): the result stays the same; or lower max_seconds, or set "
            f"--gradient_checkpointing=True."
        ) from error
