"""Training on cached features of a frozen backbone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.data.dataset import Batch, SpeechDataset, eval_loader
from emosphere_sb.data.feature_cache import FeatureCache
from emosphere_sb.data.feature_store import FeatureStore
from emosphere_sb.fileio.audio_digests import audio_digests
from emosphere_sb.lobes.pooling import MeanPooling
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.feature_key import FeatureKey, feature_settings, state_digests
from emosphere_sb.training.optimisation import memory_advice
from emosphere_sb.training.preemption import StoppedError

logger = logging.getLogger(__name__)

LOG_SECONDS = 60.0
"""Seconds between two messages about the progress in the log, if there is no progress bar."""


def cache_kind(value: bool | str) -> str | None:
    """Return what to cache according to the setting ``feature_cache``.

    Example
    -------
    >>> cache_kind(True), cache_kind("averages"), cache_kind(False)
    ('frames', 'averages', None)
    """
    if isinstance(value, bool):
        return "frames" if value else None
    return value


def use_cached_features(
    brain: EmoSphereBrain, hparams: dict, sets: Mapping[str, SpeechDataset], root: Path
) -> None:
    """Make all data sets return cached features instead of waveforms; compute missing features.

    Arguments
    ---------
    brain : EmoSphereBrain
        Brain with a frozen encoder.
    hparams : dict
        Hyperparameters.
    sets : mapping of str to SpeechDataset
        Sets by name.
    root : path
        Folder of the feature cache, which runs on any corpus, fold or seed can share.
    """
    key = feature_key(brain, hparams)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    paths = [path for part in sets.values() for path in part.audio.values()]
    with brain.stop.interrupt_immediately():
        digests = audio_digests(root, paths)
    keys = {
        name: {utterance: digests[path] for utterance, path in part.audio.items()}
        for name, part in sets.items()
    }
    needed = {one for part in keys.values() for one in part.values()}
    found = key.find(root, needed)
    if found is not None and key.kind == "averages" and found[0].damaged(needed):
        found = None
    if found is None:
        found = fill_store(root / key.folder_name, key, brain, hparams, sets, keys)
    else:
        logger.info("Using cached features: %s", found[0].folder)
    store, states = found
    for name, dataset in sets.items():
        dataset.read_from(FeatureCache(store, keys[name], key.kind, states))


def feature_key(brain: EmoSphereBrain, hparams: Mapping) -> FeatureKey:
    """Return the key of the features that a run needs."""
    encoder = brain.modules.encoder
    kind = cache_kind(hparams["feature_cache"])
    return FeatureKey(
        kind=kind,
        precision=hparams["feature_cache_precision"],
        size=encoder.backbone.output_size,
        states=state_digests(encoder, feature_settings(brain, hparams)),
        numbers=tuple(encoder.states.selected),
        # Not linear, so it must precede the average.
        normalised=kind == "averages" and encoder.states.normalisation.mode == "layer_norm",
    )


def fill_store(
    folder: Path,
    key: FeatureKey,
    brain: EmoSphereBrain,
    hparams: Mapping,
    sets: Mapping[str, SpeechDataset],
    keys: Mapping[str, Mapping[str, str]],
) -> tuple[FeatureStore, list[int]]:
    """Compute the features that are missing from a store.

    Arguments
    ---------
    folder : Path
        Folder of the store.
    key : FeatureKey
        Features to compute.
    brain, hparams, sets
        See :func:`use_cached_features`.
    keys : mapping
        For each set, the keys of its utterances by id.

    Returns
    -------
    tuple
        The complete store, and the positions of the states in it.

    Raises
    ------
    OSError
        If there is not enough disk space.
    StoppedError
        If a request to stop was received.
    ValueError
        If audio could not be read.
    """
    store = FeatureStore(folder, key.layout)
    store.create(
        {
            "backbone": str(hparams["backbone"]),
            "numbers": key.numbers,
            "states": key.states,
            "settings": feature_settings(brain, hparams),
        }
    )
    with store.locked(_waiting(brain, folder)):
        store.refresh()
        needed = {one for part in keys.values() for one in part.values()}
        if damaged := store.damaged(needed & store.records.keys()):
            logger.warning(
                "The features of %d utterances in %s are damaged; computing them again.",
                len(damaged),
                folder,
            )
            store.forget(damaged)
        missing = _missing_items(store, sets, keys)
        if any(missing.values()):
            _check_space(store, brain.modules.encoder, sets, missing)
            with store.writer() as writer:
                for name, items in missing.items():
                    if items:
                        add = partial(_add_batch, writer, keys[name])
                        compute_features(brain, hparams, sets[name], items, name, add)
            store.refresh()
    return store, list(range(len(key.states)))


def _waiting(brain: EmoSphereBrain, folder: Path):
    """Return a function for :meth:`FeatureStore.locked` that logs once and stops on request."""
    messages = [f"Waiting for another run that computes the same features in {folder}"]

    def wait() -> None:
        if brain.stop.received:
            raise StoppedError
        if messages:
            logger.info("%s", messages.pop())

    return wait


def _missing_items(
    store: FeatureStore, sets: Mapping[str, SpeechDataset], keys: Mapping[str, Mapping[str, str]]
) -> dict[str, list[int]]:
    """Return the indices of the utterances of each set to compute, each audio file only once."""
    seen, missing = set(store.records), {}
    for name, dataset in sets.items():
        missing[name] = []
        for index, utterance in enumerate(dataset.data_ids):
            if keys[name][utterance] not in seen:
                seen.add(keys[name][utterance])
                missing[name].append(index)
    return missing


def _check_space(
    store: FeatureStore,
    encoder: nn.Module,
    sets: Mapping[str, SpeechDataset],
    missing: Mapping[str, Sequence[int]],
) -> None:
    """Check that the disk has space for the missing features, and log how much is needed."""
    seconds = [
        duration
        for name, items in missing.items()
        for duration in _pick(sets[name].durations, items)
    ]
    samples = torch.tensor([int(duration * SAMPLE_RATE) for duration in seconds])
    frames = encoder.frame_lengths(samples).clamp(min=0).tolist()
    logger.info("%s", store.check_space(sum(map(store.layout.record_bytes, frames))))


def _pick(values: Sequence, items: Sequence[int]) -> list:
    return [values[item] for item in items]


def compute_features(
    brain: EmoSphereBrain,
    hparams: Mapping,
    dataset: SpeechDataset,
    items: Sequence[int],
    name: str,
    add,
) -> None:
    """Compute the hidden states of some utterances of a set, in batches.

    Arguments
    ---------
    brain : EmoSphereBrain
        Brain with a frozen encoder.
    hparams : mapping
        Hyperparameters.
    dataset : SpeechDataset
        The set, which returns waveforms.
    items : sequence of int
        Indices of the utterances.
    name : str
        Name of the set, for the progress bar, or the log if there is no progress bar.
    add : callable
        Function that is called with ids, states and numbers of frames of each batch.
    """
    loader = eval_loader(
        dataset,
        batch_size=hparams["eval_batch"],
        num_workers=hparams["num_workers"],
        shared=False,
        pin_memory=brain.device_type == "cuda",
        items=items,
    )
    encoder = brain.modules.encoder
    averages = cache_kind(hparams["feature_cache"]) == "averages"
    brain.modules.eval()
    hours = sum(_pick(dataset.durations, items)) / 3600
    logger.info("Computing features of %s: %s utterances, %.2f h", name, f"{len(items):,}", hours)
    begun = logged = time.monotonic()
    done = 0
    for batch in tqdm(loader, disable=brain.noprogressbar, desc=f"Features of {name}"):
        if brain.noprogressbar and done and time.monotonic() - logged >= LOG_SECONDS:
            logged = time.monotonic()
            minutes = (logged - begun) / 60 * (len(items) - done) / done
            counts = f"{done:,} of {len(items):,} utterances"
            logger.info("Computing features of %s: %s, %.0f min left", name, counts, minutes)
        done += len(batch.ids)
        if brain.stop.received:
            raise StoppedError
        if batch.missing:
            raise ValueError("; ".join(batch.missing.values()))
        states, lengths = hidden_states(brain, batch)
        if averages and encoder.states.normalisation.mode == "layer_norm":
            states = encoder.states.normalisation(states, lengths)
        add(batch.ids, states.float().cpu(), lengths.tolist())


def _add_batch(writer, keys: Mapping[str, str], ids: list[str], states: Tensor, lengths) -> None:
    for row, (utterance, length) in enumerate(zip(ids, lengths, strict=True)):
        try:
            writer.add(keys[utterance], states[row, :, :length].transpose(0, 1).numpy())
        except ValueError as error:
            raise ValueError(f"{utterance}: {error}") from error
    writer.commit()


def hidden_states(brain: EmoSphereBrain, batch: Batch) -> tuple[Tensor, Tensor]:
    """Compute the hidden states of a batch as in evaluation; see ``SSLEncoder.hidden_states``."""
    with torch.no_grad(), brain.evaluation_ctx, memory_advice([batch], "eval_batch"):
        lengths, batch = batch.lengths, batch.to(brain.device)
        signals = brain.modules.normaliser(batch.signals, batch.lengths)
        return brain.modules.encoder.hidden_states(signals, lengths)


def check_cacheable(encoder: nn.Module, pooling: nn.Module, settings: Mapping) -> None:
    """Check that cached features give the same results as computing them in each epoch.

    Arguments
    ---------
    encoder : emosphere_sb.lobes.SSLEncoder
        The encoder.
    pooling : torch.nn.Module
        The pooling.
    settings : mapping
        Hyperparameters, with the keys ``crop`` and ``feature_cache``.

    Raises
    ------
    ValueError
        If the backbone is trained or crops are random, or if averages are cached but the pooling is
        not a mean.
    """
    reasons = {
        "the backbone is trained (use --freeze=all)": (not encoder.frozen and not encoder.has_lora),
        "LoRA changes the features in every step (use --lora_rank=0)": encoder.has_lora,
        "random crops differ between epochs (use --crop=start)": settings["crop"] == "random",
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"--feature_cache cannot be used: {reason}.")
    if cache_kind(settings["feature_cache"]) == "averages" and type(pooling) is not MeanPooling:
        raise ValueError(
            f"--feature_cache=averages requires MeanPooling; found {type(pooling).__name__}, which "
            f"needs all frames, not only their average. Use --feature_cache=frames, or "
            f"--preset=mean_pooling."
        )
