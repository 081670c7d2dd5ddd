"""Build the datasets, the Brain, the schedule and the data loaders of a run."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from data_prep.manifest import Summary
from emosphere_sb import distributed
from emosphere_sb.data import dataset as data
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.recipe.progress import log_epoch
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.checkpoints import Checkpointer
from emosphere_sb.training.feature_extraction import check_cacheable
from emosphere_sb.training.layer_statistics import set_layer_statistics
from emosphere_sb.training.learnability import warn_if_hardly_trainable
from emosphere_sb.training.loggers import LogState, make_loggers
from emosphere_sb.training.trained_weights import TrainedWeights

logger = logging.getLogger(__name__)

SCHEDULES = ("constant", "linear", "cosine")


def make_datasets(rows: dict, summary: Summary, hparams: dict) -> dict[str, data.SpeechDataset]:
    """Create a dataset for each set. Only the training set uses random crops."""
    make = partial(
        data.SpeechDataset,
        scale=summary.scale,
        task=hparams["task"],
        max_seconds=hparams["max_seconds"],
        seed=hparams["seed"],
        channel=hparams["channel"],
    )
    return {
        name: make(part, crop=hparams["crop"] if name == "train" else "start")
        for name, part in rows.items()
    }


def make_brain(hparams: dict, options: dict, sets: dict, folder: Path) -> EmoSphereBrain:
    """Create the Brain with its checkpointer, loggers and learning-rate schedule."""
    modules = {name: part for name, part in hparams["modules"].items() if part is not None}
    if hparams["task"].size > 0 and "auxiliary_head" not in modules:
        raise ValueError(
            f"Task {type(hparams['task']).__name__} requires an auxiliary_head; found null. Use "
            f"--preset=no_regions to train without an auxiliary task."
        )
    if hparams["feature_cache"]:
        check_cacheable(hparams["encoder"], hparams["pooling"], hparams)
    checkpointer = Checkpointer(
        str(folder / "save"),
        recoverables={
            "model": TrainedWeights(torch.nn.ModuleDict(modules), hparams["backbone"]),
            "counter": hparams["epoch_counter"],
        },
    )
    loggers = make_loggers(folder, hparams["logger"], hparams)
    checkpointer.add_recoverable("loggers", LogState(loggers))
    clips = len(sets["train"])
    steps = -(-clips // hparams["batch_size"]) * hparams["number_of_epochs"]
    if not options.get("test_only"):
        warn_if_hardly_trainable(torch.nn.ModuleDict(modules), hparams, steps=steps, clips=clips)
    return EmoSphereBrain(
        modules,
        hparams["opt_class"],
        hparams,
        {**options, **available_precision(hparams["precision"])},
        checkpointer,
        schedule=partial(make_schedule, settings=hparams, steps=steps),
        set_sizes={name: len(part) for name, part in sets.items()},
        loggers=loggers,
        memory_check_batches=(
            partial(longest_batches, sets, hparams) if hparams["check_memory"] else None
        ),
        initialise=partial(set_layer_statistics, dataset=sets["train"], hparams=hparams),
        progress=partial(log_epoch, hparams["epoch_counter"], task=hparams["task"].kind),
    )


def longest_batches(sets: dict, hparams: dict) -> tuple[data.Batch, data.Batch]:
    """Return the training batch and the evaluation batch that need the most memory."""
    share = -(-hparams["batch_size"] // distributed.world_size())
    train = data.longest_batch(sets["train"], min(hparams["micro_batch"], share))
    return train, data.longest_batch(sets["valid"], hparams["eval_batch"])


def available_precision(precision: str) -> dict[str, str]:
    """Return a run option that selects fp32 if ``precision`` is not supported."""
    if precision != "fp16" or torch.cuda.is_available():
        return {}
    logger.warning("No GPU found: falling back from fp16 to fp32.")
    return {"precision": "fp32"}


def make_schedule(optimizer: torch.optim.Optimizer, *, settings: dict, steps: int):
    """Create a transformers learning-rate schedule, with warm-up, over optimiser steps."""
    from transformers import get_scheduler

    if settings["schedule_name"] not in SCHEDULES:
        raise ValueError(
            f"schedule_name must be one of {', '.join(SCHEDULES)}; found "
            f"{settings['schedule_name']!r}."
        )
    name = settings["schedule_name"].replace("constant", "constant_with_warmup")
    return get_scheduler(name, optimizer, warmup_steps(settings, steps), steps)


def warmup_steps(settings: dict, steps: int) -> int:
    """Return the number of warm-up steps: a share of all ``steps``, or a fixed number."""
    share = settings["warmup_share"]
    return round(share * steps) if share else settings["warmup_steps"]


def training_loaders(
    brain: EmoSphereBrain, hparams: dict, sets: dict[str, data.SpeechDataset]
) -> tuple[DataLoader, DataLoader]:
    """Create the loaders of the training set and of the validation set for ``brain.fit``.

    The Brain gets the training sampler, whose epoch SpeechBrain sets.
    """
    train_set = sets["train"]
    sampler = PooledBatchSampler(
        train_set.durations,
        hparams["batch_size"],
        seed=hparams["seed"],
        pool=hparams["bucket_batches"],
        process=distributed.rank(),
        processes=distributed.world_size(),
    )
    workers = {
        "num_workers": loader_processes(train_set, hparams),
        "pin_memory": brain.device_type == "cuda",
    }
    train = data.train_loader(train_set, sampler, micro_batch=hparams["micro_batch"], **workers)
    brain.train_sampler = EpochSetter(sampler, train_set, brain)
    valid = data.eval_loader(sets["valid"], batch_size=hparams["eval_batch"], **workers)
    return train, valid


def evaluation_loader(dataset: data.SpeechDataset, hparams: dict) -> DataLoader:
    """Create the loader of a set to predict."""
    return data.eval_loader(
        dataset,
        batch_size=hparams["eval_batch"],
        num_workers=loader_processes(dataset, hparams),
    )


def loader_processes(dataset: data.SpeechDataset, hparams: dict) -> int:
    """Return the number of data loader processes: none if all features are in memory."""
    in_memory = dataset.cache is not None and dataset.cache.in_memory
    return 0 if in_memory else hparams["num_workers"]


class EpochSetter:
    """Sampler proxy that sets the epoch and position of the sampler and the dataset's epoch."""

    def __init__(self, sampler: PooledBatchSampler, dataset: data.SpeechDataset, brain):
        self.sampler, self.dataset, self.brain = sampler, dataset, brain

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch. SpeechBrain calls this before each epoch."""
        self.sampler.set_epoch(epoch, done=self.brain.step)
        self.dataset.epoch.fill_(epoch)
