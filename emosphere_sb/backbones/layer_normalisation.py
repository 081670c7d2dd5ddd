"""Normalisation of the hidden states of each layer, before layers are mixed or concatenated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.masking import frame_mask

LAYER_NORMALISATION_MODES = ("none", "standardise", "layer_norm")
EPSILON = 1e-6
"""Added to the SD, so that a constant dimension does not cause a division by zero."""


@dataclass
class LayerStatistics:
    """Sums over valid frames, from which the mean and SD of each state and dimension follow.

    The sums of two sets of utterances can be added, so the statistics of any set follow from those
    of its utterances.

    Attributes
    ----------
    count : int
        Number of valid frames.
    sum, sum_of_squares : torch.Tensor
        Sums of the values and of their squares, float64, shape (states, size).

    Example
    -------
    >>> first, second = LayerStatistics.zeros(1, 2), LayerStatistics.zeros(1, 2)
    >>> first.add(torch.tensor([[[[1.0, 0.0], [3.0, 0.0]]]]), torch.tensor([2]))
    >>> second.add(torch.tensor([[[[5.0, 3.0], [9.0, 9.0]]]]), torch.tensor([1]))
    >>> first.merge(second).count, first.merge(second).mean_and_sd()[0].tolist()
    (3, [[3.0, 1.0]])
    """

    count: int
    sum: Tensor
    sum_of_squares: Tensor

    @classmethod
    def zeros(
        cls, states: int, size: int, device: torch.device | str | None = None
    ) -> LayerStatistics:
        """Return the statistics of no frames."""
        zeros = torch.zeros(states, size, dtype=torch.float64, device=device)
        return cls(0, zeros, zeros.clone())

    def add(self, states: Tensor, lengths: Tensor) -> None:
        """Add the frames of a padded batch.

        Arguments
        ---------
        states : torch.Tensor
            Hidden states, shape (batch, states, frames, size).
        lengths : torch.Tensor
            Number of valid frames of each row, shape (batch,).
        """
        valid = frame_mask(lengths, states.shape[2])
        for number, state in enumerate(states.unbind(1)):  # float64 copy of one state at a time
            frames = state[valid].double()
            self.sum[number] += frames.sum(dim=0)
            self.sum_of_squares[number] += frames.square().sum(dim=0)
        self.count += int(lengths.sum())

    def merge(self, other: LayerStatistics) -> LayerStatistics:
        """Return the statistics of the frames of both."""
        return LayerStatistics(
            self.count + other.count,
            self.sum + other.sum,
            self.sum_of_squares + other.sum_of_squares,
        )

    def mean_and_sd(self) -> tuple[Tensor, Tensor]:
        """Return mean and population SD, float64, shape (states, size).

        Raises
        ------
        ValueError
            If there are no frames.
        """
        if self.count < 1:
            raise ValueError("Layer statistics require at least one valid frame; found none.")
        mean = self.sum / self.count
        variance = (self.sum_of_squares / self.count - mean.square()).clamp(min=0.0)
        return mean, variance.sqrt()


class LayerNormalisation(nn.Module):
    """Module that normalises the frames of each hidden state.

    Arguments
    ---------
    mode : str
        ``none``; ``standardise``: subtract the mean and divide by the SD of each dimension, over
        the valid frames of the training set; or ``layer_norm``: layer norm of each frame, without
        learned parameters.
    states : int
        Number of states.
    size : int
        Number of dimensions of each state.

    Raises
    ------
    ValueError
        If the mode is unknown.

    Example
    -------
    >>> normalise = LayerNormalisation("standardise", states=1, size=1)
    >>> normalise.set_statistics(torch.tensor([[2.0]]), torch.tensor([[0.5]]))
    >>> frames = torch.tensor([3.0, 1.0, 0.0]).view(1, 1, 3, 1)
    >>> normalise(frames, torch.tensor([2])).flatten().round(decimals=3).tolist()
    [2.0, -2.0, 0.0]
    """

    def __init__(self, mode: str, states: int, size: int):
        super().__init__()
        if mode not in LAYER_NORMALISATION_MODES:
            raise ValueError(
                f"layer_normalisation must be one of {', '.join(LAYER_NORMALISATION_MODES)}; "
                f"found {mode!r}."
            )
        self.mode, self.size = mode, size
        if mode == "standardise":  # saved in checkpoints and released models
            self.register_buffer("mean", torch.zeros(states, size))
            self.register_buffer("sd", torch.ones(states, size))

    @property
    def needs_statistics(self) -> bool:
        """Whether mean and SD of the training set are required."""
        return self.mode == "standardise"

    def set_statistics(self, mean: Tensor, sd: Tensor) -> None:
        """Set mean and SD of each state and dimension, shape (states, size)."""
        self.mean.copy_(mean)
        self.sd.copy_(sd)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Normalise a padded batch.

        Arguments
        ---------
        states : torch.Tensor
            Hidden states, zero in padding, shape (batch, states, frames, size).
        lengths : torch.Tensor
            Number of valid frames of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Normalised states, zero in padding, in the same shape.
        """
        if self.mode == "layer_norm":  # a frame of zeros stays zero
            return nn.functional.layer_norm(states.float(), (self.size,))
        if self.mode == "standardise":
            states = (states - self.mean[:, None]) / (self.sd + EPSILON)[:, None]
            mask = frame_mask(lengths, states.shape[2])
            return states.masked_fill(~mask[:, None, :, None], 0.0)
        return states
