"""Exact resume: an interrupted and resumed training run has the weights of an uninterrupted one."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import torch
from recipe_pipeline import command
from torch import Tensor
from workload import SCALE

from emosphere_sb.recipe.build import make_brain, make_datasets
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.recipe.run import fit
from emosphere_sb.training.preemption import StoppedError
from gpu_steps.step import Outcome, Settings, deterministic_algorithms, passed_if

EPOCHS, STEPS, STOP_AT = 2, 3, 5  # stopped in the second epoch
OPTIONS = ("--normalisation=utterance", f"--number_of_epochs={EPOCHS}", "--lr=0.0001")


class Corpus:
    """The part of ``emosphere_sb.recipe.build.make_datasets``'s summary that is used here."""

    scale = SCALE


def exact_resume(settings: Settings) -> Outcome:
    """Compare the weights of interrupted and uninterrupted runs, bit by bit.

    Runs in fp16 on a GPU, so that the state of the gradient scaler matters. The check requires that
    resuming is exact with deterministic algorithms. The differences in the default mode, between
    two uninterrupted runs and after resuming, are only reported.
    """
    # Read when cuBLAS is initialised; `deterministic_algorithms` requires it.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    whole = train(settings, "uninterrupted")
    differences = {
        "repeated": difference(train(settings, "repeated"), whole),
        "resumed": difference(train_interrupted(settings, "resumed"), whole),
    }
    with deterministic_algorithms():
        whole = train(settings, "deterministic")
        resumed = train_interrupted(settings, "deterministic-resumed")
        differences["deterministic, resumed"] = difference(resumed, whole)
    precision = "fp16" if settings.gpu else "fp32"
    texts = (f"{n} {'exact' if d == 0 else f'{d:.1g}'}" for n, d in differences.items())
    detail = f"{precision}, largest difference of weights: {', '.join(texts)}"
    exact = differences["deterministic, resumed"] == 0
    return passed_if(exact, detail, differences=differences)


def train_interrupted(settings: Settings, name: str) -> dict[str, Tensor]:
    """Stop a run within its second epoch, resume it, and return its final weights."""
    try:
        train(settings, name, stop_at=STOP_AT)
    except StoppedError:
        return train(settings, name)
    raise RuntimeError(f"Training must stop after step {STOP_AT}; it has finished.")


def train(settings: Settings, name: str, stop_at: int | None = None) -> dict[str, Tensor]:
    """Train the small model in the folder ``name``, or resume it, and return its weights."""
    batch = settings.batch
    rows = dict(itertools.islice(settings.rows.items(), batch * STEPS))
    precision = "fp16" if settings.gpu else "fp32"
    words = command(settings.small, settings.folder / "small", settings.device, batch, precision)
    request = read_command([*words, *OPTIONS], corpus="MSP-Podcast")
    hparams = build_objects(request.tree)
    valid = dict(itertools.islice(rows.items(), batch))
    sets = make_datasets({"train": rows, "valid": valid}, Corpus, hparams)
    folder = settings.folder / "resume" / name
    folder.mkdir(parents=True, exist_ok=True)
    brain = make_brain(hparams, request.run_options, sets, folder)
    load_weights(brain, settings.folder / "small")
    if stop_at is not None:

        def stop(*_) -> None:
            brain.stop.received = brain.optimizer_step >= stop_at - 1

        brain.on_fit_batch_end = stop
    fit(brain, hparams, sets, Corpus)
    return {name: value.cpu() for name, value in brain.modules.state_dict().items()}


def load_weights(brain, folder: Path) -> None:
    """Load the weights of pooling and heads, which the backbone's folder does not contain."""
    for name, weights in torch.load(folder / "rest.pt", weights_only=True).items():
        brain.modules[name].load_state_dict(weights)


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the largest absolute difference of two states; 0 if they are bit-identical."""
    if found.keys() != expected.keys():
        raise RuntimeError(f"The states differ in {', '.join(found.keys() ^ expected.keys())}.")
    unequal = [name for name in expected if not torch.equal(found[name], expected[name])]
    largest = (float((found[n].double() - expected[n].double()).abs().max()) for n in unequal)
    return max(largest, default=0.0)
