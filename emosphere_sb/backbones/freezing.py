"""Freezing of parts of a backbone, in all epochs or by epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

FREEZE_MODES = ("none", "feature_encoder", "all_but_top_K", "all")
_TOP = re.compile(r"all_but_top_(\d+)")


@dataclass(frozen=True)
class FreezeSchedule:
    """Frozen part of a backbone in each epoch.

    Arguments
    ---------
    steps : tuple of (int, str)
        Pairs of first epoch (in ascending order, starting at 1) and mode: ``none`` freezes nothing,
        ``feature_encoder`` the convolutions, ``all_but_top_K`` everything except the last K layers,
        and ``all`` the complete backbone.

    Example
    -------
    >>> plan = FreezeSchedule.create(schedule={1: "all", 3: "all_but_top_4", 6: "feature_encoder"})
    >>> [plan.at(epoch) for epoch in (1, 2, 3, 7)]
    ['all', 'all', 'all_but_top_4', 'feature_encoder']
    >>> plan.changes, plan.least_frozen
    (True, 'feature_encoder')
    """

    steps: tuple[tuple[int, str], ...]

    @classmethod
    def create(
        cls, freeze: str = "feature_encoder", schedule: Mapping[int, str] | None = None
    ) -> FreezeSchedule:
        """Build a schedule from one mode for all epochs, or from a mapping that replaces it.

        Arguments
        ---------
        freeze : str
            Mode of all epochs; ignored if a schedule is given.
        schedule : mapping of int to str, optional
            Mode by first epoch, such as ``{1: "all", 3: "feature_encoder"}``.

        Raises
        ------
        ValueError
            If a mode is unknown, or the epochs do not start at 1 or are not in ascending order.
        """
        if schedule is None:
            return cls(((1, _check_mode(freeze)),))
        if not isinstance(schedule, Mapping) or not all(type(key) is int for key in schedule):
            raise ValueError(
                f"freeze_schedule must map epochs to modes, such as {{1: all, 3: none}}; found "
                f"{schedule!r}."
            )
        epochs = list(schedule)
        if not epochs or epochs[0] != 1 or sorted(epochs) != epochs:
            raise ValueError(
                f"The epochs of freeze_schedule must start at 1 and be in ascending order; found "
                f"{epochs}."
            )
        return cls(tuple((epoch, _check_mode(mode)) for epoch, mode in schedule.items()))

    @property
    def changes(self) -> bool:
        """Whether the frozen part changes between epochs."""
        return len({mode for _, mode in self.steps}) > 1

    @property
    def least_frozen(self) -> str:
        """The mode that freezes least; whatever it freezes is never trained."""
        return min((mode for _, mode in self.steps), key=_rank)

    def at(self, epoch: int) -> str:
        """Return the mode of an epoch."""
        return [mode for start, mode in self.steps if start <= max(epoch, 1)][-1]


def _check_mode(text: str) -> str:
    if isinstance(text, str):
        if (text in FREEZE_MODES and text != "all_but_top_K") or _TOP.fullmatch(text):
            return text
        if ":" in text:
            raise ValueError(
                f"freeze must be one of {', '.join(FREEZE_MODES)}; found {text!r}. To freeze by "
                f"epoch, use --freeze_schedule='{{{_as_mapping(text)}}}'."
            )
    raise ValueError(f"freeze must be one of {', '.join(FREEZE_MODES)}; found {text!r}.")


def _as_mapping(text: str) -> str:
    """Convert a version 0.1 schedule, such as ``1:all,3:none``, to the inside of a YAML mapping."""
    return ", ".join(re.sub(r"\s*:\s*", ": ", part.strip()) for part in text.split(","))


def _rank(mode: str) -> tuple[int, int]:
    top = _TOP.fullmatch(mode)
    return (2, -int(top.group(1))) if top else (FREEZE_MODES.index(mode), 0)


def trainable_modules(backbone: nn.Module, mode: str) -> list[nn.Module]:
    """Return the modules of a backbone that are trained in a mode.

    Raises
    ------
    ValueError
        If the K of ``all_but_top_K`` exceeds the number of layers.
    """
    if mode == "all":
        return []
    top = _TOP.fullmatch(mode)
    if not top:
        return [backbone.model]
    count = int(top.group(1))
    if count > len(backbone.layers):
        raise ValueError(
            f"freeze={mode} needs at least {count} layers; this backbone uses "
            f"{len(backbone.layers)}."
        )
    layers = list(backbone.layers[len(backbone.layers) - count :])
    return layers + ([backbone.final_norm] if backbone.final_norm is not None and count else [])


def freeze(backbone: nn.Module, mode: str) -> None:
    """Freeze what a mode freezes. Parameters that no output depends on are always frozen."""
    backbone.model.requires_grad_(False)
    for part in trainable_modules(backbone, mode):
        part.requires_grad_(True)
    if mode == "feature_encoder" and backbone.feature_encoder is not None:
        backbone.feature_encoder.requires_grad_(False)
        if hasattr(backbone.feature_encoder, "_freeze_parameters"):
            # Otherwise transformers' encoder computes the gradient of the waveform and stores every
            # activation. It is called on the encoder because not every model forwards the call.
            backbone.feature_encoder._freeze_parameters()
    for parameter in backbone.unused:
        parameter.requires_grad_(False)


def set_training(backbone: nn.Module, mode: str, training: bool) -> None:
    """Set the trainable parts to training or evaluation mode; frozen parts stay in evaluation mode.

    Evaluation mode disables dropout, layerdrop and SpecAugment.
    """
    backbone.model.eval()
    for part in trainable_modules(backbone, mode):
        part.train(training)
