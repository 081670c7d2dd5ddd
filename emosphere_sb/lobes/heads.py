"""Prediction heads that map an utterance vector to VAD values or to class scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EmotionHead(nn.Module):
    """Prediction head of EmoSphere-SER: dropout, linear, layer norm, ReLU, dropout, linear.

    Arguments
    ---------
    input_size : int
        Size of the utterance vector.
    output_size : int
        Number of classes.
    hidden_size : int
        Size of the hidden layer (in the paper: 1024).
    dropout : float
        Dropout probability before each linear layer (in the paper: 0.5).

    Example
    -------
    >>> import torch
    >>> EmotionHead(16, 8, 32)(torch.randn(2, 16)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, input_size: int, output_size: int, hidden_size: int = 1024, dropout: float = 0.5
    ):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(input_size, hidden_size),
            nn.LayerNorm(hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, output_size),
        )

    def forward(self, utterance: Tensor) -> Tensor:
        """Return class scores (batch, ``output_size``) for vectors (batch, ``input_size``)."""
        return self.layers(utterance)


class VADHead(EmotionHead):
    """Regression head for valence, arousal and dominance in [-1, 1], with neutral at 0.

    The output y of the linear layer uses the range of the paper, [0, 1], but is not bounded; the
    head returns 2y - 1. An affine map applied to both prediction and target does not change the
    CCC, so the gradient is the same as in the paper.

    Arguments
    ---------
    input_size : int
        Size of the utterance vector.
    hidden_size : int
        Size of the hidden layer (in the paper: 1024).
    dropout : float
        Dropout probability before each linear layer (in the paper: 0.5).
    standardise_labels : bool
        Whether the linear layer predicts standardised labels: the head then returns m + s·y, with
        the mean m and the SD s of each dimension over the labels of the training set.

    Example
    -------
    >>> import torch
    >>> head = VADHead(16, 32, standardise_labels=True)
    >>> head.set_label_statistics(torch.tensor([0.5, 0.0, 0.0]), torch.tensor([0.25, 1.0, 1.0]))
    >>> head.standardise(torch.tensor([[1.0, -1.0, 0.0]]))
    tensor([[ 2., -1.,  0.]])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 1024,
        dropout: float = 0.5,
        standardise_labels: bool = False,
    ):
        super().__init__(
            input_size=input_size, output_size=3, hidden_size=hidden_size, dropout=dropout
        )
        self.standardise_labels = standardise_labels
        if standardise_labels:  # saved in checkpoints and released models
            self.register_buffer("label_mean", torch.zeros(3))
            self.register_buffer("label_sd", torch.ones(3))

    def set_label_statistics(self, mean: Tensor, sd: Tensor) -> None:
        """Set mean and SD of the labels of each dimension, shape (3,)."""
        self.label_mean.copy_(mean)
        self.label_sd.copy_(sd)

    def standardise(self, vad: Tensor) -> Tensor:
        """Standardise predictions or labels (batch, 3); NaN stays NaN."""
        return (vad - self.label_mean) / self.label_sd if self.standardise_labels else vad

    def forward(self, utterance: Tensor) -> Tensor:
        """Return valence, arousal and dominance (batch, 3) for vectors (batch, ``input_size``)."""
        output = super().forward(utterance)
        if self.standardise_labels:
            return self.label_mean + self.label_sd * output
        return 2 * output - 1


def label_statistics(vad: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and population SD of the known labels of each dimension.

    Arguments
    ---------
    vad : torch.Tensor
        Valence, arousal and dominance, NaN where unknown, shape (utterances, 3).

    Returns
    -------
    tuple of torch.Tensor
        Mean and SD, shape (3,). Without known labels the mean is 0. Without variation the SD is 1.

    Example
    -------
    >>> nan = float("nan")
    >>> label_statistics(torch.tensor([[1.0, 0.5, nan], [3.0, 0.5, nan], [nan, 0.5, nan]]))
    (tensor([2.0000, 0.5000, 0.0000]), tensor([1., 1., 1.]))
    """
    mean = vad.nanmean(dim=0).nan_to_num(0.0)
    sd = (vad - mean).square().nanmean(dim=0).nan_to_num(0.0).sqrt()
    return mean, torch.where(sd > 0, sd, 1.0)
