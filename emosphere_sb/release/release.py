"""From a finished run to a folder that anybody can use: no corpus, no download, no code in it."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ruamel.yaml.comments import CommentedMap
from torch import nn

from emosphere_sb.backbones.lora import merge_lora
from emosphere_sb.fileio.atomic_folder import atomic_folder, refuse_occupied
from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.lobes import SSLEncoder, WaveformNormaliser
from emosphere_sb.recipe.hparams import SAVED, build
from emosphere_sb.recipe.renamed_keys import LAST_VERSION_WITH_OLD_NAMES
from emosphere_sb.release import parts
from emosphere_sb.release.card import model_card
from emosphere_sb.release.model import About, ReleasedModel
from emosphere_sb.release.origin import licence_of, public_protocol
from emosphere_sb.release.write import write_released
from emosphere_sb.report.read.runs import METRICS, Run, read_source
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.training.checkpoints import Checkpointer
from emosphere_sb.training.trained_weights import TrainedWeights

logger = logging.getLogger(__name__)

MODULES = (
    "normaliser", "encoder", "pooling", "vad_head", "auxiliary_head", "weighting", "task",
)  # fmt: skip
NO_WORD = ("", "other", "no_agreement")
FEWEST = 10
"""Utterances that an emotion must have in the training set to give a word its place."""


@dataclass(frozen=True)
class Rebuilt:
    """What a run's hyperparameters build, with the weights that were tested.

    Arguments
    ---------
    tree : CommentedMap
        The hyperparameters.
    built : mapping
        Their objects.
    with_head : bool
        Whether the auxiliary head was still trained at these weights.
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
) -> Path:
    """Write the released model of a finished run.

    The run's ``hyperparams.yaml`` builds the model, so it runs code, as a run does: release runs of
    your own. What is written holds none.

    Arguments
    ---------
    run : path
        A run's folder: ``metrics.json``, ``hyperparams.yaml``, ``predictions/``, ``save/``.
    out : path
        Where to; must be new or empty. It appears whole or not at all.
    name : str, optional
        Of the model, one line; the default is the corpus and the row.
    resamples : int
        For the intervals in the model card.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    ValueError
        If the run is not finished, its files are not those that it wrote, its weights cannot be
        read, or a part of its model is not of this package.
    FileExistsError
        If ``out`` holds something.
    """
    run, out = Path(run), Path(out)
    refuse_occupied(out)
    if name is not None and (not name.strip() or len(name.splitlines()) > 1):
        raise ValueError(f"The name of a model must be one line of text; found {name!r}.")
    source = read_finished(run)
    rebuilt = rebuild(run, source.protocol)
    about = describe(rebuilt, source, name)
    described = describe_parts(rebuilt)
    card = model_card(about, source, resamples=resamples)
    with atomic_folder(out) as folder:
        write_released(folder, assemble(rebuilt), about, described, card)
    logger.info("Released %s: %s", about.name, out)
    return out


def read_finished(run: Path) -> Run:
    """A finished run with its predictions.

    Raises
    ------
    ValueError
        If the folder is no run's, the run is not finished, was made with ``--debug``, or its
        predictions are not the files that it wrote.
    """
    found = sorted(path.name for path in run.iterdir()) if run.is_dir() else []
    for name in (SAVED, METRICS, "save"):
        if name not in found:
            raise ValueError(
                f"{run} must be the folder of a finished run, with {SAVED}, {METRICS} and save/; "
                f"it has no {name} (found {', '.join(found[:8]) or 'nothing'}). Runs lie in "
                f"results/<corpus>/<preset>/<partition>/<seed>; the command of one that is not "
                f"finished, started again, goes on where it stopped."
            )
    (source,) = read_source(run)
    if source.notes:
        raise ValueError(
            f"{' '.join(source.notes)} The card of a model quotes the run's own figures: start the "
            f"run's command again with --test_only."
        )
    if "row" in source.protocol:
        raise ValueError(
            f"{run} holds a run of version {LAST_VERSION_WITH_OLD_NAMES}. Release it with that "
            f"version (pip install emosphere-sb=={LAST_VERSION_WITH_OLD_NAMES}): this one can load "
            f"the released model, but not the run."
        )
    needed = ("corpus", "release", "preset", "synthetic", "scale", "utterances", "backbone")
    if absent := [key for key in needed if key not in source.protocol]:
        raise ValueError(
            f"{run / METRICS} does not say {', '.join(absent)}: it was made by an older version. "
            f"Start the run's command again: it only tests anew."
        )
    if "debug" in str(source.protocol["preset"]).split("+"):
        raise ValueError(f"{run} was made with --debug, on a few batches; release a whole run.")
    return source


def rebuild(run: Path, protocol: Mapping[str, Any]) -> Rebuilt:
    """Build a run's parts with the weights that were tested.

    Raises
    ------
    ValueError
        If they cannot be built or read, or are not those whose figures ``metrics.json`` has.
    """
    tree = read_tree(run / SAVED)
    # The seed stays in the tree: a backbone from a bare configuration has its weights from it.
    with preserve_rng_state():
        built = build(tree)
    modules = {name: part for name, part in built["modules"].items() if part is not None}
    recoverables = {"model": TrainedWeights(nn.ModuleDict(modules), built["backbone"])}
    checkpointer = Checkpointer(str(run / "save"), recoverables=recoverables)
    tested = checkpointer.load_tested(built["average_checkpoints"])
    epochs = sorted(checkpoint.meta["epoch"] for checkpoint in tested)
    reported = protocol.get("averaged_epochs", [protocol.get("best_epoch")])
    if epochs != reported:
        raise ValueError(
            f"{run / METRICS} has figures of epoch {_some(reported)}; the checkpoints in save/ are "
            f"of epoch {_some(epochs)}: the run went on after it was tested, or lost a checkpoint. "
            f"Start its command again."
        )
    with_head = built["task"].size > 0 and bool(built["weighting"].active)
    return Rebuilt(tree, built, with_head)


def describe(rebuilt: Rebuilt, source: Run, name: str | None) -> About:
    """What is known of a run's model."""
    protocol, task = source.protocol, rebuilt.built["task"]
    words = {
        word: facts["vad"]
        for word, facts in protocol.get("emotions", {}).items()
        if word not in NO_WORD and facts["utterances"] >= FEWEST
    }
    corpus = f"{protocol['corpus']} {protocol['release'] or ''}".strip()
    return About(
        name=name or f"{corpus} {protocol['preset']}",
        scale=Scale.from_dict(protocol["scale"]),
        max_seconds=parts.plain(rebuilt.tree["max_seconds"]),
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
    """CCC of every set with labels."""
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
    """The parts of a model as plain data, which loading builds them from.

    Raises
    ------
    ValueError
        If one is not of this package.
    """
    tree, built = rebuilt.tree, rebuilt.built
    refuse_own_parts(built)
    head = parts.describe(tree, "auxiliary_head", built, parts.HEADS) if rebuilt.with_head else None
    return {
        "normaliser": {"mode": built["normaliser"].mode},
        "encoder": {"layers": built["encoder"].states.layers},
        "pooling": parts.describe(tree, "pooling", built, parts.POOLINGS),
        "vad_head": parts.describe(tree, "vad_head", built, ("VADHead",)),
        "class_head": head,
    }


def refuse_own_parts(built: Mapping[str, Any]) -> None:
    """Refuse a model with a module that loading would not know.

    Raises
    ------
    ValueError
        Naming it.
    """
    if others := sorted(set(built["modules"]) - set(MODULES)):
        raise ValueError(
            f"A released model has the modules {', '.join(MODULES)}; found {', '.join(others)} "
            f"beside them. A model with parts of your own can be shared as a package."
        )
    for name, kind in (("normaliser", WaveformNormaliser), ("encoder", SSLEncoder)):
        if type(built[name]) is not kind:
            raise ValueError(
                f"{name} must be a {kind.__name__} to be released; found a "
                f"{type(built[name]).__name__}. A part of your own can be shared as a package."
            )


def assemble(rebuilt: Rebuilt) -> ReleasedModel:
    """The parts in one module, adapters merged into the weights that they adapt."""
    built = rebuilt.built
    if built["encoder"].has_lora:
        merge_lora(built["encoder"].backbone)
    head = built["auxiliary_head"] if rebuilt.with_head else None
    own = {name: built[name] for name in ("normaliser", "encoder", "pooling", "vad_head")}
    return ReleasedModel(**own, class_head=head)


def _some(epochs) -> str:
    return ", ".join(map(str, epochs))


@contextmanager
def preserve_rng_state() -> Iterator[None]:
    """Put the random states of Python, numpy and torch back, whatever is seeded meanwhile.

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
