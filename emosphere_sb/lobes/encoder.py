"""Any speech SSL model of transformers as an encoder whose answer does not depend on its batch."""

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
    """Frames of a self-supervised speech model, and how many of them are valid.

    In evaluation an utterance gives the same frames alone and in any batch: padding is masked
    before every operation that mixes time, the number of valid frames follows the model's own
    arithmetic, and families where no mask helps run equal lengths together (``equal_lengths_only``;
    the log says so).

    Arguments
    ---------
    backbone : str
        A name on the HuggingFace hub, a folder that ``save_pretrained`` wrote, or a ``.json`` file
        with a bare configuration, which gives random weights.
    freeze : str
        The frozen part: ``feature_encoder`` (the convolutions, as published), ``none``, ``all``, or
        ``all_but_top_K`` (the last K layers are trained). Frozen parts stay in evaluation mode.
    spec_augment : bool
        Whether SpecAugment is applied in training as the checkpoint's configuration says.
    layerdrop : float, optional
        Probability that a transformer layer is left out in training; ``None`` keeps the
        checkpoint's.
    gradient_checkpointing : bool
        Compute each layer again in the backward pass instead of keeping its activations.
    layers : str or int
        ``last``; a number K: the output of layer K, 0 being what enters the first one (layers above
        are not run); ``weighted``: a learned softmax-weighted sum of all of them (Yang et al.,
        2021, SUPERB).
    lora_rank : int
        Rank of low-rank adapters, 0 for none. With adapters all of the backbone's own weights are
        frozen, whatever ``freeze`` says.
    lora_alpha, lora_dropout : float
        See :func:`emosphere_sb.backbones.lora.add_lora`.
    lora_targets : sequence of str
        The linear layers that get adapters.
    trust_remote_code : bool
        Whether Python code that comes with the backbone's weights may run.
    freeze_schedule : mapping of int to str, optional
        Freeze by epoch instead: first epoch to mode, such as ``{1: "all", 3: "all_but_top_4"}``.

    Raises
    ------
    ValueError
        If the backbone cannot be found, or an option is not one of those above.

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
        layers: str | int = "last",
        lora_rank: int = 0,
        lora_alpha: float = 16.0,
        lora_dropout: float = 0.0,
        lora_targets: Sequence[str] = ("q_proj", "v_proj"),
        trust_remote_code: bool = False,
        freeze_schedule: Mapping[int, str] | None = None,
    ):
        super().__init__()
        self.freezing = FreezeSchedule.create(freeze, freeze_schedule)
        self.epoch = 1
        self.backbone = load_backbone(backbone, spec_augment, trust_remote_code=trust_remote_code)
        if layerdrop is not None:
            self.backbone.layerdrop = layerdrop
        if gradient_checkpointing:
            enable_checkpointing(self.backbone)
        self.states = HiddenStates(self.backbone, layers)
        self.output_size: int = self.backbone.output_size
        self.receptive_field: int = self.backbone.receptive_field
        self.equal_lengths_only = not self.backbone.masked
        if self.equal_lengths_only:
            logger.info(
                "%s: no mask keeps padding out of this model (%s), so evaluation runs equal "
                "lengths together, and training sees padding as transformers' own does.",
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
        """transformers' own model."""
        return self.backbone.model

    @property
    def frozen(self) -> bool:
        """Whether the backbone is frozen as a whole, in all epochs."""
        return not self.has_lora and self.freezing.least == "all"

    def set_epoch(self, epoch: int) -> None:
        """Freeze what this epoch freezes, where that changes by epoch."""
        self.epoch = epoch
        if self.freezing.changes and not self.has_lora:
            freeze(self.backbone, self.freezing.at(epoch))
            self.states.freeze_unused()
            self.train(self.training)

    def train(self, mode: bool = True) -> SSLEncoder:
        """What is frozen stays in evaluation mode: no dropout, no layerdrop, no SpecAugment."""
        super().train(mode)
        if mode and not self.has_lora:
            set_training(self.backbone, self.freezing.at(self.epoch), mode)
        return self

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames for each number of samples, by the model's own arithmetic."""
        return self.backbone.frame_lengths(lengths)

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
        states, frame_lengths = self.hidden_states(signals, lengths)
        return self.states.combine(states), frame_lengths

    def hidden_states(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen layers' outputs before they are summed: what a cache keeps.

        Returns
        -------
        tuple
            States (batch, layers, frames, ``output_size``), zero where padded, with one layer
            unless ``layers`` is ``weighted``, and valid frames (batch,).
        """
        if int(lengths.min()) < self.receptive_field:
            raise ValueError(
                f"An utterance must have at least {self.receptive_field} samples (the backbone's "
                f"receptive field); found {int(lengths.min())}. Run the preparation with "
                f"--min_duration={self.receptive_field / 16000:g} or more."
            )
        if self.equal_lengths_only and not self.model.training:  # a frozen one never trains
            states = self._by_length(signals, lengths)
        else:
            states = self.states(signals, lengths)
        frame_lengths = self.frame_lengths(lengths)
        mask = frame_mask(frame_lengths, states.shape[2])
        return states.masked_fill(~mask[:, None, :, None], 0.0), frame_lengths

    def combine(self, states: Tensor) -> Tensor:
        """Frames (batch, frames, size) of states as a cache has them (batch, frames, layers, size).

        Padding must be zero.
        """
        return self.states.combine(states.transpose(1, 2).float())

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
    """Gradient checkpointing, under the name that the installed transformers has for it."""
    model, options = backbone.model, {"use_reentrant": False}
    if hasattr(backbone, "checkpoint_contexts"):
        options["context_fn"] = backbone.checkpoint_contexts
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)(options)


def freeze_backbone(encoder: SSLEncoder) -> None:
    """Leave trainable what is ever trained: the optimiser is made before the first epoch."""
    freeze(encoder.backbone, encoder.freezing.least)
    encoder.states.freeze_unused()
