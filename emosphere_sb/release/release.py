"""Package the model of a finished run into a self-contained folder."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ruamel.yaml.comments import CommentedMap
from torch import nn

from emosphere_sb.backbones.lora import merge_lora
from emosphere_sb.fileio.atomic_folder import atomic_folder, check_empty
from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.lobes import SSLEncoder, WaveformNormaliser
from emosphere_sb.recipe.hparams import SAVED, build_objects
from emosphere_sb.recipe.renamed_keys import LAST_VERSION_WITH_OLD_NAMES
from emosphere_sb.release import parts
from emosphere_sb.release.card import model_card
from emosphere_sb.release.model import ModelInfo, ReleasedModel
from emosphere_sb.release.origin import licence_of, public_protocol
from emosphere_sb.release.write import write_released
from emosphere_sb.report.read.runs import METRICS_FILE, Run, read_source
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.training.checkpoints import Checkpointer
from emosphere_sb.training.trained_weights import TrainedWeights, averaged_epochs

logger = logging.getLogger(__name__)

MODULES = (
    "normaliser", "encoder", "pooling", "vad_head", "auxiliary_head", "weighting", "task",
)  # fmt: skip
NO_WORD = ("", "other", "no_agreement")
MIN_UTTERANCES_PER_WORD = 10
"""Minimum number of training utterances of an emotion that is used as an emotion word."""


@dataclass(frozen=True)
class Rebuilt:
    """Components of a run with the weights that were tested.

    Arguments
    ---------
    tree : CommentedMap
        Merged hyperparameters.
    built : mapping
        Objects created from the hyperparameters.
    with_head : bool
        Whether the auxiliary head was still trained in the epoch of the weights.
    """

    tree: CommentedMap
    built: Mapping[str, Any]
    with_head: bool


def release(
    run: str | os.PathLike,
    out: str | os.PathLike,
    *,
    name: str | None = None,
    resamples: int = 10_000,
    finish: Callable[[Path], object] | None = None,
) -> Path:
    """Package the model of a finished run for distribution.

    The run's ``hyperparams.yaml`` is executed to create the model, so only release runs that you
    trust. The released model does not contain code.

    Arguments
    ---------
    run : path
        Run folder that contains ``metrics.json``, ``hyperparams.yaml``, ``predictions/`` and
        ``save/``.
    out : path
        Output folder, which must either not exist yet or be empty. It is written atomically.
    name : str, optional
        Name of the model, on one line. (default: corpus and preset)
    resamples : int
        Number of bootstrap resamples for the confidence intervals in the model card.
    finish : callable, optional
        Function that is called with the complete folder before it gets its final name, for example
        to add an ONNX copy.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    ValueError
        If the run is not finished, its files were modified, its weights cannot be read, or its
        model has components that are not part of this package.
    FileExistsError
        If ``out`` is not empty.
    """
    run, out = Path(run), Path(out)
    check_empty(out)
    if name is not None and (not name.strip() or len(name.splitlines()) > 1):
        raise ValueError(f"The name of a model must be one line of text; found {name!r}.")
    source = read_finished(run)
    rebuilt = rebuild(run, source.protocol)
    info = describe_model(rebuilt, source, name)
    described = describe_parts(rebuilt)
    card = model_card(info, source, resamples=resamples)
    with atomic_folder(out) as folder:
        write_released(folder, assemble(rebuilt), info, described, card)
        if finish is not None:
            finish(folder)
    logger.info("Released %s: %s", info.name, out)
    return out


def read_finished(run: Path) -> Run:
    """Read a finished run with its predictions.

    Raises
    ------
    ValueError
        If the folder does not contain a run, the run is not finished or used ``--debug``, or its
        predictions were modified.
    """
    found = sorted(path.name for path in run.iterdir()) if run.is_dir() else []
    for name in (SAVED, METRICS_FILE, "save"):
        if name not in found:
            raise ValueError(
                f"{run} must be the folder of a finished run, with {SAVED}, {METRICS_FILE} and "
                f"save/; {name} is missing (found {', '.join(found[:8]) or 'nothing'}). Run "
                f"folders have the form results/<corpus>/<preset>/<partition>/<seed>. To finish a "
                f"run, re-run the training command."
            )
    (source,) = read_source(run)
    if source.notes:
        raise ValueError(
            f"{' '.join(source.notes)} The model card requires the metrics of the run: re-run the "
            f"training command with --test_only."
        )
    if "row" in source.protocol:
        raise ValueError(
            f"{run} contains a run created by version {LAST_VERSION_WITH_OLD_NAMES}. Release it "
            f"with that version (pip install emosphere-sb=={LAST_VERSION_WITH_OLD_NAMES}). The "
            f"current version can load the released model, but not the run."
        )
    needed = ("corpus", "release", "preset", "synthetic", "scale", "utterances", "backbone")
    if absent := [key for key in needed if key not in source.protocol]:
        raise ValueError(
            f"{run / METRICS_FILE} has no {', '.join(absent)}, because it was written by an "
            f"older version. Re-run the training command; only the tests will be repeated."
        )
    if "debug" in str(source.protocol["preset"]).split("+"):
        raise ValueError(f"{run} is a --debug run on a few batches and cannot be released.")
    return source


def rebuild(run: Path, protocol: Mapping[str, Any]) -> Rebuilt:
    """Create the components of a run and load the weights that were tested.

    Raises
    ------
    ValueError
        If they cannot be created or loaded, or ``metrics.json`` reports other epochs.
    """
    tree = read_tree(run / SAVED)
    # The seed of the tree is used: it determines the weights of a randomly initialised backbone.
    with preserve_rng_state():
        built = build_objects(tree)
    modules = {name: part for name, part in built["modules"].items() if part is not None}
    recoverables = {"model": TrainedWeights(nn.ModuleDict(modules), built["backbone"])}
    checkpointer = Checkpointer(str(run / "save"), recoverables=recoverables)
    # Runs that were trained before the key test_weights was added do not have it.
    test_weights = built.get("test_weights", "best")
    tested = checkpointer.load_tested(averaged_epochs(test_weights, built["average_checkpoints"]))
    epochs = sorted(checkpoint.meta["epoch"] for checkpoint in tested)
    reported = protocol.get("averaged_epochs", [protocol.get("best_epoch")])
    if epochs != reported:
        raise ValueError(
            f"{run / METRICS_FILE} reports epoch {_join(reported)}, but the checkpoints in save/ "
            f"are from epoch {_join(epochs)}: the run was continued after the tests, or a "
            f"checkpoint was lost. Re-run the training command."
        )
    return Rebuilt(tree, built, has_class_head(built, protocol))


def has_class_head(built: Mapping[str, Any], protocol: Mapping[str, Any]) -> bool:
    """Return whether the released model predicts class probabilities.

    It does if the head was trained in the tested epoch, or, for a task that is
    ``always_predicted``, in an earlier one. A warning is logged in the latter case.

    Arguments
    ---------
    built : mapping
        Components of the run, with the tested weights.
    protocol : mapping
        Protocol of the run.
    """
    task = built["task"]
    if task.size == 0 or built["weighting"].active:
        return task.size > 0
    # Not written by runs of earlier versions without an auxiliary task
    last = (protocol.get("auxiliary_head") or {}).get("epoch")
    if not task.always_predicted or last is None:
        return False
    logger.warning(
        "The %s head was last trained in epoch %d, before the tested weights, so its probabilities "
        "may be inaccurate; the model card lists its accuracy. To train it in all epochs, add "
        "--preset=…+emotions.", task.kind, last,
    )  # fmt: skip
    return True


def describe_model(rebuilt: Rebuilt, source: Run, name: str | None) -> ModelInfo:
    """Collect the metadata of a run's model."""
    protocol, task = source.protocol, rebuilt.built["task"]
    words = {
        word: facts["vad"]
        for word, facts in protocol.get("emotions", {}).items()
        if word not in NO_WORD and facts["utterances"] >= MIN_UTTERANCES_PER_WORD
    }
    corpus = f"{protocol['corpus']} {protocol['release'] or ''}".strip()
    return ModelInfo(
        name=name or f"{corpus} {protocol['preset']}",
        scale=Scale.from_dict(protocol["scale"]),
        max_seconds=parts.plain_value(rebuilt.tree["max_seconds"]),
        region_step=task.regions.step,
        centre_radius=task.regions.centre_radius,
        head=task.kind if rebuilt.with_head else "none",
        classes=tuple(task.names) if rebuilt.with_head else (),
        words=words,
        licence=licence_of(protocol),
        synthetic=bool(protocol["synthetic"]),
        facts={"protocol": public_protocol(protocol), "figures": figures_of(source)},
    )


def figures_of(source: Run) -> dict[str, dict]:
    """Return the CCC of all labelled sets."""
    rows = {name: source.metrics[name] for name in source.labelled}
    return {
        name: {
            **{dimension: row[dimension]["ccc"] for dimension in DIMENSIONS},
            "mean": row["mean_ccc"],
            "utterances": row["utterances"],
        }
        for name, row in rows.items()
    }


def describe_parts(rebuilt: Rebuilt) -> dict[str, Any]:
    """Describe the parts of a model as JSON data.

    Raises
    ------
    ValueError
        If a part is not a class of this package.
    """
    tree, built = rebuilt.tree, rebuilt.built
    check_releasable(built)
    head = (
        parts.describe_part(tree, "auxiliary_head", built, parts.HEADS)
        if rebuilt.with_head
        else None
    )
    return {
        "normaliser": {"mode": built["normaliser"].mode},
        "encoder": {
            "layers": built["encoder"].states.layers,
            "layer_normalisation": built["encoder"].states.normalisation.mode,
        },
        "pooling": parts.describe_part(tree, "pooling", built, parts.POOLINGS),
        "vad_head": parts.describe_part(tree, "vad_head", built, ("VADHead",)),
        "class_head": head,
    }


def check_releasable(built: Mapping[str, Any]) -> None:
    """Check that a model has no custom modules, which could not be loaded.

    Raises
    ------
    ValueError
        If it has custom modules. The message lists them.
    """
    if others := sorted(set(built["modules"]) - set(MODULES)):
        raise ValueError(
            f"A released model can contain only the modules {', '.join(MODULES)}; also found "
            f"{', '.join(others)}. Share models with custom modules as a package."
        )
    for name, kind in (("normaliser", WaveformNormaliser), ("encoder", SSLEncoder)):
        if type(built[name]) is not kind:
            raise ValueError(
                f"{name} of a released model must be a {kind.__name__}; found "
                f"{type(built[name]).__name__}. Share models with custom components as a package."
            )


def assemble(rebuilt: Rebuilt) -> ReleasedModel:
    """Combine the parts into one module, with LoRA adapters merged into the weights."""
    built = rebuilt.built
    if built["encoder"].has_lora:
        merge_lora(built["encoder"].backbone)
    head = built["auxiliary_head"] if rebuilt.with_head else None
    own = {name: built[name] for name in ("normaliser", "encoder", "pooling", "vad_head")}
    return ReleasedModel(**own, class_head=head)


def _join(epochs) -> str:
    return ", ".join(map(str, epochs))


@contextmanager
def preserve_rng_state() -> Iterator[None]:
    """Restore the random states of Python, NumPy and PyTorch on exit.

    Example
    -------
    >>> _ = torch.manual_seed(1)
    >>> with preserve_rng_state():
    ...     _ = torch.manual_seed(2)
    >>> torch.initial_seed()
    1
    """
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)
