"""Encoder for self-supervised speech models, with output that does not depend on the batch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from emosphere_sb.backbones import load_backbone
from emosphere_sb.backbones.freezing import FreezeSchedule, freeze, set_training
from emosphere_sb.backbones.layer_mix import HiddenStates
from emosphere_sb.backbones.lora import add_lora
from emosphere_sb.backbones.masking import frame_mask

logger = logging.getLogger(__name__)


class SSLEncoder(nn.Module):
    """Encoder that maps waveforms to frames with a pretrained speech model.

    In evaluation, the frames of an utterance are the same alone and in any batch. Padding is masked
    before every operation over time. For models in which masks are not sufficient, only utterances
    of equal length are processed together (``equal_lengths_only``), and this is logged.

    Arguments
    ---------
    backbone : str
        Name on the Hugging Face Hub, path of a folder written by ``save_pretrained``, or path of a
        ``.json`` configuration for a model with random weights.
    freeze : str
        Frozen part: ``feature_encoder`` (the convolutions, as in the paper), ``none``, ``all``, or
        ``all_but_top_K`` (only the last K layers are trained). Frozen parts stay in evaluation
        mode.
    spec_augment : bool
        Whether to apply SpecAugment in training, with the settings of the checkpoint.
    layerdrop : float, optional
        Probability that a transformer layer is skipped in training. (default: the checkpoint's
        value)
    gradient_checkpointing : bool
        Whether to recompute activations in the backward pass, which saves memory but takes more
        time.
    layers : str, int or sequence of int
        Hidden states to use: ``last``; a number K for the output of layer K (0: input of the first
        layer), in which case later layers are not run; ``weighted`` for the sum of all layers with
        learned softmax weights (Yang et al., 2021, SUPERB); ``concat`` for the concatenation of all
        layers; or a list of numbers for the concatenation of these layers.
    lora_rank : int
        Rank of low-rank adapters; 0: no adapters. With adapters, all weights of the backbone are
        frozen, regardless of ``freeze``.
    lora_alpha, lora_dropout : float
        See :func:`emosphere_sb.backbones.lora.add_lora`.
    lora_targets : sequence of str
        Names of the linear layers that get adapters.
    trust_remote_code : bool
        Whether Python code that comes with the backbone may be executed.
    freeze_schedule : mapping of int to str, optional
        Frozen part by first epoch, which overrides ``freeze``, such as
        ``{1: "all", 3: "all_but_top_4"}``.
    layer_normalisation : str
        Normalisation of each layer's frames before layers are combined: ``none`` (as in the paper),
        ``standardise`` (per dimension, with the mean and SD over the training set) or
        ``layer_norm`` (per frame, without learned parameters).

    Raises
    ------
    ValueError
        If the backbone cannot be loaded or an option is invalid.

    Example
    -------
    >>> import torch
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
        layers: str | int | Sequence[int] = "last",
        lora_rank: int = 0,
        lora_alpha: float = 16.0,
        lora_dropout: float = 0.0,
        lora_targets: Sequence[str] = ("q_proj", "v_proj"),
        trust_remote_code: bool = False,
        freeze_schedule: Mapping[int, str] | None = None,
        layer_normalisation: str = "none",
    ):
        super().__init__()
        self.freezing = FreezeSchedule.create(freeze, freeze_schedule)
        self.epoch = 1
        self.backbone = load_backbone(backbone, spec_augment, trust_remote_code=trust_remote_code)
        if layerdrop is not None:
            self.backbone.layerdrop = layerdrop
        if gradient_checkpointing:
            enable_checkpointing(self.backbone)
        self.states = HiddenStates(self.backbone, layers, layer_normalisation)
        self.output_size: int = self.states.output_size
        self.receptive_field: int = self.backbone.receptive_field
        self.equal_lengths_only = not self.backbone.masked
        if self.equal_lengths_only:
            logger.info(
                "%s: the attention mask does not fully exclude padding in this model (%s). During "
                "evaluation, only utterances of equal length are batched together; during "
                "training, padding affects the outputs.",
                backbone,
                self.model.config.model_type,
            )
        self.has_lora = lora_rank > 0
        freeze_backbone(self)
        if self.has_lora:
            options = {"rank": lora_rank, "alpha": lora_alpha, "dropout": lora_dropout}
            add_lora(self.backbone, **options, targets=lora_targets)
        self.train(self.training)

    @property
    def model(self) -> nn.Module:
        """The transformers model."""
        return self.backbone.model

    @property
    def frozen(self) -> bool:
        """Whether the entire backbone is frozen in all epochs."""
        return not self.has_lora and self.freezing.least_frozen == "all"

    def set_epoch(self, epoch: int) -> None:
        """Freeze the parts that the schedule freezes in this epoch.

        Arguments
        ---------
        epoch : int
            Number of the epoch, starting at 1.
        """
        self.epoch = epoch
        if self.freezing.changes and not self.has_lora:
            freeze(self.backbone, self.freezing.at(epoch))
            self.states.freeze_unused()
            self.train(self.training)

    def train(self, mode: bool = True) -> SSLEncoder:
        """Set all parts that are not frozen to training or evaluation mode.

        Frozen parts stay in evaluation mode, without dropout, layerdrop or SpecAugment.
        """
        super().train(mode)
        if mode and not self.has_lora:
            set_training(self.backbone, self.freezing.at(self.epoch), mode)
        return self

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of frames."""
        return self.backbone.frame_lengths(lengths)

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Normalised waveforms at 16 kHz, zero in padding, shape (batch, samples).
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,). With signals on a GPU, lengths on
            the CPU are faster, because reading them does not wait for the GPU.

        Returns
        -------
        tuple of torch.Tensor
            Frames (batch, frames, ``output_size``), zero in padding, and the number of valid frames
            of each row (batch,).

        Raises
        ------
        ValueError
            If an utterance is shorter than the receptive field of the model.
        """
        states, frame_lengths = self.hidden_states(signals, lengths)
        return self.states.combine(states, frame_lengths), frame_lengths

    def hidden_states(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the selected layers, before normalisation, as stored in the cache.

        Arguments
        ---------
        signals, lengths : torch.Tensor
            See :meth:`forward`.

        Returns
        -------
        tuple of torch.Tensor
            States (batch, layers, frames, size), zero in padding; and the number of valid frames of
            each row (batch,).
        """
        if int(lengths.min()) < self.receptive_field:
            raise ValueError(
                f"An utterance must have at least {self.receptive_field} samples (the backbone's "
                f"receptive field); found {int(lengths.min())}. Prepare the data with "
                f"--min_duration={self.receptive_field / 16000:g} or more."
            )
        if (
            self.equal_lengths_only and not self.model.training
        ):  # frozen models stay in evaluation mode
            states = self._by_length(signals, lengths)
        else:
            states = self.states(signals, lengths)
        frame_lengths = self.frame_lengths(lengths).to(signals.device, non_blocking=True)
        mask = frame_mask(frame_lengths, states.shape[2])
        return states.masked_fill(~mask[:, None, :, None], 0.0), frame_lengths

    def combine(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Normalise and combine cached states into frames.

        Arguments
        ---------
        states : torch.Tensor
            Hidden states, zero in padding, shape (batch, frames, layers, size); or averages over
            time (batch, layers, size), of normalised frames in the case of layer norm.
        lengths : torch.Tensor
            Number of valid frames of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Frames, zero in padding, shape (batch, frames, ``output_size``). An average is one
            frame.
        """
        if states.dim() == 3:
            return self.states.combine_averages(states.float().unsqueeze(2))
        return self.states.combine(states.transpose(1, 2).float(), lengths)

    def _by_length(self, signals: Tensor, lengths: Tensor) -> Tensor:
        longest = int(self.frame_lengths(lengths.max()))
        states = None
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().squeeze(1)
            part = self.states(signals[rows, :length], lengths[rows])
            if states is None:
                shape = (signals.shape[0], part.shape[1], longest, part.shape[3])
                states = part.new_zeros(shape)
            states[rows, :, : part.shape[2]] = part
        return states


def enable_checkpointing(backbone: nn.Module) -> None:
    """Enable gradient checkpointing with the method of the installed transformers version."""
    model, options = backbone.model, {"use_reentrant": False}
    if hasattr(backbone, "checkpoint_contexts"):
        options["context_fn"] = backbone.checkpoint_contexts
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)(options)


def freeze_backbone(encoder: SSLEncoder) -> None:
    """Freeze the parts that are frozen in all epochs, so that the optimiser omits them."""
    freeze(encoder.backbone, encoder.freezing.least_frozen)
    encoder.states.freeze_unused()
