"""Model outputs and labels of micro-batches, and their concatenation over a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emosphere_sb.data.dataset import Batch
from emosphere_sb.distributed import gather_rows


@dataclass
class Output:
    """Model output of a batch.

    Attributes
    ----------
    vad : torch.Tensor
        Predicted valence, arousal and dominance, nominally in [-1, 1], shape (batch, 3).
    logits : torch.Tensor or None
        Class scores of the auxiliary head, shape (batch, classes); None if it is not trained.
    """

    vad: Tensor
    logits: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """List of the tensors that are not None."""
        return [self.vad] if self.logits is None else [self.vad, self.logits]

    @staticmethod
    def join(parts: Sequence[Output], classes: int, device: torch.device | str) -> Output:
        """Concatenate outputs; the result for an empty sequence has zero rows.

        Arguments
        ---------
        parts : sequence of Output
            Outputs of consecutive micro-batches.
        classes : int
            Number of classes of the logits if ``parts`` is empty; 0: no logits.
        device : torch.device or str
            Device of the result if ``parts`` is empty.
        """
        if not parts:
            empty = torch.zeros(0, max(classes, 3), device=device)
            return Output(empty[:, :3], empty[:, :classes] if classes else None)
        logits = [part.logits for part in parts if part.logits is not None]
        vad = torch.cat([part.vad for part in parts])
        return Output(vad, torch.cat(logits) if logits else None)

    def gather(self, sizes: Sequence[int]) -> Output:
        """Return the rows of all processes, ordered by rank, without gradients."""
        return Output(*(None if t is None else gather_rows(t, sizes) for t in self._pair))

    def leaves(self) -> Output:
        """Return a copy whose tensors are leaves of a new graph."""
        return Output(*(None if t is None else t.detach().requires_grad_() for t in self._pair))

    def gradients(self, first: int, sizes: Sequence[int]) -> list[list[Tensor]]:
        """Return the gradients of ``tensors``, split into consecutive groups of rows.

        Arguments
        ---------
        first : int
            Index of the first row of the first group.
        sizes : sequence of int
            Number of rows of each group.
        """
        end = first + sum(sizes)
        parts = [(t.grad if t.grad is not None else torch.zeros_like(t)) for t in self.tensors]
        groups = (part[first:end].split(list(sizes)) for part in parts)
        return [list(group) for group in zip(*groups, strict=True)]

    @property
    def _pair(self) -> tuple[Tensor, Tensor | None]:
        return self.vad, self.logits


@dataclass
class Labels:
    """Training targets of a batch.

    Attributes
    ----------
    vad : torch.Tensor
        Valence, arousal and dominance in [-1, 1], NaN where unknown, shape (batch, 3).
    target : torch.Tensor
        Class of the auxiliary task, -1 where unknown, shape (batch,).
    """

    vad: Tensor
    target: Tensor

    @staticmethod
    def join(batches: Sequence[Batch], device: torch.device | str) -> Labels:
        """Concatenate the labels of batches; the result for an empty sequence has zero rows."""
        none = torch.zeros(0, dtype=torch.long)
        vad = torch.cat([torch.zeros(0, 3), *(batch.vad for batch in batches)])
        target = torch.cat([none, *(batch.target for batch in batches)])
        return Labels(vad.to(device), target.to(device))

    def gather(self, sizes: Sequence[int]) -> Labels:
        """Return the rows of all processes, ordered by rank."""
        return Labels(gather_rows(self.vad, sizes), gather_rows(self.target, sizes))
