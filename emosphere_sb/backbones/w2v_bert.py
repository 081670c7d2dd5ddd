"""w2v-BERT 2.0 on waveforms: its log-mel frames are made here, on the model's device."""

from __future__ import annotations

from torch import Tensor, nn

from emosphere_sb.backbones.log_mel import SeamlessLogMel
from emosphere_sb.backbones.masking import frame_mask


class W2vBertBackbone(nn.Module):
    """A ``Wav2Vec2BertModel`` with its own log-mel input.

    transformers masks padding before this conformer's depthwise convolution, which looks back only,
    and in attention with every kind of positions. So an utterance gives in any batch what it gives
    alone. An adapter convolves without a mask; ``masked`` is then False, and equal lengths are to
    be run together.

    Arguments
    ---------
    model : torch.nn.Module
        ``Wav2Vec2BertModel``, as ``AutoModel`` loads it.
    extractor : transformers.SeamlessM4TFeatureExtractor
        See :func:`emosphere_sb.backbones.log_mel.extractor_for`.
    spec_augment : bool
        Whether SpecAugment is applied in training as the configuration says.

    Attributes
    ----------
    model : transformers.Wav2Vec2BertModel
        As given.
    output_size : int
        Size of a frame.
    receptive_field : int
        Samples that the first frame needs.
    masked : bool
        Whether an utterance's frames do not depend on its batch.
    feature_encoder : None
        Log-mel frames have no weights to freeze.

    Example
    -------
    >>> import torch
    >>> from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel
    >>> config = Wav2Vec2BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    ...     intermediate_size=8)
    >>> backbone = W2vBertBackbone(Wav2Vec2BertModel(config), SeamlessM4TFeatureExtractor()).eval()
    >>> lengths = torch.tensor([16000, 8000])
    >>> backbone(torch.randn(2, 16000), lengths).shape, backbone.frame_lengths(lengths).tolist()
    (torch.Size([2, 49, 16]), [49, 24])
    """

    feature_encoder = None
    final_norm = None

    def __init__(self, model: nn.Module, extractor, spec_augment: bool = True):
        super().__init__()
        config = model.config
        self.model = model
        self.log_mel = SeamlessLogMel(extractor)
        self.spec_augment = bool(spec_augment)
        self.masked: bool = not config.add_adapter
        self.output_size: int = (
            config.output_hidden_size if config.add_adapter else config.hidden_size
        )
        self.receptive_field: int = self.log_mel.shortest
        if model.adapter is not None:
            # Each adapter layer halves time: without it, frames and their number would not agree.
            model.adapter.layerdrop = 0.0

    # A property, because a second registration would put every weight into the state twice.
    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers in order, the model's own list: ``del layers[k:]`` cuts it."""
        return self.model.encoder.layers

    @property
    def unused(self) -> list[nn.Parameter]:
        """Parameters that no output depends on."""
        embedding = getattr(self.model, "masked_spec_embed", None)
        config = self.model.config
        masks = self.spec_augment and config.apply_spec_augment and config.mask_time_prob > 0
        return [] if embedding is None or masks else [embedding]

    @property
    def layerdrop(self) -> float:
        """Probability that a transformer layer is left out in training; an adapter's never is."""
        return self.model.config.layerdrop

    @layerdrop.setter
    def layerdrop(self, value: float) -> None:
        self.model.config.layerdrop = float(value)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames for each number of samples, by the model's own arithmetic."""
        stacks = self.log_mel.frame_lengths(lengths)
        return self.model._get_feat_extract_output_lengths(stacks).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz. Their loudness has no effect beyond rounding: each mel
            band is normalised over the utterance.
        lengths : torch.Tensor
            Shape (batch,), valid samples of each row.

        Returns
        -------
        torch.Tensor
            The last hidden state (batch, frames, ``output_size``), anything behind valid frames.

        Raises
        ------
        ValueError
            If an utterance is shorter than ``receptive_field``.
        """
        features, stacks = self.log_mel(signals, lengths)
        if self.masked:
            # The stack that no row fills, which the extractor appends to an odd number of frames.
            # An adapter's last frame looks at it.
            features = features[:, : int(stacks.max())]
        mask = frame_mask(stacks, features.shape[1])
        features = features.to(self.model.feature_projection.projection.weight.dtype)
        return self._run(features, None if bool(mask.all()) else mask.long())

    def _run(self, features: Tensor, mask: Tensor | None) -> Tensor:
        config = self.model.config
        checkpoints = config.apply_spec_augment
        # transformers raises where a batch has fewer frames than one masked span.
        longer = features.shape[1] > config.mask_time_length
        config.apply_spec_augment = checkpoints and self.spec_augment and longer
        try:
            return self.model(features, attention_mask=mask).last_hidden_state
        finally:
            config.apply_spec_augment = checkpoints  # or a saved model would carry this batch's
