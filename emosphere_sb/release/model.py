"""Trained model that maps waveforms to VAD, class logits and embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from emosphere_sb.release.model_info import ModelInfo

__all__ = ["ModelInfo", "Outcome", "ReleasedModel", "evaluation_mode"]


@dataclass(frozen=True)
class Outcome:
    """Output of a model for a batch.

    Arguments
    ---------
    vad : torch.Tensor
        Valence, arousal and dominance, (batch, 3); nominally in [-1, 1], not clipped.
    embedding : torch.Tensor
        Utterance embedding, the input of the heads, (batch, size).
    logits : torch.Tensor or None
        Logits of the class head, (batch, classes); ``None`` for a model without a class head.
    """

    vad: Tensor
    embedding: Tensor
    logits: Tensor | None = None


class ReleasedModel(nn.Module):
    """Trained EmoSphere model without its training components.

    Arguments
    ---------
    normaliser, encoder, pooling, vad_head : torch.nn.Module
        Components as defined in ``emosphere.yaml``.
    class_head : torch.nn.Module or None
        Auxiliary head; ``None`` if the released weights are from an epoch after the end of the
        auxiliary task.
    """

    def __init__(self, normaliser, encoder, pooling, vad_head, class_head=None):
        super().__init__()
        self.normaliser, self.encoder, self.pooling = normaliser, encoder, pooling
        self.vad_head, self.class_head = vad_head, class_head

    @property
    def min_samples(self) -> int:
        """Minimum length of an utterance in samples."""
        return self.encoder.receptive_field

    @property
    def max_samples(self) -> int | None:
        """Maximum length of an utterance in samples; ``None`` if there is no limit."""
        return getattr(self.encoder.backbone, "max_samples", None)

    def forward(self, signals: Tensor, lengths: Tensor) -> Outcome:
        """Predict VAD and class logits for a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, (batch, samples), not normalised.
        lengths : torch.Tensor
            Number of valid samples, (batch,).

        Returns
        -------
        Outcome
            Predictions. They are independent of the other utterances in the batch to within 1e-5.
        """
        frames, valid = self.encoder(self.normaliser(signals, lengths), lengths)
        embedding = self.pooling(frames, valid)
        logits = None if self.class_head is None else self.class_head(embedding)
        return Outcome(self.vad_head(embedding), embedding, logits)


def evaluation_mode(model: nn.Module) -> nn.Module:
    """Switch a module to evaluation mode and disable the gradients of its parameters."""
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
