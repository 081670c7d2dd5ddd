"""Prediction heads: one utterance vector to valence, arousal and dominance, or to class scores."""

from __future__ import annotations

from torch import Tensor, nn


class EmotionHead(nn.Module):
    """The paper's prediction layers: dropout, linear, layer norm, ReLU, dropout, linear.

    Arguments
    ---------
    input_size : int
        Size of the utterance vector.
    output_size : int
        Number of classes.
    hidden_size : int
        Width of the hidden layer (published: 1024).
    dropout : float
        Before each linear layer (published: 0.5).

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
        """Shape (batch, ``input_size``) to (batch, ``output_size``)."""
        return self.layers(utterance)


class VADHead(EmotionHead):
    """Valence, arousal and dominance, unbounded, with neutral at 0.

    The linear layer predicts on [0, 1] as published; what is returned is 2y - 1, so that
    everything after it lives in [-1, 1]. CCC does not change under an affine map common to
    prediction and target, so the published gradient is kept.

    Arguments
    ---------
    input_size : int
        Size of the utterance vector.
    hidden_size : int
        Width of the hidden layer (published: 1024).
    dropout : float
        Before each linear layer (published: 0.5).
    """

    def __init__(self, input_size: int, hidden_size: int = 1024, dropout: float = 0.5):
        super().__init__(
            input_size=input_size, output_size=3, hidden_size=hidden_size, dropout=dropout
        )

    def forward(self, utterance: Tensor) -> Tensor:
        """Shape (batch, ``input_size``) to (batch, 3), in the order valence, arousal, dominance."""
        return 2 * super().forward(utterance) - 1
