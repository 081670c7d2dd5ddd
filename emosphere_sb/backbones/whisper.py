"""Whisper's encoder for utterances of any length up to 30 s, without padding to 30 s.

The encoder of transformers requires 3,000 input frames, so two seconds of speech take as much time
as thirty. Its layers do not have this restriction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.log_mel import SAMPLE_RATE, WhisperLogMel
from emosphere_sb.backbones.masking import frame_mask


class WhisperBackbone(nn.Module):
    """Encoder of a Whisper model that processes only the frames of the utterances.

    The modules of transformers' encoder run in the same order: two convolutions, positional
    embedding, layers and norm, with its dropout, layerdrop and SpecAugment in training. Padding is
    masked before each convolution and in attention, so the frames of an utterance do not depend on
    its batch. The output for a 30-second utterance equals that of transformers. For a shorter
    utterance it differs, because transformers also attends to the appended silence (see
    :func:`difference_from_padding`).

    Arguments
    ---------
    model : torch.nn.Module
        ``WhisperModel``, as loaded by ``AutoModel``; only its encoder is used.
    extractor : transformers.WhisperFeatureExtractor
        Feature extractor; see :func:`emosphere_sb.backbones.log_mel.load_feature_extractor`.
    spec_augment : bool
        Whether to apply SpecAugment in training if the configuration enables it. (Those of the
        published models do not.)

    Attributes
    ----------
    model : transformers.WhisperEncoder
        The encoder, whose ``forward`` is not called.
    output_size : int
        Number of features per frame.
    receptive_field : int
        Smallest number of samples that produces a frame.
    masked : bool
        Always True: the frames of an utterance are independent of the rest of its batch.

    Example
    -------
    >>> from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
    >>> config = WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=8,
    ...     decoder_ffn_dim=8, encoder_attention_heads=2, decoder_attention_heads=2,
    ...     vocab_size=8, pad_token_id=0, max_source_positions=100)
    >>> backbone = WhisperBackbone(WhisperModel(config), WhisperFeatureExtractor()).eval()
    >>> lengths = torch.tensor([16000, 8000])
    >>> backbone(torch.randn(2, 16000), lengths).shape, backbone.frame_lengths(lengths).tolist()
    (torch.Size([2, 50, 16]), [50, 25])
    """

    masked = True
    advice = (
        "Whisper was trained on waveforms without normalisation: use --normalisation=as_checkpoint "
        "or none."
    )

    def __init__(self, model: nn.Module, extractor, spec_augment: bool = True):
        super().__init__()
        self.model = getattr(model, "encoder", model)
        self.log_mel = WhisperLogMel(extractor)
        self.spec_augment = bool(spec_augment)
        self.output_size: int = self.model.config.d_model
        self.receptive_field: int = self.log_mel.min_samples

    # Properties: registering the modules again would save every weight twice.
    @property
    def layers(self) -> nn.ModuleList:
        """Transformer layers in order. Deleting from this list removes layers from the model."""
        return self.model.layers

    @property
    def feature_encoder(self) -> nn.ModuleList:
        """The two convolutions and the positional embedding."""
        return nn.ModuleList([self.model.conv1, self.model.conv2, self.model.embed_positions])

    @property
    def final_norm(self) -> nn.Module:
        """Norm after the last layer."""
        return self.model.layer_norm

    @property
    def unused(self) -> list[nn.Parameter]:
        """Parameters that are never trained: the sinusoidal positional embedding."""
        return [self.model.embed_positions.weight]

    @property
    def layerdrop(self) -> float:
        """Probability that a layer is skipped in training."""
        return self.model.layerdrop

    @layerdrop.setter
    def layerdrop(self, value: float) -> None:
        self.model.layerdrop = self.model.config.encoder_layerdrop = float(value)

    @property
    def max_samples(self) -> int:
        """Largest number of samples of an utterance: 480,000 (30 s) for the published models."""
        return 2 * self.model.max_source_positions * self.log_mel.hop

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of frames."""
        mel = self.log_mel.frame_lengths(lengths)
        return self.model._get_feat_extract_output_lengths(mel).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples).
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
            If an utterance is longer than ``max_samples`` or shorter than ``receptive_field``.
        """
        self._check_max_length(lengths)
        features, mel_lengths = self.log_mel(signals, lengths.to(signals.device))
        return self.encode(features, mel_lengths)

    def encode(self, features: Tensor, mel_lengths: Tensor) -> Tensor:
        """Encode log-mel frames.

        Arguments
        ---------
        features : torch.Tensor
            Log-mel frames, shape (batch, bins, mel frames).
        mel_lengths : torch.Tensor
            Number of valid mel frames of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Last hidden state, shape (batch, frames, ``output_size``).
        """
        model = self.model
        mask = frame_mask(mel_lengths, features.shape[-1])
        features = self._augment(features, mask)
        features = features.masked_fill(~mask.unsqueeze(1), 0.0).to(model.conv1.weight.dtype)
        # Mask again: the first convolution adds its bias to padded frames, which the second reads.
        hidden = nn.functional.gelu(model.conv1(features)).masked_fill(~mask.unsqueeze(1), 0.0)
        hidden = nn.functional.gelu(model.conv2(hidden)).transpose(1, 2)
        hidden = hidden + model.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, p=model.dropout, training=model.training)
        valid = frame_mask(model._get_feat_extract_output_lengths(mel_lengths), hidden.shape[1])
        attended = self.attention_mask(hidden, valid)
        for layer in model.layers:
            if not (model.training and model.layerdrop > 0 and torch.rand([]) < model.layerdrop):
                hidden = layer(hidden, attended)
                if isinstance(hidden, tuple):  # transformers 5.0 also returns attention weights
                    hidden = hidden[0]
        return model.layer_norm(hidden)

    def attention_mask(self, hidden: Tensor, valid: Tensor) -> Tensor | None:
        """Return the mask in the format of the attention implementation; None without padding."""
        from transformers.masking_utils import create_bidirectional_mask

        return create_bidirectional_mask(self.model.config, hidden, valid)

    def _augment(self, features: Tensor, mask: Tensor) -> Tensor:
        from transformers import WhisperModel

        # transformers raises an error if a batch has fewer frames than one masked span.
        longer = features.shape[-1] > self.model.config.mask_time_length
        if not (self.spec_augment and self.model.training and longer):
            return features
        # This method of the full model only reads attributes that the encoder has as well.
        return WhisperModel._mask_input_features(self.model, features, mask.long())

    def _check_max_length(self, lengths: Tensor) -> None:
        longest = int(lengths.max())
        if int(self.frame_lengths(torch.tensor(longest))) > self.model.max_source_positions:
            seconds = self.max_samples / SAMPLE_RATE
            raise ValueError(
                f"Whisper supports utterances of at most {seconds:g} s; found one of "
                f"{longest / SAMPLE_RATE:g} s. Prepare the data with --max_duration={seconds:g} or "
                f"less, or train on crops (--max_seconds={seconds:g})."
            )


@torch.no_grad()
def difference_from_padding(backbone: WhisperBackbone, signals: Tensor, lengths: Tensor) -> Tensor:
    """Return the relative difference between frames with and without padding to 30 s.

    The backbone runs in evaluation mode; its mode is restored afterwards.

    Arguments
    ---------
    backbone : WhisperBackbone
        The backbone to compare with the encoder of transformers.
    signals : torch.Tensor
        Waveforms at 16 kHz, shape (batch, samples).
    lengths : torch.Tensor
        Number of valid samples of each row, shape (batch,).

    Returns
    -------
    torch.Tensor
        Norm of the difference over the valid frames of each utterance, divided by the norm of the
        frames of transformers' encoder, shape (batch,).
    """
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        short, padded = backbone(signals, lengths), padded_encoding(backbone, signals, lengths)
    finally:
        for module, mode in modes.items():
            module.training = mode
    valid = frame_mask(backbone.frame_lengths(lengths), short.shape[1]).unsqueeze(-1)
    padded = padded[:, : short.shape[1]].masked_fill(~valid, 0.0)
    short = short.masked_fill(~valid, 0.0)
    return (short - padded).flatten(1).norm(dim=1) / padded.flatten(1).norm(dim=1)


def padded_encoding(backbone: WhisperBackbone, signals: Tensor, lengths: Tensor) -> Tensor:
    """Run transformers' encoder on utterances that are zero-padded to ``max_samples``."""
    samples = backbone.max_samples
    padded = signals.new_zeros(len(signals), samples)
    width = min(samples, signals.shape[1])
    inside = frame_mask(lengths, width)
    padded[:, :width] = signals[:, :width].masked_fill(~inside, 0.0)
    features, _ = backbone.log_mel(padded, torch.full_like(lengths, samples))
    return backbone.model(features.to(backbone.model.conv1.weight.dtype)).last_hidden_state
