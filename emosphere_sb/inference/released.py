"""A trained model without its training: waveforms to VAD, class scores and an embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from emosphere_sb.regions import SphericalRegions
from emosphere_sb.scale import Scale


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


@dataclass(frozen=True)
class About:
    """What is known of a model beside its weights.

    Arguments
    ---------
    name : str
        Of the model.
    scale : Scale
        Of the labels it was trained on.
    max_seconds : float or None
        The cut of its evaluation; ``None``: none.
    region_step, centre_radius : int, float
        How its sphere is cut, see :class:`emosphere_sb.regions.SphericalRegions`.
    head : str
        What its class head predicts: ``region``, ``emotion``, or ``none``.
    classes : tuple of str
        The head's.
    words : mapping of str to sequence of float
        Emotion words and their place, (3,) in [-1, 1]: means over the training set.
    licence : str
        Of the weights, in a line.
    synthetic : bool
        Whether it was trained on synthetic speech.
    facts : mapping
        Whatever else its card says: corpus, protocol, figures.
    """

    name: str
    scale: Scale
    max_seconds: float | None = None
    region_step: int = 90
    centre_radius: float = 0.0
    head: str = "none"
    classes: tuple[str, ...] = ()
    words: Mapping[str, Sequence[float]] = field(default_factory=dict)
    licence: str = ""
    synthetic: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain types; :meth:`from_dict` reads it."""
        return {**asdict(self), "scale": self.scale.to_dict(), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> About:
        """What :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If a field is missing or unknown.
        """
        try:
            values = {**fields, "scale": Scale.from_dict(fields["scale"])}
            return cls(**{**values, "classes": tuple(fields.get("classes", ()))})
        except (KeyError, TypeError) as error:
            raise ValueError(f"The description of a model does not fit: {error}") from error

    @property
    def regions(self) -> SphericalRegions:
        """Its partition of the sphere."""
        return SphericalRegions(self.region_step, self.centre_radius)


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
