"""From a finished run to a folder that anybody can use: no corpus, no download, no code in it."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap
from safetensors.torch import save_file
from torch import nn

from emosphere_sb.backbones.lora import merge_lora
from emosphere_sb.checkpoints import Checkpointer
from emosphere_sb.hparams import SAVED, build, copy_tree, read_tree
from emosphere_sb.inference import folder as files
from emosphere_sb.inference import parts
from emosphere_sb.inference.card import model_card
from emosphere_sb.inference.released import About, ReleasedModel
from emosphere_sb.report.run import versions
from emosphere_sb.scale import Scale
from emosphere_sb.weights import TrainedWeights

logger = logging.getLogger(__name__)

NO_WORD = ("", "other", "no_agreement")
FEWEST = 10
"""Utterances that an emotion must have in the training set to give a word its place."""


def release(run: str | os.PathLike, out: str | os.PathLike, *, name: str | None = None) -> Path:
    """Write the released model of a finished run.

    Arguments
    ---------
    run : path
        A run's folder: ``metrics.json``, ``hyperparams.yaml``, ``save/``.
    out : path
        Where to; must be new or empty. It appears whole or not at all.
    name : str, optional
        Of the model; the default is the corpus and the row.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    ValueError
        If the run is not finished, its weights cannot be read, or a part of its model is not of
        this package.
    FileExistsError
        If ``out`` holds something.
    """
    run, out = Path(run), Path(out)
    metrics = read_finished(run)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} must be a new or an empty folder; it holds something.")
    tree = read_tree(run / SAVED)
    built, with_head = load_run(run, tree)
    about = describe(tree, built, metrics, with_head, name)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write(partial, tree, built, about, metrics, run)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    logger.info("Released %s: %s", about.name, out)
    return out


def read_finished(run: Path) -> dict[str, Any]:
    """The figures of a finished run.

    Raises
    ------
    ValueError
        If the folder is no run's, or the run is not finished.
    """
    for name in (SAVED, "metrics.json"):
        if not (run / name).is_file():
            raise ValueError(
                f"{run} must be the folder of a finished run, with {SAVED} and metrics.json; it "
                f"has no {name}. Start its command again: it goes on where it stopped."
            )
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def load_run(run: Path, tree: CommentedMap) -> tuple[dict[str, Any], bool]:
    """Build a run's parts with the weights that were tested.

    Returns
    -------
    tuple
        What the tree builds, and whether the auxiliary head was still trained there.
    """
    built = build(_without_seed(tree))
    modules = {name: part for name, part in built["modules"].items() if part is not None}
    recoverables = {"model": TrainedWeights(nn.ModuleDict(modules), built["backbone"])}
    checkpointer = Checkpointer(str(run / "save"), recoverables=recoverables)
    checkpointer.load_tested(built["average_checkpoints"])
    return built, built["task"].size > 0 and bool(built["weighting"].active)


def _without_seed(tree: CommentedMap) -> CommentedMap:
    """The tree without the line that seeds everything: a library does not touch random states."""
    tree = copy_tree(tree)
    tree.pop("__set_seed", None)
    return tree


def describe(
    tree: CommentedMap, built: Mapping, metrics: Mapping, with_head: bool, name: str | None
) -> About:
    """What is known of a run's model."""
    protocol, task = metrics["protocol"], built["task"]
    if "scale" not in protocol:
        raise ValueError(
            "The run does not say its label scale: it was made by an older version. Start its "
            "command again: it only tests anew."
        )
    emotions = protocol.get("emotions", {})
    words = {
        word: facts["vad"]
        for word, facts in emotions.items()
        if word not in NO_WORD and facts["utterances"] >= FEWEST
    }
    corpus = protocol["corpus"] + (f" {protocol['release']}" if protocol["release"] else "")
    return About(
        name=name or f"{corpus} {protocol['row']}",
        scale=Scale.from_dict(protocol["scale"]),
        max_seconds=tree["max_seconds"],
        region_step=task.regions.step,
        centre_radius=task.regions.centre_radius,
        head=task.kind if with_head else "none",
        classes=tuple(task.names) if with_head else (),
        words=words,
        licence=licence_of(protocol),
        synthetic=bool(protocol["synthetic"]),
        facts={"protocol": protocol, "figures": figures_of(metrics), "made_by": versions()},
    )


def licence_of(protocol: Mapping) -> str:
    """What binds the weights, in a line."""
    if protocol["synthetic"]:
        return "Trained on synthetic speech alone: no corpus's terms apply."
    from emosphere_sb.corpora import corpus_module

    terms = getattr(corpus_module(protocol["corpus"]), "TERMS", "")
    return terms or "Subject to the terms of the training data."


def figures_of(metrics: Mapping) -> dict[str, dict]:
    """CCC of every set."""
    return {
        name: {
            **{d: row[d]["ccc"] for d in ("valence", "arousal", "dominance")},
            "mean": row["mean_ccc"],
            "utterances": row["utterances"],
        }
        for name, row in metrics.items()
        if name not in ("protocol", "run", "beside")
    }


def _write(
    out: Path, tree: CommentedMap, built: Mapping, about: About, metrics: Mapping, run: Path
) -> None:
    """All files, the checksums last."""
    encoder, normaliser = built["encoder"], built["normaliser"]
    if encoder.has_lora:
        merge_lora(encoder.backbone)
    head = built["auxiliary_head"] if about.head != "none" else None
    configuration = {
        "format": files.FORMAT,
        "about": about.to_dict(),
        "parts": {
            "normaliser": {"mode": normaliser.mode},
            "encoder": {"layers": parts.plain(tree["layers"])},
            "pooling": parts.describe(tree, "pooling", built, parts.POOLINGS),
            "vad_head": parts.describe(tree, "vad_head", built, parts.HEADS),
            "class_head": (
                None if head is None
                else parts.describe(tree, "auxiliary_head", built, parts.HEADS)
            ),
        },
    }  # fmt: skip
    files.write_json(out / files.CONFIGURATION, configuration)
    files.write_json(out / files.BACKBONE, backbone_configuration(encoder.model.config))
    extractor = getattr(encoder.backbone, "extractor", None)
    if extractor is not None:
        (out / files.PREPROCESSOR).write_text(extractor.to_json_string(), encoding="utf-8")
    model = ReleasedModel(normaliser, encoder, built["pooling"], built["vad_head"], head)
    save_weights(model, out / files.WEIGHTS)
    (out / files.CARD).write_text(model_card(about, metrics, run), encoding="utf-8")
    files.seal(out)


def backbone_configuration(config) -> dict[str, Any]:
    """transformers' configuration without paths of this machine.

    Raises
    ------
    ValueError
        If the model needs code of its own.
    """
    facts = json.loads(config.to_json_string(use_diff=False))
    if "auto_map" in facts:
        raise ValueError(
            "The backbone runs Python code of its own (--trust_remote_code), which a released "
            "model does not hold."
        )
    return {key: value for key, value in facts.items() if key not in ("_name_or_path",)}


def save_weights(model: nn.Module, path: Path) -> None:
    """All weights and buffers, as tensors alone."""
    # Copies: safetensors refuses tensors that share memory.
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    save_file({name: value.contiguous() for name, value in state.items()}, path)
