"""Models that hear the waveform through convolutions: WavLM, wav2vec 2.0, HuBERT and relatives."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from functools import cache

from torch import Tensor, nn

from emosphere_sb.backbones import dropout, feature_encoder, positional_conv
from emosphere_sb.backbones.masking import frame_mask

logger = logging.getLogger(__name__)

# Families whose encoders set padding to zero before the position convolution and mask it in
# attention (XLS-R, MMS and XLSR are wav2vec 2.0).
MASKED_FAMILIES = ("hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
# Families that convolve over time again and again: the modules before which padding must be set to
# zero anew, all of which take (batch, channel, frame).
LEAKS = {
    "data2vec-audio": "encoder.pos_conv_embed.layers.*",
    "wav2vec2-conformer": "encoder.layers.*.conv_module.depthwise_conv",
}


class WaveformBackbone(nn.Module):
    """A model of transformers that begins with convolutions over the waveform.

    Its convolutions run as matrix products (:mod:`emosphere_sb.backbones.feature_encoder`), which
    also keeps padding out of group norm; WavLM's attention is the fast one; data2vec-audio's
    stacked position convolutions and the conformer's depthwise ones get their padding set to zero.
    What no mask helps (``masked`` is false: adapters, SEW, batch norm before the position
    convolution) must be given equal lengths.

    Arguments
    ---------
    model : torch.nn.Module
        As ``AutoModel`` loads it.
    spec_augment : bool
        Whether SpecAugment is applied in training as the configuration says.
    fast : bool
        ``False`` keeps every module of transformers as it is, for comparisons.
    """

    def __init__(self, model: nn.Module, spec_augment: bool = True, *, fast: bool = True):
        super().__init__()
        self.model = model
        config = model.config
        self.output_size: int = config.hidden_size
        self.receptive_field = receptive_field(config)
        self.spec_augment = bool(spec_augment) and getattr(config, "apply_spec_augment", True)
        self._valid: Tensor | None = None  # frame mask of the batch that runs
        if fast:
            make_fast(model)
        if getattr(model, "adapter", None) is not None:
            # Each of its layers halves time: without one, frames and their number do not agree.
            model.adapter.layerdrop = 0.0
        self.masked = padding_is_masked(model)
        for module in self._leaking():
            module.register_forward_pre_hook(self._silence_padding)

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers, from the first."""
        encoder = self.model.encoder
        return encoder.layers if hasattr(encoder, "layers") else encoder.encoder.layer  # SEW-D

    @property
    def feature_encoder(self) -> nn.Module:
        """The convolutions: what the paper freezes."""
        return self.model.feature_extractor

    @property
    def final_norm(self) -> nn.Module | None:
        """The norm behind the last layer, in models that normalise before each layer."""
        config = self.model.config
        # Elsewhere the encoder's norm stands before the layers, whatever a configuration says.
        stable = config.model_type in MASKED_FAMILIES and config.do_stable_layer_norm
        conformer = config.model_type == "wav2vec2-conformer"
        return self.model.encoder.layer_norm if stable or conformer else None

    @property
    def layerdrop(self) -> float:
        """Probability that a layer is left out in training."""
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
        if config.model_type == "wav2vec2-conformer":  # it has one and never calls it
            found += self.model.encoder.pos_conv_embed.parameters()
        return found

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames for each number of samples, by the model's own arithmetic."""
        return self.model._get_feat_extract_output_lengths(lengths).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Last hidden state (batch, frame, feature) of signals (batch, sample)."""
        config = self.model.config
        frames = int(self.frame_lengths(lengths.max()))
        # transformers raises where a batch has fewer frames than one masked span.
        config.apply_spec_augment = self.spec_augment and frames > config.mask_time_length
        mask = valid = None
        if bool((lengths < signals.shape[1]).any()):
            mask = frame_mask(lengths, signals.shape[1]).long()
            count = feature_encoder.number_of_frames_of(config, signals.shape[1])
            valid = feature_encoder.number_of_frames_of(config, lengths)
            valid = frame_mask(valid, count).unsqueeze(1)
        with self._frames_are_valid(valid), self._samples_are_valid(lengths):
            return self.model(signals, attention_mask=mask).last_hidden_state

    def checkpoint_contexts(self) -> tuple:
        """For gradient checkpointing: a layer that runs again meets the padding of the first time.

        Returns
        -------
        tuple
            Contexts of a layer's forward pass and of its repetition.
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

    def _leaking(self) -> list[nn.Module]:
        path = LEAKS.get(self.model.config.model_type)
        if path is None:
            return []
        before, _, after = path.partition(".*")
        layers = self.model.get_submodule(before)
        return [layer.get_submodule(after.strip(".")) if after else layer for layer in layers]

    def _silence_padding(self, module: nn.Module, inputs: tuple) -> tuple | None:
        if self._valid is None:
            return None
        return (inputs[0].masked_fill(~self._valid, 0.0), *inputs[1:])


def make_fast(model: nn.Module) -> None:
    """Give a model fast convolutions, dropout and, if it is a WavLM, attention, in place."""
    if feature_encoder.is_supported(model.feature_extractor):
        model.feature_extractor = feature_encoder.FeatureEncoder(model.feature_extractor)
    dropout.make_fast(model)
    positional_conv.make_fast(model)
    if model.config.model_type == "wavlm" and wavlm_is_known():
        from emosphere_sb.backbones.wavlm_attention import GatedAttention

        for layer in model.encoder.layers:
            layer.attention.__class__ = GatedAttention


@cache
def wavlm_is_known() -> bool:
    """Whether the installed transformers' WavLM attention is the one that this package computes."""
    import transformers

    try:
        from emosphere_sb.backbones import wavlm_attention

        known = wavlm_attention.agrees()
    except ImportError:  # what it is made of has another place or name
        known = False
    if not known:
        logger.warning(
            "transformers %s computes WavLM's attention otherwise than this package knows: "
            "transformers' own runs, which is slower and needs more memory.",
            transformers.__version__,
        )
    return known


def padding_is_masked(model: nn.Module) -> bool:
    """Whether masks keep padding from changing an utterance's frames."""
    config = model.config
    group_norm = getattr(config, "feat_extract_norm", "layer") == "group"
    return (
        config.model_type in (*MASKED_FAMILIES, *LEAKS)
        # transformers' own takes mean and variance over all frames of a row, padding included.
        and (not group_norm or isinstance(model.feature_extractor, feature_encoder.FeatureEncoder))
        # Batch norm makes something of the zeros that the position convolution ends on.
        and not getattr(config, "conv_pos_batch_norm", False)
        and not getattr(config, "add_adapter", False)  # it convolves over time without a mask
    )


def receptive_field(config) -> int:
    """Samples that the first frame needs: the convolutions of ``config``, one after the other."""
    field, jump = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, jump = field + (kernel - 1) * jump, jump * stride
    # SEW takes the mean of some frames before its layers.
    return field + (getattr(config, "squeeze_factor", 1) - 1) * jump
