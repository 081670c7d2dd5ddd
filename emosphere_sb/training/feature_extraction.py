"""Training on features that a frozen backbone gave once: when that is allowed, and how."""

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

# Settings that change a backbone's features, beside its weights and its configuration.
KEYS = ("max_seconds", "layers")


def read_features(
    brain: EmoSphereBrain, hparams: dict, sets: Mapping[str, SpeechDataset], root: Path
) -> None:
    """Let all sets be read from features below ``root``, computed first where there are none."""
    facts = {**{key: hparams[key] for key in KEYS}, "waveform": hparams["normaliser"].facts()}
    # They are computed in eval_precision.
    facts |= {"precision": brain.precision, "eval_precision": brain.eval_precision}
    folder = cache_folder(root, brain.modules.encoder, facts)
    for name, dataset in sets.items():
        cache = FeatureCache(folder, name, dataset.audio, hparams["feature_cache_precision"])
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / f"{name}.lock", timeout=-1):  # another run may fill it: wait for it
            if not cache.open():
                fill(cache, brain, dataset, hparams)
                cache.open()
        dataset.read_from(cache)


def fill(cache: FeatureCache, brain: EmoSphereBrain, dataset: SpeechDataset, hparams: dict) -> None:
    """Run the backbone over a set, once."""
    encoder = brain.modules.encoder
    samples = torch.tensor([int(seconds * SAMPLE_RATE) for seconds in dataset.durations])
    frames = int(encoder.frame_lengths(samples).clamp(min=0).sum())
    cache.reserve(cache.bytes_for(frames, encoder.states.count, encoder.output_size))
    workers = {"num_workers": hparams["num_workers"]}
    loader = eval_loader(dataset, batch_size=hparams["eval_batch"], shared=False, **workers)
    brain.modules.eval()
    with cache.writer() as writer:
        for batch in tqdm(loader, disable=brain.noprogressbar, desc=f"features of {cache.name}"):
            if brain.stop.came:
                raise StoppedError
            if batch.missing:
                raise ValueError("; ".join(batch.missing.values()))
            states, lengths = hidden_states(brain, batch)
            for row, (name, length) in enumerate(zip(batch.ids, lengths.tolist(), strict=True)):
                writer.add(name, states[row, :, :length].transpose(0, 1))


def hidden_states(brain: EmoSphereBrain, batch: Batch) -> tuple[Tensor, Tensor]:
    """The backbone's states and their valid frames, as evaluation computes them."""
    with torch.no_grad(), brain.evaluation_ctx, memory_advice([batch], "eval_batch"):
        batch = batch.to(brain.device)
        signals = brain.modules.normaliser(batch.signals, batch.lengths)
        return brain.modules.encoder.hidden_states(signals, batch.lengths)


def cache_folder(root: Path, encoder: nn.Module, settings: Mapping) -> Path:
    """The folder of a backbone with its weights and of all settings that change its features."""
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True, default=str).encode())
    digest.update(encoder.model.config.to_json_string().encode())
    digest.update(type(encoder.backbone).__name__.encode())
    log_mel = getattr(encoder.backbone, "log_mel", None)
    digest.update(b"" if log_mel is None else log_mel.settings.encode())
    digest.update(digest_of_tensors(encoder.model.state_dict()).encode())
    return Path(root) / digest.hexdigest()[:16]


def refuse_changing(encoder: nn.Module, settings: Mapping) -> None:
    """Refuse a cache where the features are not the same in every epoch.

    Raises
    ------
    ValueError
        With the reason.
    """
    reasons = {
        "the backbone is trained (only --freeze=all keeps its features as they are)": (
            not encoder.frozen and not encoder.has_lora
        ),
        "LoRA changes the features with every step": encoder.has_lora,
        "random crops are other audio in each epoch (take --crop=start)": (
            settings["crop"] == "random"
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"--feature_cache cannot be used: {reason}.")
