"""Models with a convolutional waveform encoder: WavLM, wav2vec 2.0, HuBERT and similar models."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from functools import cache

from torch import Tensor, nn

from emosphere_sb.backbones import dropout, feature_encoder, positional_conv
from emosphere_sb.backbones.masking import frame_mask

logger = logging.getLogger(__name__)

# Families whose encoders set padding to zero before the positional convolution and mask it in
# attention (XLS-R, MMS and XLSR are wav2vec 2.0).
MASKED_FAMILIES = ("hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
# Families with further convolutions over time: the modules, with input (batch, channel, frame),
# before which padding must be set to zero again.
UNMASKED_CONVOLUTIONS = {
    "data2vec-audio": "encoder.pos_conv_embed.layers.*",
    "wav2vec2-conformer": "encoder.layers.*.conv_module.depthwise_conv",
}


class WaveformBackbone(nn.Module):
    """Transformers model with a convolutional waveform encoder.

    The convolutions are computed faster (:mod:`emosphere_sb.backbones.feature_encoder`), which also
    excludes padding from group norm.
    WavLM's attention is replaced by a faster implementation
    (:mod:`emosphere_sb.backbones.wavlm_attention`). Padding is set to zero before the stacked
    positional convolutions of data2vec-audio and the depthwise convolutions of the conformer. Where
    masks are not sufficient (adapters, SEW, batch norm before the positional convolution),
    ``masked`` is False, and a batch should contain only utterances of equal length.

    Arguments
    ---------
    model : torch.nn.Module
        Model, as loaded by ``AutoModel``.
    spec_augment : bool
        Whether to apply SpecAugment in training, with the settings of the configuration.
    fast : bool
        Whether to replace transformers modules with faster equivalents; ``False`` is for
        comparisons.
    """

    def __init__(self, model: nn.Module, spec_augment: bool = True, *, fast: bool = True):
        super().__init__()
        self.model = model
        config = model.config
        self.output_size: int = config.hidden_size
        self.receptive_field = receptive_field(config)
        self.spec_augment = bool(spec_augment) and getattr(config, "apply_spec_augment", True)
        self._valid: Tensor | None = None  # frame mask of the current batch
        if fast:
            patch_model(model)
        if getattr(model, "adapter", None) is not None:
            # Each adapter layer halves the frame rate: skipping one would change the frame count.
            model.adapter.layerdrop = 0.0
        self.masked = padding_is_masked(model)
        for module in self._unmasked_modules():
            module.register_forward_pre_hook(self._zero_padding)

    @property
    def layers(self) -> nn.ModuleList:
        """Transformer layers in order. Deleting from this list removes layers from the model."""
        encoder = self.model.encoder
        return encoder.layers if hasattr(encoder, "layers") else encoder.encoder.layer  # SEW-D

    @property
    def feature_encoder(self) -> nn.Module:
        """Convolutional feature encoder, which the paper freezes."""
        return self.model.feature_extractor

    @property
    def final_norm(self) -> nn.Module | None:
        """Norm after the last layer, in models that normalise before each layer."""
        config = self.model.config
        # In other families the encoder's norm precedes the layers, regardless of this setting.
        stable = config.model_type in MASKED_FAMILIES and config.do_stable_layer_norm
        conformer = config.model_type == "wav2vec2-conformer"
        return self.model.encoder.layer_norm if stable or conformer else None

    @property
    def layerdrop(self) -> float:
        """Probability that a layer is skipped in training."""
        return self.model.config.layerdrop

    @layerdrop.setter
    def layerdrop(self, value: float) -> None:
        self.model.config.layerdrop = float(value)

    @property
    def unused(self) -> list[nn.Parameter]:
        """Parameters that no output depends on."""
        config, found = self.model.config, []
        embedding = getattr(self.model, "masked_spec_embed", None)
        if embedding is not None and not (self.spec_augment and config.mask_time_prob > 0):
            found.append(embedding)
        if config.model_type == "wav2vec2-conformer":  # has one, but does not use it
            found += self.model.encoder.pos_conv_embed.parameters()
        return found

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of frames."""
        return self.model._get_feat_extract_output_lengths(lengths).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples).
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,), on the CPU or on the device of the
            signals.

        Returns
        -------
        torch.Tensor
            Last hidden state, shape (batch, frames, ``output_size``).
        """
        config = self.model.config
        frames = int(self.frame_lengths(lengths.max()))
        # transformers raises an error if a batch has fewer frames than one masked span.
        config.apply_spec_augment = self.spec_augment and frames > config.mask_time_length
        mask = valid = None
        padded = bool((lengths < signals.shape[1]).any())
        lengths = lengths.to(signals.device, non_blocking=True)
        if padded:
            mask = frame_mask(lengths, signals.shape[1]).long()
            count = feature_encoder.frame_count_from_config(config, signals.shape[1])
            valid = feature_encoder.frame_count_from_config(config, lengths)
            valid = frame_mask(valid, count).unsqueeze(1)
        with self._frames_are_valid(valid), self._samples_are_valid(lengths):
            return self.model(signals, attention_mask=mask).last_hidden_state

    def checkpoint_contexts(self) -> tuple:
        """Return context managers that restore the padding mask for gradient checkpointing.

        Returns
        -------
        tuple
            Context managers for a layer's forward pass and of its recomputation.
        """
        return nullcontext(), self._frames_are_valid(self._valid)

    @contextmanager
    def _frames_are_valid(self, valid: Tensor | None):
        before, self._valid = self._valid, valid
        try:
            yield
        finally:
            self._valid = before

    @contextmanager
    def _samples_are_valid(self, lengths: Tensor):
        fast = isinstance(self.feature_encoder, feature_encoder.FeatureEncoder)
        if fast:
            self.feature_encoder.lengths = lengths
        try:
            yield
        finally:
            if fast:
                self.feature_encoder.lengths = None

    def _unmasked_modules(self) -> list[nn.Module]:
        path = UNMASKED_CONVOLUTIONS.get(self.model.config.model_type)
        if path is None:
            return []
        before, _, after = path.partition(".*")
        layers = self.model.get_submodule(before)
        return [layer.get_submodule(after.strip(".")) if after else layer for layer in layers]

    def _zero_padding(self, module: nn.Module, inputs: tuple) -> tuple | None:
        if self._valid is None:
            return None
        return (inputs[0].masked_fill(~self._valid, 0.0), *inputs[1:])


def patch_model(model: nn.Module) -> None:
    """Replace the convolutions, the dropout and WavLM's attention with faster ones, in place."""
    if feature_encoder.is_supported_encoder(model.feature_extractor):
        model.feature_extractor = feature_encoder.FeatureEncoder(model.feature_extractor)
    dropout.patch_dropout(model)
    positional_conv.patch_positional_conv(model)
    if model.config.model_type == "wavlm" and wavlm_attention_is_supported():
        from emosphere_sb.backbones.wavlm_attention import GatedAttention

        for layer in model.encoder.layers:
            layer.attention.__class__ = GatedAttention


@cache
def wavlm_attention_is_supported() -> bool:
    """Return whether this package's WavLM attention matches that of the installed transformers."""
    import transformers

    try:
        from emosphere_sb.backbones import wavlm_attention

        known = wavlm_attention.matches_transformers()
    except ImportError:  # classes were moved or renamed
        known = False
    if not known:
        logger.warning(
            "The WavLM attention of transformers %s differs from this package's fast "
            "implementation. Falling back to the transformers implementation, which is slower and "
            "needs more memory.",
            transformers.__version__,
        )
    return known


def padding_is_masked(model: nn.Module) -> bool:
    """Return whether masks fully exclude padding, so frames do not depend on the batch."""
    config = model.config
    group_norm = getattr(config, "feat_extract_norm", "layer") == "group"
    return (
        config.model_type in (*MASKED_FAMILIES, *UNMASKED_CONVOLUTIONS)
        # In transformers, mean and variance of group norm include padding.
        and (not group_norm or isinstance(model.feature_extractor, feature_encoder.FeatureEncoder))
        # Batch norm changes the zeros at the end of the positional convolution's input.
        and not getattr(config, "conv_pos_batch_norm", False)
        and not getattr(config, "add_adapter", False)  # convolves over time without a mask
    )


def receptive_field(config) -> int:
    """Return the smallest number of samples for which the convolutions output a frame."""
    field, jump = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, jump = field + (kernel - 1) * jump, jump * stride
    # SEW averages groups of frames before its layers.
    return field + (getattr(config, "squeeze_factor", 1) - 1) * jump
