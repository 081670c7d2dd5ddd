"""The order of a run: prepare, build, train, test, report. Readable from top to bottom."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from functools import partial
from pathlib import Path

import speechbrain as sb
import torch
from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import Summary, read_rows, summary_lines
from emosphere_sb import data
from emosphere_sb.brain import EmoSphereBrain
from emosphere_sb.corpora import corpus_module
from emosphere_sb.cross import metrics_file, other_corpus
from emosphere_sb.features import read_features, refuse_changing
from emosphere_sb.folds import run_folds
from emosphere_sb.hparams import ALL_FOLDS, build, scalars
from emosphere_sb.launch import read_command
from emosphere_sb.report.figures import figures
from emosphere_sb.report.predictions import predictions_table
from emosphere_sb.report.run import machine, memory, report_sets, write_metrics
from emosphere_sb.sampler import PooledBatchSampler
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.workspace import (
    STAMP,
    claim_folder,
    is_synthetic,
    prepare_corpus,
    training_statistics,
)

logger = logging.getLogger(__name__)

SCHEDULES = ("constant", "linear", "cosine")


def run(arguments: list[str], *, corpus: str) -> dict:
    """Run a recipe: prepare, train, test on every test set, report.

    Arguments
    ---------
    arguments : list of str
        ``[HPARAMS.yaml, --row=NAME, --key=value, …]``, see ``emosphere_sb.launch``.
    corpus : str
        One of ``emosphere_sb.corpora.CORPORA``.

    Returns
    -------
    dict
        What stands in ``metrics.json``.

    Raises
    ------
    ValueError, OSError
        If the command line, the hyperparameters, or the data do not allow a run, before training.
    """
    return run_tree(*read_command(arguments, corpus=corpus), corpus=corpus)


def run_tree(tree: CommentedMap, options: dict, *, corpus: str) -> dict:
    """``run`` on a merged tree of hyperparameters and SpeechBrain's run options."""
    if options.get("debug"):
        tree["row"] += "+debug"  # its files must not be taken for those of a whole run
    if tree["fold"] == ALL_FOLDS:
        return run_folds(tree, options, corpus=corpus, run=run_one)
    return run_one(tree, options, corpus=corpus)


def run_one(tree: CommentedMap, options: dict, *, corpus: str) -> dict:
    """One run, on one fold where the corpus has several."""
    started = time.time()
    check_device(options)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("Training runs in one process so far; found torchrun with WORLD_SIZE > 1.")
    settings = scalars(tree)
    summary = prepare_corpus(settings, corpus)
    other = other_corpus(settings, summary)  # before training: it may be what cannot be read
    hparams = build(tree)  # before the folder is claimed: what cannot be built leaves no trace
    folder = claim_folder(tree, settings, summary)
    sb.create_experiment_directory(str(folder), save_env_desc=False)
    for line in summary_lines(summary):
        logger.info("%s", line)
    rows = read_sets(summary, settings)
    sets = make_datasets(rows, summary, hparams)
    brain = make_brain(hparams, options, sets, folder)
    fit(brain, hparams, sets, summary)
    results = report_sets(folder, predict(brain, hparams, sets, rows, summary))
    beside = {"cap": demo_cap(summary, rows)}
    if settings["acoustic_baseline"]:
        beside["acoustic_baseline"] = acoustic_baseline(summary)
    protocol = {**protocol_facts(summary, settings, brain, rows), "run_options": options}
    cost = {
        "training_seconds": round(brain.seconds, 1),
        "process_seconds": round(time.time() - started, 1),
    }
    origin = {"machine": machine(), "folder": str(folder)}
    cost |= {**memory(), **origin}
    metrics = write_metrics(folder / "metrics.json", results, protocol, cost, beside)
    if other is None:
        return metrics
    sets = make_datasets(other.rows, other.summary, hparams)
    foreign = report_sets(folder, predict(brain, hparams, sets, other.rows, other.summary))
    protocol |= {"trained_on": summary.corpus, "tested_on": other.facts()}
    write_metrics(metrics_file(folder, other.name), foreign, protocol, cost, {})
    return {**foreign, **metrics}


def check_device(options: dict) -> None:
    """Refuse a device that this machine does not have, before anything is made."""
    try:
        torch.empty(0, device=options.get("device"))
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device={options['device']} cannot be used: {reason}") from error


def read_sets(summary: Summary, settings: dict) -> dict[str, dict]:
    """Manifest rows of every set."""
    root = summary.data_root
    rows = {name: read_rows(path, data_root=root) for name, path in summary.sets.items()}
    if settings["shuffle_labels"]:
        deal_out_labels(rows["train"], settings["seed"])
    return rows


def deal_out_labels(rows: dict[str, dict], seed: int) -> None:
    """Give every training utterance the labels of another one, in place."""
    labels = [{key: row[key] for key in (*DIMENSIONS, "emotion")} for row in rows.values()]
    random.Random(seed).shuffle(labels)
    for row, other in zip(rows.values(), labels, strict=True):
        row.update(other)
    logger.warning("shuffle_labels: the training labels were dealt out anew. Expect a CCC of 0.")


def make_datasets(rows: dict, summary: Summary, hparams: dict) -> dict[str, data.SpeechDataset]:
    """A dataset for every set; only training takes random crops."""
    make = partial(
        data.SpeechDataset,
        scale=summary.scale,
        task=hparams["task"],
        max_seconds=hparams["max_seconds"],
        seed=hparams["seed"],
    )
    return {
        name: make(part, crop=hparams["crop"] if name == "train" else "first")
        for name, part in rows.items()
    }


def make_brain(hparams: dict, options: dict, sets: dict, folder: Path) -> EmoSphereBrain:
    """The Brain with everything that it needs to save and to restore."""
    modules = {name: part for name, part in hparams["modules"].items() if part is not None}
    if hparams["task"].size > 0 and "auxiliary_head" not in modules:
        raise ValueError(
            f"A {type(hparams['task']).__name__} needs an auxiliary_head; found null. To train "
            f"without an auxiliary task take --row=no_regions."
        )
    if hparams["feature_cache"]:
        refuse_changing(hparams["encoder"], hparams)
    checkpointer = sb.utils.checkpoints.Checkpointer(
        str(folder / "save"),
        recoverables={"model": torch.nn.ModuleDict(modules), "counter": hparams["epoch_counter"]},
    )
    steps = -(-len(sets["train"]) // hparams["batch_size"]) * hparams["number_of_epochs"]
    hparams["schedule"] = partial(make_schedule, settings=hparams, steps=steps)
    hparams["loggers"] = make_loggers(folder, hparams["tensorboard"])
    sizes = {
        "train": min(hparams["micro_batch"], hparams["batch_size"]),
        "valid": hparams["eval_batch"],
    }
    hparams["longest_batches"] = (
        [partial(data.longest_batch, sets[name], size) for name, size in sizes.items()]
        if hparams["dry_run"]
        else None
    )
    if hparams["precision"] == "fp16" and not torch.cuda.is_available():
        logger.warning("precision fp16 needs a GPU; none is here, so this run is in fp32.")
        hparams["precision"] = "fp32"
    return EmoSphereBrain(modules, hparams["opt_class"], hparams, options, checkpointer)


def make_schedule(optimizer: torch.optim.Optimizer, *, settings: dict, steps: int):
    """Learning-rate schedule over optimiser steps, with warm-up (transformers' own)."""
    from transformers import get_scheduler

    if settings["schedule_name"] not in SCHEDULES:
        raise ValueError(
            f"schedule_name must be one of {', '.join(SCHEDULES)}; found "
            f"{settings['schedule_name']!r}."
        )
    name = settings["schedule_name"].replace("constant", "constant_with_warmup")
    return get_scheduler(name, optimizer, settings["warmup_steps"], steps)


def make_loggers(folder: Path, tensorboard: bool) -> list:
    """SpeechBrain's file logger, and its TensorBoard logger where that is asked for."""
    loggers = [sb.utils.train_logger.FileTrainLogger(str(folder / "train_log.txt"))]
    if tensorboard:
        loggers.append(sb.utils.train_logger.TensorboardLogger(str(folder / "tensorboard")))
    return loggers


def fit(brain: EmoSphereBrain, hparams: dict, sets: dict, summary: Summary) -> None:
    """Class weights and waveform statistics from the training set, then the epochs."""
    train_set = sets["train"]
    hparams["task"].set_targets(train_set.targets())
    if hparams["normaliser"].mode == "corpus":
        if advice := getattr(hparams["encoder"].backbone, "advice", ""):
            logger.warning("%s", advice)
        hparams["normaliser"].set_statistics(*training_statistics(summary))
    if hparams["feature_cache"]:
        root = Path(hparams["results_folder"]) / summary.corpus / "features"
        read_features(brain, hparams, sets, root)
    sampler = PooledBatchSampler(
        train_set.durations, hparams["batch_size"], seed=hparams["seed"], pool=hparams["sort_pool"]
    )
    workers = {"num_workers": hparams["num_workers"], "pin_memory": brain.device_type == "cuda"}
    loader = data.train_loader(train_set, sampler, micro_batch=hparams["micro_batch"], **workers)
    brain.train_sampler = EpochSetter(sampler, train_set)
    brain.checkpointer.add_recoverable("loader", loader)
    valid = data.eval_loader(sets["valid"], batch_size=hparams["eval_batch"], **workers)
    brain.fit(hparams["epoch_counter"], loader, valid)
    if brain.checkpointer.find_checkpoint() is None:
        raise ValueError(
            f"{brain.checkpointer.checkpoints_dir} must hold a checkpoint to test; found none. "
            f"Train first, without --test_only."
        )


class EpochSetter:
    """Tells the sampler's order and the dataset's random crops which epoch it is."""

    def __init__(self, sampler: PooledBatchSampler, dataset: data.SpeechDataset):
        self.sampler, self.dataset = sampler, dataset

    def set_epoch(self, epoch: int) -> None:
        """SpeechBrain calls this before each epoch."""
        self.sampler.set_epoch(epoch)
        self.dataset.epoch.fill_(epoch)


def predict(brain, hparams: dict, sets: dict, rows: dict, summary: Summary) -> dict:
    """Predictions of the best checkpoint on every set but the training set: a table by set."""
    task = hparams["task"]
    tables = {}
    for name in (name for name in rows if name != "train"):
        loader = data.eval_loader(
            sets[name], batch_size=hparams["eval_batch"], num_workers=hparams["num_workers"]
        )
        vad, probabilities = brain.predict(loader)
        tables[name] = predictions_table(
            rows[name], vad, scale=summary.scale, regions=task.regions,
            probabilities=probabilities, classes=task.names, head=task.kind,
        )  # fmt: skip
    return tables


def acoustic_baseline(summary: Summary) -> dict[str, dict]:
    """Figures of ridge regression on five acoustic features, on the same sets."""
    from emosphere_sb.report.baseline import evaluate_baseline

    labelled = {
        name: read_rows(summary.sets[name], data_root=summary.data_root)
        for name in summary.labelled
    }
    tables = evaluate_baseline(labelled)
    return {name: figures(table) for name, table in tables.items() if name != "train"}


def demo_cap(summary: Summary, rows: dict[str, dict]) -> dict[str, dict]:
    """What the simulated raters' noise lets a perfect model reach; empty for a real corpus.

    It is known for each split, or for each session: then for the sets that are one session.
    """
    if not is_synthetic(summary):
        return {}
    names = getattr(corpus_module(summary.corpus), "SETS", {})
    cap = json.loads((summary.data_root / STAMP).read_text(encoding="utf-8"))["cap"]
    cap = {names.get(part.lower(), part): values for part, values in cap.items()}
    sessions = {name: {row["session"] for row in part.values()} for name, part in rows.items()}
    part_of = {name: name if name in cap else "+".join(sorted(sessions[name])) for name in rows}
    return {name: cap[part] for name, part in part_of.items() if part in cap}


def protocol_facts(summary: Summary, settings: dict, brain: EmoSphereBrain, rows: dict) -> dict:
    """What a figure must be quoted with."""
    best = brain.best_checkpoint_meta()
    keys = ("row", "seed", "max_seconds", "normalisation", "backbone", "shuffle_labels")
    return {
        "corpus": summary.corpus,
        "release": summary.release,
        "synthetic": is_synthetic(summary),
        **summary.protocol,
        "utterances": {name: len(part) for name, part in rows.items()},
        "classes_kept": {
            name: sorted({row["emotion"] for row in part.values()} - {""})
            for name, part in rows.items()
        },
        **{key: settings[key] for key in keys},
        "precision": brain.precision,  # fp16 is asked for and not to be had without a GPU
        "best_epoch": best["epoch"],
        "auxiliary_head": best["head"],
    }
