"""Whisper's encoder on utterances of any length: without filling up to 30 s, without the decoder.

transformers' own encoder takes 3,000 frames and nothing else, so that two seconds of speech cost as
much as thirty, most of it attention on silence. Its parts have no such bound.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.log_mel import SAMPLE_RATE, WhisperLogMel
from emosphere_sb.backbones.masking import frame_mask


class WhisperBackbone(nn.Module):
    """The encoder of a Whisper model, run on as many frames as there are.

    The parts are transformers' own and run as its encoder runs them: two convolutions, positions,
    layers, norm, with its dropout, layerdrop and SpecAugment in training. Padding is masked before
    each convolution and in attention, so an utterance gives in any batch what it gives alone. An
    utterance that fills all positions (30 s) gives what transformers gives; a shorter one differs
    from that, because the silence that transformers appends is not there to be attended to (see
    :func:`difference_from_padding`).

    Arguments
    ---------
    model : torch.nn.Module
        ``WhisperModel``, as ``AutoModel`` loads it, of which the encoder is kept.
    extractor : transformers.WhisperFeatureExtractor
        See :func:`emosphere_sb.backbones.log_mel.extractor_for`.
    spec_augment : bool
        Whether SpecAugment is applied in training as the configuration says (Whisper's own says
        no).

    Attributes
    ----------
    model : transformers.WhisperEncoder
        For gradient checkpointing, training mode, saving. Its ``forward`` is not called.
    output_size : int
        Size of a frame.
    receptive_field : int
        Samples that the first frame needs.
    masked : bool
        True: an utterance's frames do not depend on its batch.

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
        "Whisper was trained on the waveform as it is: take --normalisation=as_checkpoint, or none."
    )

    def __init__(self, model: nn.Module, extractor, spec_augment: bool = True):
        super().__init__()
        self.model = getattr(model, "encoder", model)
        self.log_mel = WhisperLogMel(extractor)
        self.spec_augment = bool(spec_augment)
        self.output_size: int = self.model.config.d_model
        self.receptive_field: int = self.log_mel.shortest

    # Properties, because a second registration would put every weight into the state twice.
    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers in order, the model's own list: ``del layers[k:]`` cuts it."""
        return self.model.layers

    @property
    def feature_encoder(self) -> nn.ModuleList:
        """The two convolutions and the positions (which Whisper never trains)."""
        return nn.ModuleList([self.model.conv1, self.model.conv2, self.model.embed_positions])

    @property
    def final_norm(self) -> nn.Module:
        """The norm behind the last layer."""
        return self.model.layer_norm

    @property
    def unused(self) -> list[nn.Parameter]:
        """What is never trained: Whisper's positions are sinusoids."""
        return [self.model.embed_positions.weight]

    @property
    def layerdrop(self) -> float:
        """Probability that a layer is left out in training."""
        return self.model.layerdrop

    @layerdrop.setter
    def layerdrop(self, value: float) -> None:
        self.model.layerdrop = self.model.config.encoder_layerdrop = float(value)

    @property
    def most_samples(self) -> int:
        """Samples that fill all positions: 480,000 (30 s) for every published Whisper."""
        return 2 * self.model.max_source_positions * self.log_mel.hop

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames for each number of samples, by the model's own arithmetic."""
        mel = self.log_mel.frame_lengths(lengths)
        return self.model._get_feat_extract_output_lengths(mel).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz.
        lengths : torch.Tensor
            Shape (batch,), valid samples of each row.

        Returns
        -------
        torch.Tensor
            The last hidden state (batch, frames, ``output_size``), anything behind valid frames.

        Raises
        ------
        ValueError
            If an utterance is longer than the model has positions, or shorter than
            ``receptive_field``.
        """
        self._refuse_long(lengths)
        features, mel_lengths = self.log_mel(signals, lengths)
        return self.encode(features, mel_lengths)

    def encode(self, features: Tensor, mel_lengths: Tensor) -> Tensor:
        """The same from log-mel frames (batch, bins, frames) and valid frames (batch,)."""
        from transformers.masking_utils import create_bidirectional_mask

        model = self.model
        mask = frame_mask(mel_lengths, features.shape[-1])
        features = self._augment(features, mask)
        features = features.masked_fill(~mask.unsqueeze(1), 0.0).to(model.conv1.weight.dtype)
        # The first convolution's bias would otherwise stand behind the end, where the second looks.
        hidden = nn.functional.gelu(model.conv1(features)).masked_fill(~mask.unsqueeze(1), 0.0)
        hidden = nn.functional.gelu(model.conv2(hidden)).transpose(1, 2)
        hidden = hidden + model.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, p=model.dropout, training=model.training)
        valid = frame_mask(model._get_feat_extract_output_lengths(mel_lengths), hidden.shape[1])
        # In the form that the configured attention takes; None where nothing is padded.
        attended = create_bidirectional_mask(model.config, hidden, valid)
        for layer in model.layers:
            if not (model.training and model.layerdrop > 0 and torch.rand([]) < model.layerdrop):
                hidden = layer(hidden, attended)
                if isinstance(hidden, tuple):  # with weights nobody asked for, in transformers 5.0
                    hidden = hidden[0]
        return model.layer_norm(hidden)

    def _augment(self, features: Tensor, mask: Tensor) -> Tensor:
        from transformers import WhisperModel

        # transformers raises where a batch has fewer frames than one masked span.
        longer = features.shape[-1] > self.model.config.mask_time_length
        if not (self.spec_augment and self.model.training and longer):
            return features
        # A method of the whole model, of which it reads what the encoder has too.
        return WhisperModel._mask_input_features(self.model, features, mask.long())

    def _refuse_long(self, lengths: Tensor) -> None:
        longest = int(lengths.max())
        if int(self.frame_lengths(torch.tensor(longest))) > self.model.max_source_positions:
            seconds = self.most_samples / SAMPLE_RATE
            raise ValueError(
                f"Whisper has positions for {seconds:g} s; found an utterance of "
                f"{longest / SAMPLE_RATE:g} s. Run the preparation with --max_duration={seconds:g} "
                f"or less, or train on crops."
            )


@torch.no_grad()
def difference_from_padding(backbone: WhisperBackbone, signals: Tensor, lengths: Tensor) -> Tensor:
    """How far frames without padding lie from transformers' own, filled up with silence to 30 s.

    In evaluation, whatever the mode that the backbone is in.

    Arguments
    ---------
    backbone : WhisperBackbone
        Any.
    signals, lengths : torch.Tensor
        As for :meth:`WhisperBackbone.forward`.

    Returns
    -------
    torch.Tensor
        Shape (batch,): the norm of the difference over the utterance's valid frames, divided by the
        norm of transformers' frames.
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
    """transformers' own encoder on utterances filled up with zeros to all its positions."""
    samples = backbone.most_samples
    whole = signals.new_zeros(len(signals), samples)
    width = min(samples, signals.shape[1])
    inside = frame_mask(lengths, width)
    whole[:, :width] = signals[:, :width].masked_fill(~inside, 0.0)
    features, _ = backbone.log_mel(whole, torch.full_like(lengths, samples))
    return backbone.model(features.to(backbone.model.conv1.weight.dtype)).last_hidden_state
