"""Training on cached features of a frozen backbone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.data.dataset import Batch, SpeechDataset, eval_loader
from emosphere_sb.data.feature_cache import FeatureCache
from emosphere_sb.fileio.lock import file_lock
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.optimisation import memory_advice
from emosphere_sb.training.preemption import StoppedError
from emosphere_sb.training.trained_weights import digest_of_tensors

# Settings that change the features of a backbone, in addition to its weights and configuration.
FEATURE_SETTINGS = ("max_seconds", "layers")


def use_cached_features(
    brain: EmoSphereBrain, hparams: dict, sets: Mapping[str, SpeechDataset], root: Path
) -> None:
    """Make all data sets return cached features instead of waveforms; compute missing caches.

    Arguments
    ---------
    brain : EmoSphereBrain
        Brain with a frozen encoder.
    hparams : dict
        Hyperparameters.
    sets : mapping of str to SpeechDataset
        Sets by name.
    root : path
        Folder that contains the caches of all backbones.
    """
    settings = {key: hparams[key] for key in FEATURE_SETTINGS}
    settings["waveform"] = hparams["normaliser"].settings()
    # Features are computed in eval_precision.
    settings |= {"precision": brain.precision, "eval_precision": brain.eval_precision}
    folder = cache_folder(root, brain.modules.encoder, settings)
    for name, dataset in sets.items():
        cache = FeatureCache(folder, name, dataset.audio, hparams["feature_cache_precision"])
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / f"{name}.lock", timeout=-1):  # waits for other runs
            if not cache.open():
                fill_cache(cache, brain, dataset, hparams)
                cache.open()
        dataset.read_from(cache)


def fill_cache(
    cache: FeatureCache, brain: EmoSphereBrain, dataset: SpeechDataset, hparams: dict
) -> None:
    """Compute the features of a set and write them to its cache.

    Raises
    ------
    OSError
        If there is not enough disk space.
    StoppedError
        If a request to stop was received.
    ValueError
        If audio could not be read.
    """
    encoder = brain.modules.encoder
    samples = torch.tensor([int(seconds * SAMPLE_RATE) for seconds in dataset.durations])
    frames = int(encoder.frame_lengths(samples).clamp(min=0).sum())
    cache.reserve(cache.bytes_for(frames, encoder.states.count, encoder.backbone.output_size))
    workers = {"num_workers": hparams["num_workers"]}
    loader = eval_loader(dataset, batch_size=hparams["eval_batch"], shared=False, **workers)
    brain.modules.eval()
    with cache.writer() as writer:
        for batch in tqdm(loader, disable=brain.noprogressbar, desc=f"Features of {cache.name}"):
            if brain.stop.received:
                raise StoppedError
            if batch.missing:
                raise ValueError("; ".join(batch.missing.values()))
            states, lengths = hidden_states(brain, batch)
            for row, (name, length) in enumerate(zip(batch.ids, lengths.tolist(), strict=True)):
                writer.add(name, states[row, :, :length].transpose(0, 1))


def hidden_states(brain: EmoSphereBrain, batch: Batch) -> tuple[Tensor, Tensor]:
    """Compute the hidden states of a batch as in evaluation; see ``SSLEncoder.hidden_states``."""
    with torch.no_grad(), brain.evaluation_ctx, memory_advice([batch], "eval_batch"):
        batch = batch.to(brain.device)
        signals = brain.modules.normaliser(batch.signals, batch.lengths)
        return brain.modules.encoder.hidden_states(signals, batch.lengths)


def cache_folder(root: Path, encoder: nn.Module, settings: Mapping) -> Path:
    """Return the cache folder, named after a digest of weights, configuration and settings.

    Arguments
    ---------
    root : path
        Folder that contains the caches of all backbones.
    encoder : emosphere_sb.lobes.SSLEncoder
        Encoder with a frozen backbone.
    settings : mapping
        JSON-serialisable settings that change the features.
    """
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True, default=str).encode())
    digest.update(encoder.model.config.to_json_string().encode())
    digest.update(type(encoder.backbone).__name__.encode())
    log_mel = getattr(encoder.backbone, "log_mel", None)
    digest.update(b"" if log_mel is None else log_mel.settings.encode())
    digest.update(digest_of_tensors(encoder.model.state_dict()).encode())
    return Path(root) / digest.hexdigest()[:16]


def check_constant_features(encoder: nn.Module, settings: Mapping) -> None:
    """Check that the features are the same in all epochs, so that they can be cached.

    Arguments
    ---------
    encoder : emosphere_sb.lobes.SSLEncoder
        The encoder.
    settings : mapping
        Hyperparameters, with the key ``crop``.

    Raises
    ------
    ValueError
        If the backbone is trained or crops are random.
    """
    reasons = {
        "the backbone is trained (use --freeze=all)": (not encoder.frozen and not encoder.has_lora),
        "LoRA changes the features in every step (use --lora_rank=0)": encoder.has_lora,
        "random crops differ between epochs (use --crop=start)": settings["crop"] == "random",
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"--feature_cache cannot be used: {reason}.")
