"""Which part of a backbone is trained in which epoch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn

MODES = ("none", "feature_encoder", "all_but_top_K", "all")
_TOP = re.compile(r"all_but_top_(\d+)")
_STEP = re.compile(r"\s*(\d+)\s*:\s*(\w+)\s*")


@dataclass(frozen=True)
class Freezing:
    """What is frozen from which epoch on.

    Arguments
    ---------
    steps : tuple of (int, str)
        Epochs from 1, ascending, each with a mode: ``none``; ``feature_encoder``, the convolutions;
        ``all_but_top_K``, all but the last K layers; ``all``.

    Example
    -------
    >>> plan = Freezing.parse("1:all, 3:all_but_top_4, 6:feature_encoder")
    >>> [plan.at(epoch) for epoch in (1, 2, 3, 7)]
    ['all', 'all', 'all_but_top_4', 'feature_encoder']
    >>> plan.changes, plan.least
    (True, 'feature_encoder')
    """

    steps: tuple[tuple[int, str], ...]

    @classmethod
    def parse(cls, text: str) -> Freezing:
        """Read a mode, or ``epoch:mode, epoch:mode`` beginning with epoch 1.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if ":" not in text:
            return cls(((1, _mode(text)),))
        found = [_STEP.fullmatch(part) for part in text.split(",")]
        if not all(found):
            raise ValueError(
                f"freeze by epoch must read such as '1:all, 3:feature_encoder'; found {text!r}."
            )
        steps = tuple((int(match.group(1)), _mode(match.group(2))) for match in found if match)
        epochs = [epoch for epoch, _ in steps]
        if epochs[0] != 1 or sorted(set(epochs)) != epochs:
            raise ValueError(f"freeze by epoch must ascend from epoch 1; found {text!r}.")
        return cls(steps)

    @property
    def changes(self) -> bool:
        """Whether it is not the same in all epochs."""
        return len({mode for _, mode in self.steps}) > 1

    @property
    def least(self) -> str:
        """The mode that freezes least: what it leaves is what is ever trained."""
        return min((mode for _, mode in self.steps), key=_rank)

    def at(self, epoch: int) -> str:
        """The mode of an epoch."""
        return [mode for start, mode in self.steps if start <= max(epoch, 1)][-1]


def _mode(text: str) -> str:
    if (text in MODES and text != "all_but_top_K") or _TOP.fullmatch(text):
        return text
    raise ValueError(f"freeze must be one of {', '.join(MODES)}; found {text!r}.")


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
