"""Prediction heads that map an utterance vector to VAD values or to class scores."""

from __future__ import annotations

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
    """

    def __init__(self, input_size: int, hidden_size: int = 1024, dropout: float = 0.5):
        super().__init__(
            input_size=input_size, output_size=3, hidden_size=hidden_size, dropout=dropout
        )

    def forward(self, utterance: Tensor) -> Tensor:
        """Return valence, arousal and dominance (batch, 3) for vectors (batch, ``input_size``)."""
        return 2 * super().forward(utterance) - 1
