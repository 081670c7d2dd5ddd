"""A trained model without its training: waveforms to VAD, class scores and an embedding."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from emosphere_sb.release.model_info import About

__all__ = ["About", "Outcome", "ReleasedModel", "evaluation_mode"]


@dataclass(frozen=True)
class Outcome:
    """What a model says of a batch.

    Arguments
    ---------
    vad : torch.Tensor
        Shape (batch, 3), valence, arousal, dominance in [-1, 1], unclipped.
    embedding : torch.Tensor
        Shape (batch, size): the utterance vector that the heads read.
    logits : torch.Tensor or None
        Shape (batch, classes); ``None`` where there is no head, or it is stale.
    """

    vad: Tensor
    embedding: Tensor
    logits: Tensor | None = None


class ReleasedModel(nn.Module):
    """The parts of a trained EmoSphere model in one module.

    Arguments
    ---------
    normaliser, encoder, pooling, vad_head : torch.nn.Module
        As ``emosphere.yaml`` builds them.
    class_head : torch.nn.Module or None
        The auxiliary head, where it was still trained at the weights that are released.
    """

    def __init__(self, normaliser, encoder, pooling, vad_head, class_head=None):
        super().__init__()
        self.normaliser, self.encoder, self.pooling = normaliser, encoder, pooling
        self.vad_head, self.class_head = vad_head, class_head

    @property
    def shortest(self) -> int:
        """Samples that an utterance must at least have."""
        return self.encoder.receptive_field

    @property
    def longest(self) -> int | None:
        """Samples that an utterance may at most have; ``None``: no limit of the model's own."""
        return getattr(self.encoder.backbone, "most_samples", None)

    def forward(self, signals: Tensor, lengths: Tensor) -> Outcome:
        """Predict a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz mono, as read from the file.
        lengths : torch.Tensor
            Shape (batch,), valid samples.

        Returns
        -------
        Outcome
            For an utterance the same in any batch, to 1e-5.
        """
        frames, valid = self.encoder(self.normaliser(signals, lengths), lengths)
        embedding = self.pooling(frames, valid)
        logits = None if self.class_head is None else self.class_head(embedding)
        return Outcome(self.vad_head(embedding), embedding, logits)


def evaluation_mode(model: nn.Module) -> nn.Module:
    """Nothing trains, nothing is dropped."""
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
