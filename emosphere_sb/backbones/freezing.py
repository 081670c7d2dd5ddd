"""Which part of a backbone is trained in which epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

MODES = ("none", "feature_encoder", "all_but_top_K", "all")
_TOP = re.compile(r"all_but_top_(\d+)")


@dataclass(frozen=True)
class FreezeSchedule:
    """The frozen part of a backbone, by epoch.

    Arguments
    ---------
    steps : tuple of (int, str)
        First epoch (from 1, ascending) and mode: ``none``; ``feature_encoder``, the convolutions;
        ``all_but_top_K``, all but the last K layers; ``all``.

    Example
    -------
    >>> plan = FreezeSchedule.create(schedule={1: "all", 3: "all_but_top_4", 6: "feature_encoder"})
    >>> [plan.at(epoch) for epoch in (1, 2, 3, 7)]
    ['all', 'all', 'all_but_top_4', 'feature_encoder']
    >>> plan.changes, plan.least
    (True, 'feature_encoder')
    """

    steps: tuple[tuple[int, str], ...]

    @classmethod
    def create(
        cls, freeze: str = "feature_encoder", schedule: Mapping[int, str] | None = None
    ) -> FreezeSchedule:
        """Use ``freeze`` in all epochs, or ``schedule``, which replaces it, by epoch.

        Raises
        ------
        ValueError
            If a mode is unknown, or the epochs do not ascend from 1.
        """
        if schedule is None:
            return cls(((1, _check_mode(freeze)),))
        if not isinstance(schedule, Mapping) or not all(type(key) is int for key in schedule):
            raise ValueError(
                f"freeze_schedule must map epochs to modes, such as "
                f"{{1: all, 3: feature_encoder}}; found {schedule!r}."
            )
        epochs = list(schedule)
        if not epochs or epochs[0] != 1 or sorted(epochs) != epochs:
            raise ValueError(
                f"The epochs of freeze_schedule must ascend from epoch 1; found {epochs}."
            )
        return cls(tuple((epoch, _check_mode(mode)) for epoch, mode in schedule.items()))

    @property
    def changes(self) -> bool:
        """Whether the frozen part changes between epochs."""
        return len({mode for _, mode in self.steps}) > 1

    @property
    def least(self) -> str:
        """The mode that freezes least: its trainable part is all that is ever trained."""
        return min((mode for _, mode in self.steps), key=_rank)

    def at(self, epoch: int) -> str:
        """Return the mode of an epoch."""
        return [mode for start, mode in self.steps if start <= max(epoch, 1)][-1]


def _check_mode(text: str) -> str:
    if isinstance(text, str):
        if (text in MODES and text != "all_but_top_K") or _TOP.fullmatch(text):
            return text
        if ":" in text:
            raise ValueError(
                f"freeze must be one of {', '.join(MODES)}; found {text!r}. To freeze by epoch, "
                f"use --freeze_schedule='{{{_as_mapping(text)}}}'."
            )
    raise ValueError(f"freeze must be one of {', '.join(MODES)}; found {text!r}.")


def _as_mapping(text: str) -> str:
    """A schedule as version 0.1 wrote it, ``1:all,3:none``, as the inside of a YAML mapping."""
    return ", ".join(re.sub(r"\s*:\s*", ": ", part.strip()) for part in text.split(","))


def _rank(mode: str) -> tuple[int, int]:
    top = _TOP.fullmatch(mode)
    return (2, -int(top.group(1))) if top else (MODES.index(mode), 0)


def trained_parts(backbone: nn.Module, mode: str) -> list[nn.Module]:
    """The modules of a backbone that a mode leaves trainable.

    Raises
    ------
    ValueError
        If there are fewer layers than ``all_but_top_K`` keeps.
    """
    if mode == "all":
        return []
    top = _TOP.fullmatch(mode)
    if not top:
        return [backbone.model]
    count = int(top.group(1))
    if count > len(backbone.layers):
        raise ValueError(
            f"freeze={mode}: the backbone has {len(backbone.layers)} layers that are used."
        )
    layers = list(backbone.layers[len(backbone.layers) - count :])
    return layers + ([backbone.final_norm] if backbone.final_norm is not None and count else [])


def freeze(backbone: nn.Module, mode: str) -> None:
    """Leave trainable what a mode leaves, and what is used at all."""
    backbone.model.requires_grad_(False)
    for part in trained_parts(backbone, mode):
        part.requires_grad_(True)
    if mode == "feature_encoder" and backbone.feature_encoder is not None:
        backbone.feature_encoder.requires_grad_(False)
        if hasattr(backbone.feature_encoder, "_freeze_parameters"):
            # transformers' own would otherwise ask for the waveform's gradient and keep every
            # activation; on the encoder itself, since not every family's model passes it on.
            backbone.feature_encoder._freeze_parameters()
    for parameter in backbone.unused:
        parameter.requires_grad_(False)


def set_training(backbone: nn.Module, mode: str, training: bool) -> None:
    """Frozen parts stay in evaluation mode: no dropout, no layerdrop, no SpecAugment."""
    backbone.model.eval()
    for part in trained_parts(backbone, mode):
        part.train(training)
