"""Any speech SSL model of transformers as an encoder whose answer does not depend on its batch."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from emosphere_sb.lobes.masking import frame_mask

logger = logging.getLogger(__name__)

FREEZE = ("none", "feature_encoder", "all")
# Families that mask padding before every layer that mixes time. data2vec-audio and conformers do
# not: there one convolution follows another, and padding comes back in between.
MASKED_FAMILIES = ("hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")


class SSLEncoder(nn.Module):
    """Frames of a self-supervised speech model, and how many of them are valid.

    In evaluation an utterance gives the same frames alone and in any batch: padding is masked, the
    number of valid frames follows the model's own arithmetic, and models where a mask cannot help
    (see ``padding_is_masked``) run equal lengths together.

    Arguments
    ---------
    backbone : str
        A name on the HuggingFace hub, a folder that ``save_pretrained`` wrote, or a ``.json`` file
        with a bare configuration, which gives random weights.
    freeze : str
        ``feature_encoder`` (the paper's: the convolutions stay as they are), ``none``, or ``all``.
    spec_augment : bool
        Whether SpecAugment is applied in training as the checkpoint's configuration says.
    layerdrop : float, optional
        Probability that a transformer layer is left out in training; ``None`` keeps the
        checkpoint's.
    gradient_checkpointing : bool
        Compute each layer again in the backward pass instead of keeping its activations.

    Raises
    ------
    ValueError
        If the backbone cannot be found, or ``freeze`` is not one of the three.

    Example
    -------
    >>> encoder = SSLEncoder("hparams/backbones/wavlm_smoke.json", freeze="none").eval()
    >>> frames, lengths = encoder(torch.randn(2, 16000), torch.tensor([16000, 8000]))
    >>> frames.shape[-1] == encoder.output_size, lengths.tolist()
    (True, [49, 24])
    """

    def __init__(
        self,
        backbone: str,
        freeze: str = "feature_encoder",
        spec_augment: bool = True,
        layerdrop: float | None = None,
        gradient_checkpointing: bool = False,
    ):
        super().__init__()
        if freeze not in FREEZE:
            raise ValueError(f"freeze must be one of {', '.join(FREEZE)}; found {freeze!r}.")
        self.freeze = freeze
        self.model = load_backbone(backbone)
        config = self.model.config
        self.spec_augment = bool(spec_augment) and getattr(config, "apply_spec_augment", True)
        if layerdrop is not None:
            config.layerdrop = float(layerdrop)
        if gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        self.output_size: int = config.hidden_size
        self.receptive_field = receptive_field(config)
        self.equal_lengths_only = not padding_is_masked(config)
        self._freeze()

    def _freeze(self) -> None:
        if self.freeze == "all":
            self.model.requires_grad_(False).eval()
        elif self.freeze == "feature_encoder":
            # Not requires_grad_(False): transformers would go on to ask for the waveform's
            # gradient, keep every activation of the convolutions, and go back through them.
            # On the feature extractor, because not every family's model (HuBERT) passes it on.
            self.model.feature_extractor._freeze_parameters()

    def train(self, mode: bool = True) -> SSLEncoder:
        """A wholly frozen backbone stays in evaluation mode: no dropout, no SpecAugment."""
        super().train(mode)
        if self.freeze == "all":
            self.model.eval()
        return self

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames for each number of samples, by the model's own arithmetic."""
        return self.model._get_feat_extract_output_lengths(lengths).long()

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz, normalised, zeros behind each utterance's end.
        lengths : torch.Tensor
            Shape (batch,), valid samples of each row.

        Returns
        -------
        tuple
            Frames (batch, frames, ``output_size``), zero where padded, and valid frames (batch,).

        Raises
        ------
        ValueError
            If an utterance is shorter than the model's receptive field.
        """
        if int(lengths.min()) < self.receptive_field:
            raise ValueError(
                f"An utterance must have at least {self.receptive_field} samples (the backbone's "
                f"receptive field); found {int(lengths.min())}. Run the preparation with "
                f"--min_duration={self.receptive_field / 16000:g} or more."
            )
        if self.equal_lengths_only and not self.model.training:  # a frozen one never trains
            frames = self._encode_by_length(signals, lengths)
        else:
            frames = self._encode(signals, lengths)
        frame_lengths = self.frame_lengths(lengths)
        mask = frame_mask(frame_lengths, frames.shape[1])
        return frames.masked_fill(~mask.unsqueeze(-1), 0.0), frame_lengths

    def _encode(self, signals: Tensor, lengths: Tensor) -> Tensor:
        # transformers raises where a batch has fewer frames than one masked span.
        config, frames = self.model.config, int(self.frame_lengths(lengths.max()))
        config.apply_spec_augment = self.spec_augment and frames > config.mask_time_length
        if bool((lengths == signals.shape[1]).all()):
            return self.model(signals).last_hidden_state
        mask = frame_mask(lengths, signals.shape[1])
        return self.model(signals, attention_mask=mask.long()).last_hidden_state

    def _encode_by_length(self, signals: Tensor, lengths: Tensor) -> Tensor:
        longest = int(self.frame_lengths(lengths.max()))
        frames = signals.new_zeros(signals.shape[0], longest, self.output_size)
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().squeeze(1)
            part = self.model(signals[rows, :length]).last_hidden_state
            frames = frames.to(part.dtype)
            frames[rows, : part.shape[1]] = part
        return frames


def padding_is_masked(config) -> bool:
    """Whether an attention mask alone keeps padding from changing an utterance's frames.

    Group norm takes its mean and variance over all frames of a row, padding included; an adapter
    convolves over time without a mask.
    """
    return (
        config.model_type in MASKED_FAMILIES
        and config.feat_extract_norm == "layer"
        and not getattr(config, "add_adapter", False)
    )


def receptive_field(config) -> int:
    """Samples that the first frame needs: the convolutions of ``config``, one after the other."""
    field, jump = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def load_backbone(backbone: str) -> nn.Module:
    """Load ``backbone`` (hub name, folder, or ``.json`` configuration) in float32.

    Raises
    ------
    ValueError
        If there is no such model, with what was tried.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    # What they raise for a name, a configuration and a file of weights that are wrong or damaged.
    refusals = (
        OSError, ValueError, TypeError, KeyError, RuntimeError, UnpicklingError,
        SafetensorError, StrictDataclassError,
    )  # fmt: skip
    bare = find_configuration(backbone) if str(backbone).endswith(".json") else None
    try:
        if bare is None:
            model = AutoModel.from_pretrained(backbone, dtype=torch.float32)
        else:
            settings = json.loads(bare.read_text(encoding="utf-8"))
            model = AutoModel.from_config(AutoConfig.for_model(**settings), dtype=torch.float32)
    except refusals as error:
        raise ValueError(
            f"backbone must be a name on the HuggingFace hub (microsoft/wavlm-large), a folder "
            f"written by save_pretrained, or a .json configuration; {backbone!r} could not be "
            f"loaded: {error}"
        ) from error
    if not hasattr(model, "feature_extractor"):
        raise ValueError(
            f"backbone must hear waveforms through convolutions (WavLM, wav2vec 2.0, HuBERT, "
            f"data2vec-audio, UniSpeech-SAT); {backbone!r} is a {type(model).__name__}."
        )
    return model


def find_configuration(backbone: str | os.PathLike) -> Path:
    """The ``.json`` file: as given, or among the package's own ``hparams/backbones``."""
    own = Path(__file__).resolve().parents[2] / "hparams" / "backbones"
    path = Path(backbone)
    if path.is_file():
        return path
    # Not for other folders: a path with a typing error must not build another model.
    if path.parent in (Path(), Path("hparams/backbones")) and (own / path.name).is_file():
        return own / path.name
    known = ", ".join(sorted(path.name for path in own.glob("*.json")))
    raise ValueError(
        f"backbone {str(backbone)!r}: no such file, and none of that name comes with the package, "
        f"which has {known}."
    )
