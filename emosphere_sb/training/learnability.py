"""Warnings before training: small steps, far more weights than clips, emotions without clips."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from emosphere_sb.lobes.tasks import AuxiliaryTask

logger = logging.getLogger(__name__)

MIN_MOVEMENT = 0.015
"""Minimum learning rate × steps for weights that start from random values.

With Adam, no weight moves by much more than this. Linear layers start with weights of about
1/sqrt(input size): 0.03 for 1,024 inputs. The minimum is half of that.
"""
MAX_NEW_WEIGHTS_PER_CLIP = 100_000
ADAPTIVE = (torch.optim.Adam, torch.optim.Adamax, torch.optim.NAdam, torch.optim.RAdam)
"""Optimisers whose step is at most about the learning rate, whatever the gradient."""


def warn_if_hardly_trainable(
    modules: nn.ModuleDict, hparams: Mapping, *, steps: int, clips: int
) -> None:
    """Log a warning before the training of a run that is unlikely to learn.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        Modules of the model.
    hparams : mapping
        Hyperparameters, with the keys ``backbone``, ``lr`` and ``opt_class``.
    steps : int
        Number of optimiser steps.
    clips : int
        Number of utterances in the training set.
    """
    problems = learning_problems(
        lr=hparams["lr"] if is_adaptive(hparams["opt_class"]) else None,
        steps=steps,
        new_weights=count_new_weights(modules, hparams["backbone"]),
        clips=clips,
    )
    if problems:
        logger.warning(
            "This run is unlikely to learn: %s. For small datasets, use --preset=frozen.",
            "; ".join(problems),
        )


def learning_problems(*, lr: float | None, steps: int, new_weights: int, clips: int) -> list[str]:
    """Describe why a run is unlikely to learn; an empty list if nothing was found.

    Arguments
    ---------
    lr : float or None
        Learning rate of pooling and heads; ``None`` for optimisers whose steps are not limited by
        the learning rate.
    steps : int
        Number of optimiser steps.
    new_weights : int
        Number of trained weights that start from random values.
    clips : int
        Number of utterances in the training set.

    Example
    -------
    >>> learning_problems(lr=1e-5, steps=100, new_weights=500_000, clips=160)
    ['learning rate × steps = 1e-05 × 100 = 0.001, so no weight of the pooling and the heads can \
move by much more than that (at least 0.015 is needed)']
    >>> learning_problems(lr=1e-3, steps=100, new_weights=500_000, clips=160)
    []
    """
    problems = []
    if lr is not None and lr * steps < MIN_MOVEMENT:
        problems.append(
            f"learning rate × steps = {lr:g} × {steps} = {lr * steps:.2g}, so no weight of the "
            f"pooling and the heads can move by much more than that (at least {MIN_MOVEMENT:g} is "
            f"needed)"
        )
    if new_weights > MAX_NEW_WEIGHTS_PER_CLIP * clips:
        problems.append(
            f"{new_weights:,} weights start from random values, but there are only {clips} clips"
        )
    return problems


def count_new_weights(modules: nn.ModuleDict, backbone: str) -> int:
    """Return the number of trained weights that start from random values.

    Weights of a pretrained backbone and its adapters, which start from zero, are not counted.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        Modules of the model.
    backbone : str
        Name or path of the backbone; a ``.json`` configuration has random weights.
    """
    pretrained = not str(backbone).endswith(".json")
    return sum(
        parameter.numel()
        for name, parameter in modules.named_parameters()
        if parameter.requires_grad and not (pretrained and name.startswith("encoder.backbone."))
    )


def is_adaptive(opt_class: type | partial) -> bool:
    """Return whether an optimiser class, with or without bound arguments, is of the Adam type."""
    cls = opt_class.func if isinstance(opt_class, partial) else opt_class
    return isinstance(cls, type) and issubclass(cls, (*ADAPTIVE, torch.optim.AdamW))


def check_emotions(task: AuxiliaryTask, emotions: Sequence[str]) -> None:
    """Log how many training utterances have each emotion of an emotion task.

    Utterances that the task ignores, and classes without utterances, are logged as well.

    Arguments
    ---------
    task : AuxiliaryTask
        Auxiliary task; nothing is logged unless its classes are emotions.
    emotions : sequence of str
        Emotion of each training utterance; empty if unknown.

    Raises
    ------
    ValueError
        If no training utterance has one of the emotions.
    """
    if task.kind != "emotion":
        return
    found = Counter(emotion.casefold() for emotion in emotions)
    counts = {name: found.pop(name.casefold(), 0) for name in task.names}
    others = _listed({name or "unknown": count for name, count in found.most_common()})
    if not any(counts.values()):
        raise ValueError(
            f"The training set must have utterances of the emotions {', '.join(task.names)}; found "
            f"{others or 'no utterances'}. Name the emotions as in the labels, e.g. "
            f'--preset=emotions --emotion_classes="[happy, sad]".'
        )
    logger.info("Emotions of the training set: %s", _listed(counts))
    if found:
        logger.info(
            "The emotion head ignores %d of %d training utterances with other emotions: %s",
            found.total(), len(emotions), others,
        )  # fmt: skip
    if missing := [name for name, count in counts.items() if not count]:
        logger.warning(
            "No training utterance is %s: the probabilities of these emotions will be meaningless.",
            " or ".join(missing),
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
