"""w2v-BERT 2.0 with waveform input; log-mel frames are computed on the model's device."""

from __future__ import annotations

from torch import Tensor, nn

from emosphere_sb.backbones.log_mel import SeamlessLogMel
from emosphere_sb.backbones.masking import frame_mask


class W2vBertBackbone(nn.Module):
    """``Wav2Vec2BertModel`` that computes its log-mel input from waveforms.

    transformers masks padding in attention and before the causal depthwise convolution, so the
    frames of an utterance do not depend on its batch. Adapters convolve without a mask. For a model
    with adapters, ``masked`` is therefore False, and a batch should contain only utterances of
    equal length.

    Arguments
    ---------
    model : torch.nn.Module
        ``Wav2Vec2BertModel``, as loaded by ``AutoModel``.
    extractor : transformers.SeamlessM4TFeatureExtractor
        Feature extractor; see :func:`emosphere_sb.backbones.log_mel.load_feature_extractor`.
    spec_augment : bool
        Whether to apply SpecAugment in training, with the settings of the configuration.

    Attributes
    ----------
    model : transformers.Wav2Vec2BertModel
        The model.
    output_size : int
        Number of features per frame.
    receptive_field : int
        Smallest number of samples that produces a frame.
    masked : bool
        Whether the frames of an utterance are independent of the rest of its batch.
    feature_encoder : None
        Log-mel input has no weights that could be frozen.

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
        self.receptive_field: int = self.log_mel.min_samples
        if model.adapter is not None:
            # Each adapter layer halves the frame rate: skipping one would change the frame count.
            model.adapter.layerdrop = 0.0

    # A property: registering the modules again would save every weight twice.
    @property
    def layers(self) -> nn.ModuleList:
        """Transformer layers in order. Deleting from this list removes layers from the model."""
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
        """Probability that a layer is skipped in training; adapters are never skipped."""
        return self.model.config.layerdrop

    @layerdrop.setter
    def layerdrop(self, value: float) -> None:
        self.model.config.layerdrop = float(value)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of frames."""
        stacks = self.log_mel.frame_lengths(lengths)
        return self.model._get_feat_extract_output_lengths(stacks).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples). Their level has no effect except for
            rounding, because each mel band is normalised over the utterance.
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Last hidden state, shape (batch, frames, ``output_size``); padded frames have arbitrary
            values.

        Raises
        ------
        ValueError
            If an utterance is shorter than ``receptive_field``.
        """
        features, stacks = self.log_mel(signals, lengths.to(signals.device))
        if self.masked:
            # Drop the stack that the extractor appends to an odd number of frames; it is not valid
            # in any row. It stays for adapters, whose last frame depends on it.
            features = features[:, : int(stacks.max())]
        mask = frame_mask(stacks, features.shape[1])
        features = features.to(self.model.feature_projection.layer_norm.weight.dtype)
        return self._run(features, None if bool(mask.all()) else mask.long())

    def _run(self, features: Tensor, mask: Tensor | None) -> Tensor:
        config = self.model.config
        configured = config.apply_spec_augment
        # transformers raises an error if a batch has fewer frames than one masked span.
        longer = features.shape[1] > config.mask_time_length
        config.apply_spec_augment = configured and self.spec_augment and longer
        try:
            return self.model(features, attention_mask=mask).last_hidden_state
        finally:
            config.apply_spec_augment = configured  # not this batch's value in saved models
