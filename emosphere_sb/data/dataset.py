"""Datasets and data loaders. A training item is one process's share of an optimiser step."""

from __future__ import annotations

import hashlib
import math
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor
from torch.utils.data import DataLoader

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import DURATION_TOLERANCE, SAMPLE_RATE, read_audio
from emosphere_sb.data.batching import batches_by_length
from emosphere_sb.data.feature_cache import FeatureCache
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.distributed import rank, world_size
from emosphere_sb.scale import DIMENSIONS, Scale

CROPS = ("start", "random")
FRAME_RATE = 50  # frames per second, for nearly all speech models


@dataclass
class Batch:
    """Padded batch of utterances.

    Attributes
    ----------
    ids : list of str
        Ids of the utterances.
    signals : torch.Tensor
        Waveforms (batch, samples) at 16 kHz, zero in padding; or, if ``cached``, hidden states of a
        backbone (batch, frames, layers, size), or their averages over time (batch, layers, size).
    lengths : torch.Tensor
        Number of valid samples (or frames, if ``cached``; 1 for averages) of each utterance, shape
        (batch,).
    vad : torch.Tensor
        Valence, arousal and dominance in [-1, 1], NaN where unknown, shape (batch, 3).
    target : torch.Tensor
        Class of the auxiliary task, -1 where unknown, shape (batch,).
    cached : bool
        Whether ``signals`` are hidden states.
    missing : dict
        Ids of the utterances omitted because their audio could not be read, with the reasons.
    """

    ids: list[str]
    signals: Tensor
    lengths: Tensor
    vad: Tensor
    target: Tensor
    cached: bool = False
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Duration of the longest utterance in seconds."""
        return int(self.lengths.max()) / (FRAME_RATE if self.cached else SAMPLE_RATE)

    def to(self, device: torch.device | str) -> Batch:
        """Return a copy on another device."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return a copy in pinned memory; called by a ``DataLoader`` with ``pin_memory=True``."""
        return self._each(lambda value: value.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values = (getattr(self, part.name) for part in fields(self))
        return Batch(*(change(v) if isinstance(v, Tensor) else v for v in values))


def collate(items: Sequence[Mapping]) -> Batch:
    """Collate items of a dataset into one padded batch."""
    missing = {item["id"]: item["missing"] for item in items if "missing" in item}
    items = [item for item in items if "missing" not in item]
    if not items:
        none = torch.zeros(0, dtype=torch.long)
        return Batch([], torch.zeros(0, 0), none, torch.zeros(0, 3), none, missing=missing)
    signals = [item["signal"] for item in items]
    return Batch(
        ids=[item["id"] for item in items],
        signals=torch.nn.utils.rnn.pad_sequence(signals, batch_first=True),
        # Signals have one dimension, averages over time two, and frames three.
        lengths=torch.tensor([1 if signal.dim() == 2 else len(signal) for signal in signals]),
        vad=torch.stack([item["vad"] for item in items]).float(),
        target=torch.tensor([item["target"] for item in items]),
        cached=signals[0].dim() > 1,
        missing=missing,
    )


class CollateStep:
    """Function object that collates the items of one optimiser step into padded micro-batches.

    Arguments
    ---------
    micro_batch : int
        Number of utterances per micro-batch.

    Raises
    ------
    ValueError
        If ``micro_batch`` is less than 1.
    """

    def __init__(self, micro_batch: int):
        # A negative step of `range` would give no micro-batches, and nothing would be trained.
        if micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1 utterance; found {micro_batch}.")
        self.micro_batch = micro_batch

    def __call__(self, items: Sequence[Mapping]) -> list[Batch]:
        cuts = range(0, len(items), self.micro_batch)
        return [collate(items[cut : cut + self.micro_batch]) for cut in cuts]


def normalised_vad(row: Mapping, scale: Scale) -> Tensor:
    """Return the VAD labels of a manifest row in [-1, 1], float64, shape (3,), NaN if unknown."""
    raw = [float(row[name]) if row[name] != "" else math.nan for name in DIMENSIONS]
    return torch.from_numpy(scale.normalise(raw))


class SpeechDataset(DynamicItemDataset):
    """Utterances of a manifest with their signal, VAD labels and auxiliary target.

    Arguments
    ---------
    rows : dict
        Manifest rows by utterance id, as returned by ``data_prep.manifest.read_manifest_rows``.
    scale : Scale
        Label scale of the corpus.
    task : emosphere_sb.lobes.tasks.AuxiliaryTask
        Auxiliary task, whose ``target(vad, emotion)`` returns a class or -1.
    max_seconds : float, optional
        Maximum duration in seconds; longer utterances are cropped. (default: no limit)
    crop : str
        Part of a long utterance that is used: ``start`` (as in the paper) or ``random``. Random
        crops depend only on the seed, epoch and utterance; workers and restarts do not affect them.
    seed : int
        Seed for random crops.
    channel : str
        Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``.

    Raises
    ------
    ValueError
        If ``crop`` is invalid or ``max_seconds`` is not positive.
    """

    def __init__(
        self,
        rows: Mapping[str, Mapping],
        *,
        scale: Scale,
        task,
        max_seconds: float | None = None,
        crop: str = "start",
        seed: int = 0,
        channel: str = "mix",
    ):
        if crop not in CROPS:
            raise ValueError(f"crop must be one of {', '.join(CROPS)}; found {crop!r}.")
        if max_seconds is not None and not max_seconds > 0:
            raise ValueError(
                f"max_seconds must be greater than 0, or null for no limit; found {max_seconds}."
            )
        check_channel(channel)
        super().__init__(dict(rows))
        self.scale, self.task, self.max_seconds, self.crop = scale, task, max_seconds, crop
        self.seed, self.cache, self.channel = seed, None, channel
        # In shared memory, so that persistent workers see the current epoch.
        self.epoch = torch.zeros(1, dtype=torch.long).share_memory_()
        self.add_dynamic_item(self._signal, takes=["id", "wav", "duration"], provides="signal")
        self.add_dynamic_item(self._labels, takes=["id"], provides="vad")
        self.add_dynamic_item(self._target, takes=["vad", "emotion"], provides="target")
        self.set_output_keys(["id", "signal", "vad", "target"])

    def __getitem__(self, index: int) -> dict:
        """Return id, signal, VAD and target; for unreadable audio, id and ``missing`` (reason)."""
        try:
            return super().__getitem__(index)
        except AudioError as error:
            return {"id": self.data_ids[index], "missing": str(error)}

    @property
    def durations(self) -> list[float]:
        """Duration of each utterance in seconds after cropping, in the order of the dataset."""
        limit = math.inf if self.max_seconds is None else self.max_seconds
        return [min(self.data[i]["duration"], limit) for i in self.data_ids]

    def targets(self) -> Tensor:
        """Return the auxiliary class of each utterance (utterances,) without reading audio."""
        return self.task.targets(self.labels(), self.emotions)

    def labels(self) -> Tensor:
        """Return the VAD labels (utterances, 3), float64, NaN where unknown, without reading audio.

        The values are in [-1, 1].
        """
        rows = (self.data[utterance] for utterance in self.data_ids)
        numbers = (float(row[name] or "nan") for row in rows for name in DIMENSIONS)
        raw = np.fromiter(numbers, np.float64, count=len(DIMENSIONS) * len(self.data_ids))
        return torch.from_numpy(self.scale.normalise(raw.reshape(-1, len(DIMENSIONS))))

    def _labels(self, utterance: str) -> Tensor:
        return normalised_vad(self.data[utterance], self.scale)

    def _target(self, vad: Tensor, emotion: str) -> int:
        return self.task.target(vad, emotion)

    @property
    def emotions(self) -> list[str]:
        """Emotion of each utterance, in the order of the dataset; empty if unknown."""
        return [self.data[utterance]["emotion"] for utterance in self.data_ids]

    @property
    def audio(self) -> dict[str, str]:
        """Path of the audio file of each utterance, by id."""
        return {name: self.data[name]["wav"] for name in self.data_ids}

    def read_from(self, cache: FeatureCache) -> None:
        """Return hidden states from a cache instead of waveforms from now on."""
        self.cache = cache

    def _signal(self, utterance: str, wav: str, duration: float) -> Tensor:
        if self.cache is not None:
            return self.cache[utterance]
        start = self._start(utterance, duration)
        check_audio(wav)
        signal = torch.from_numpy(
            read_audio(wav, start=start, seconds=self.max_seconds, channel=self.channel)
        )
        expected = min(duration - start, self.max_seconds or math.inf)
        if len(signal) < (expected - DURATION_TOLERANCE) * SAMPLE_RATE:
            raise AudioError(
                f"audio file has changed: it ends after {len(signal) / SAMPLE_RATE:.2f} s; the "
                f"manifest lists {expected:.2f} s",
                wav,
            )
        if not bool(signal.isfinite().all()):
            raise AudioError("non-finite samples: NaN or infinity", wav)
        return signal

    def _start(self, utterance: str, duration: float) -> float:
        spare = duration - (self.max_seconds or math.inf)
        if self.crop == "start" or spare <= 0:
            return 0.0
        key = f"{self.seed}/{int(self.epoch)}/{utterance}".encode()
        return random.Random(hashlib.sha256(key).digest()).uniform(0.0, spare)


def ignore_signals(_worker: int) -> None:
    """Ignore SIGTERM and Ctrl-C in a data loader worker; the main process handles them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def train_loader(
    dataset: SpeechDataset,
    sampler: PooledBatchSampler,
    *,
    micro_batch: int,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """Create a training loader; each item is the list of micro-batches of one step.

    Arguments
    ---------
    dataset : SpeechDataset
        Training set.
    sampler : PooledBatchSampler
        Sampler of effective batches.
    micro_batch : int
        Number of utterances per micro-batch.
    num_workers : int
        Number of worker processes.
    pin_memory : bool
        Whether to copy batches to pinned memory.
    """
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=CollateStep(micro_batch),
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=ignore_signals,
    )


def eval_loader(
    dataset: SpeechDataset,
    *,
    batch_size: int,
    num_workers: int = 0,
    pin_memory: bool = False,
    shared: bool = True,
    items: Sequence[int] | None = None,
) -> DataLoader:
    """Create an evaluation loader that returns batches in descending order of duration.

    This order requires little padding, and a batch that does not fit into memory fails immediately.

    Arguments
    ---------
    dataset : SpeechDataset
        Set to evaluate.
    batch_size : int
        Number of utterances per batch.
    num_workers : int
        Number of worker processes.
    pin_memory : bool
        Whether to copy batches to pinned memory.
    shared : bool
        Whether to split the batches between the processes of a distributed run.
    items : sequence of int, optional
        Indices of the utterances to use. (default: all)
    """
    durations = dataset.durations
    items = range(len(durations)) if items is None else items
    batches = batches_by_length([durations[item] for item in items], batch_size)
    batches = [[items[position] for position in batch] for batch in batches]
    return DataLoader(
        dataset,
        batch_sampler=batches[rank() :: world_size()] if shared else batches,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=ignore_signals,
    )


def longest_batch(dataset: SpeechDataset, size: int) -> Batch:
    """Return the batch of the ``size`` longest utterances, which needs the most memory."""
    order = batches_by_length(dataset.durations, size)[0]
    return collate([dataset[i] for i in order])


__all__ = [
    "SAMPLE_RATE",
    "Batch",
    "CollateStep",
    "SpeechDataset",
    "collate",
    "eval_loader",
    "longest_batch",
    "normalised_vad",
    "train_loader",
]
