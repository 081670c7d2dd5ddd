"""Build a small Brain and random utterances, and compare states, for tests of optimiser steps."""

from functools import partial

import torch
from speechbrain.core import Stage

from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.build import make_schedule
from emosphere_sb.recipe.hparams import build_objects, merge
from emosphere_sb.training.brain import EmoSphereBrain


def make_brain(rows=("smoke",), options=None, opt_class=None, **overrides) -> EmoSphereBrain:
    """Build a Brain at the start of epoch 1, without loggers or a memory check.

    Arguments
    ---------
    rows : sequence of str
        Names of presets.
    options : dict, optional
        SpeechBrain's run options.
    opt_class : callable, optional
        Replaces the optimiser class of the presets.
    **overrides : object
        Additional top-level keys.
    """
    texts = {key: str(value) for key, value in overrides.items()}
    hparams = build_objects(merge(Arguments(HPARAMS / "emosphere.yaml", list(rows), texts)))
    modules = {name: part for name, part in hparams["modules"].items() if part is not None}
    brain = EmoSphereBrain(
        modules,
        opt_class or hparams["opt_class"],
        hparams,
        options or {"device": "cpu"},
        schedule=partial(make_schedule, settings=hparams, steps=100),
        set_sizes={"train": 100, "valid": 100},
    )
    brain.init_optimizers()
    brain.on_stage_start(Stage.TRAIN, 1)
    brain.modules.train()
    return brain


def no_dropout(brain) -> None:
    """Disable dropout and SpecAugment, so that the forward pass is deterministic."""
    for module in brain.modules.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    brain.modules.encoder.backbone.spec_augment = False


def utterances(lengths, seed=0) -> list[dict]:
    """Generate dataset items with the given lengths in samples and random audio and labels."""
    chance = torch.Generator().manual_seed(seed)
    return [
        {
            "id": f"u{seed}-{number}",
            "signal": torch.randn(length, generator=chance),
            "vad": torch.rand(3, generator=chance) * 2 - 1,
            "target": int(torch.randint(-1, 8, (1,), generator=chance)),
        }
        for number, length in enumerate(lengths)
    ]


def gradients(brain) -> dict[str, torch.Tensor]:
    """Return copies of all gradients by parameter name."""
    return {n: p.grad.clone() for n, p in brain.modules.named_parameters() if p.grad is not None}


def largest_error(found: dict, expected: dict) -> float:
    """Return the largest difference between two states, relative to the largest expected value."""
    assert found.keys() == expected.keys()
    difference = torch.cat([(found[name] - expected[name]).flatten() for name in expected])
    scale = torch.cat([value.flatten() for value in expected.values()]).abs().max()
    return float(difference.abs().max() / scale)


def assert_close(found: dict, expected: dict, tolerance: float = 1e-5) -> None:
    """Assert equal names and a :func:`largest_error` of at most ``tolerance``."""
    assert largest_error(found, expected) <= tolerance
