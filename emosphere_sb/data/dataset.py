"""Manifests to datasets and loaders: one loader item is one optimiser step's share of a process."""

from __future__ import annotations

import hashlib
import math
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor
from torch.utils.data import DataLoader

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import SAMPLE_RATE, TOLERANCE, read_audio
from emosphere_sb.data.batching import by_length
from emosphere_sb.data.feature_cache import FeatureCache
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.distributed import rank, world_size
from emosphere_sb.scale import DIMENSIONS, Scale

CROPS = ("start", "random")
FRAME_RATE = 50  # frames in a second of nearly all speech models


@dataclass
class Batch:
    """Utterances that run through the model together.

    ``signals`` (batch, samples) zeros behind each end; ``lengths`` (batch,) valid samples; or, if
    ``cached``, a backbone's states (batch, frames, layers, size) and valid frames; ``vad``
    (batch, 3) in [-1, 1], NaN where unknown; ``target`` (batch,) class of the auxiliary task, -1
    where unknown; ``missing`` says by id why an utterance is not among them.
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
        """Length of the longest utterance."""
        return int(self.lengths.max()) / (FRAME_RATE if self.cached else SAMPLE_RATE)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same in pinned memory: the loader calls this when a GPU waits."""
        return self._each(lambda value: value.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values = (getattr(self, part.name) for part in fields(self))
        return Batch(*(change(v) if isinstance(v, Tensor) else v for v in values))


def collate(items: Sequence[Mapping]) -> Batch:
    """Pad the items of a dataset to one batch."""
    missing = {item["id"]: item["missing"] for item in items if "missing" in item}
    items = [item for item in items if "missing" not in item]
    if not items:
        none = torch.zeros(0, dtype=torch.long)
        return Batch([], torch.zeros(0, 0), none, torch.zeros(0, 3), none, missing=missing)
    signals = [item["signal"] for item in items]
    return Batch(
        ids=[item["id"] for item in items],
        signals=torch.nn.utils.rnn.pad_sequence(signals, batch_first=True),
        lengths=torch.tensor([len(signal) for signal in signals]),
        vad=torch.stack([item["vad"] for item in items]).float(),
        target=torch.tensor([item["target"] for item in items]),
        cached=signals[0].dim() > 1,
        missing=missing,
    )


class CollateStep:
    """Cut a step's share into micro-batches and pad each by itself."""

    def __init__(self, micro_batch: int):
        # A negative step would cut nothing, and a run would train on nothing.
        if micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1 utterance; found {micro_batch}.")
        self.micro_batch = micro_batch

    def __call__(self, items: Sequence[Mapping]) -> list[Batch]:
        cuts = range(0, len(items), self.micro_batch)
        return [collate(items[cut : cut + self.micro_batch]) for cut in cuts]


def vad_of(row: Mapping, scale: Scale) -> Tensor:
    """A row's labels on [-1, 1] in float64, (3,), NaN where unknown."""
    raw = [float(row[name]) if row[name] != "" else math.nan for name in DIMENSIONS]
    return torch.from_numpy(scale.normalise(raw))


class SpeechDataset(DynamicItemDataset):
    """Utterances of a manifest with their signal, VAD and auxiliary target.

    Arguments
    ---------
    rows : dict
        Id to row, as ``data_prep.manifest.read_rows`` gives them.
    scale : Scale
        The corpus's label scale.
    task : object
        The auxiliary task: its ``target(vad, emotion)`` gives a class or -1.
    max_seconds : float, optional
        Longer utterances are cut to this; ``None`` keeps them whole.
    crop : str
        Which part remains: ``start`` (published), or ``random``, drawn anew in each epoch from
        (seed, epoch, utterance), so that neither workers nor a restart change it.
    seed : int
        For random crops.

    Raises
    ------
    ValueError
        If ``crop`` is not one of the two, or nothing would remain of an utterance.
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
    ):
        if crop not in CROPS:
            raise ValueError(f"crop must be one of {', '.join(CROPS)}; found {crop!r}.")
        if max_seconds is not None and not max_seconds > 0:
            raise ValueError(
                f"max_seconds must be above 0, or null (no cut at all); found {max_seconds}."
            )
        super().__init__(dict(rows))
        self.scale, self.task, self.max_seconds, self.crop = scale, task, max_seconds, crop
        self.seed, self.cache = seed, None
        # Shared, so that workers that outlive an epoch see the next one.
        self.epoch = torch.zeros(1, dtype=torch.long).share_memory_()
        self.add_dynamic_item(self._signal, takes=["id", "wav", "duration"], provides="signal")
        self.add_dynamic_item(self._labels, takes=["id"], provides="vad")
        self.add_dynamic_item(self._target, takes=["vad", "emotion"], provides="target")
        self.set_output_keys(["id", "signal", "vad", "target"])

    def __getitem__(self, index: int) -> dict:
        """An utterance's id, signal, VAD and target, or its id and why its audio is ``missing``."""
        try:
            return super().__getitem__(index)
        except AudioError as error:
            return {"id": self.data_ids[index], "missing": str(error)}

    @property
    def durations(self) -> list[float]:
        """Seconds of each utterance, in the dataset's order, after the cut."""
        limit = math.inf if self.max_seconds is None else self.max_seconds
        return [min(self.data[i]["duration"], limit) for i in self.data_ids]

    def targets(self) -> Tensor:
        """Auxiliary class of each utterance, (utterances,), read without audio."""
        with self.output_keys_as(["target"]):
            return torch.tensor([item["target"] for item in self])

    def _labels(self, utterance: str) -> Tensor:
        return vad_of(self.data[utterance], self.scale)

    def _target(self, vad: Tensor, emotion: str) -> int:
        return self.task.target(vad, emotion)

    @property
    def audio(self) -> dict[str, str]:
        """The audio file of each utterance."""
        return {name: self.data[name]["wav"] for name in self.data_ids}

    def read_from(self, cache: FeatureCache) -> None:
        """From now on give a backbone's states in place of the waveform."""
        self.cache = cache

    def _signal(self, utterance: str, wav: str, duration: float) -> Tensor:
        if self.cache is not None:
            return self.cache[utterance]
        start = self._start(utterance, duration)
        signal = read_audio(wav, start=start, seconds=self.max_seconds)
        expected = min(duration - start, self.max_seconds or math.inf)
        if len(signal) < (expected - TOLERANCE) * SAMPLE_RATE:
            raise AudioError(
                f"Audio file {wav} ends after {len(signal) / SAMPLE_RATE:.2f} s; when it was "
                f"prepared there were {expected:.2f}."
            )
        if not bool(signal.isfinite().all()):
            raise AudioError(f"Audio file {wav} holds samples that are not finite numbers.")
        return signal

    def _start(self, utterance: str, duration: float) -> float:
        spare = duration - (self.max_seconds or math.inf)
        if self.crop == "start" or spare <= 0:
            return 0.0
        key = f"{self.seed}/{int(self.epoch)}/{utterance}".encode()
        return random.Random(hashlib.sha256(key).digest()).uniform(0.0, spare)


def ignore_sigterm(_worker: int) -> None:
    """Ignore SIGTERM in a loader's worker: a cluster sends it to all, and the run decides."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def train_loader(
    dataset: SpeechDataset,
    sampler: PooledBatchSampler,
    *,
    micro_batch: int,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """A loader whose items are steps: lists of micro-batches."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=CollateStep(micro_batch),
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=ignore_sigterm,
    )


def eval_loader(
    dataset: SpeechDataset,
    *,
    batch_size: int,
    num_workers: int = 0,
    pin_memory: bool = False,
    shared: bool = True,
) -> DataLoader:
    """A set, longest first: little padding, a lack of memory shows early.

    ``shared``: only this process's part of its batches.
    """
    batches = by_length(dataset.durations, batch_size)
    return DataLoader(
        dataset,
        batch_sampler=batches[rank() :: world_size()] if shared else batches,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=ignore_sigterm,
    )


def longest_batch(dataset: SpeechDataset, size: int) -> Batch:
    """The batch that needs the most memory: the longest utterances, padded to the longest cut."""
    order = by_length(dataset.durations, size)[0]
    return collate([dataset[i] for i in order])


def corpus_statistics(rows: Mapping[str, Mapping], *, workers: int = 2) -> tuple[float, float]:
    """Mean and population deviation over the samples of whole files, in one streamed float64 pass.

    Memory does not grow with the corpus: each file is read, summed, and forgotten.

    Raises
    ------
    ValueError
        If there is no utterance.
    AudioError
        If a file cannot be read, or holds samples that are not finite.
    """
    from concurrent.futures import ThreadPoolExecutor

    if not rows:
        raise ValueError("Statistics of the waveform need at least one utterance; found none.")
    count, mean, squares = 0, 0.0, 0.0
    with ThreadPoolExecutor(workers) as pool:
        paths = [row["wav"] for row in rows.values()]
        for first in range(0, len(paths), 1024):  # so that a large corpus queues no futures
            for n, m, s in pool.map(_moments, paths[first : first + 1024]):
                # Chan et al.: two sets' moments joined without losing digits.
                delta, total = m - mean, count + n
                squares += s + delta * delta * count * n / total
                mean += delta * n / total
                count = total
    return mean, math.sqrt(squares / count)


def _moments(path: str) -> tuple[int, float, float]:
    signal = read_audio(path).double()
    if not bool(signal.isfinite().all()):  # one such sample would make every utterance NaN
        raise AudioError(
            f"Audio file {path} holds samples that are not finite numbers. Mend it, or take it out "
            f"of the labels and run the preparation again with --reuse_manifests=False."
        )
    mean = float(signal.mean())
    return len(signal), mean, float((signal - mean).square().sum())


__all__ = [
    "SAMPLE_RATE",
    "Batch",
    "CollateStep",
    "SpeechDataset",
    "collate",
    "corpus_statistics",
    "eval_loader",
    "longest_batch",
    "train_loader",
    "vad_of",
]
