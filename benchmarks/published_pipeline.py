"""Reimplementation of the published pipeline as the baseline of the throughput benchmark.

Like the official code, it uses WavLM from transformers, with its attention and an attention mask,
and freezes the convolutions with ``freeze_feature_encoder``. It decodes all audio into memory,
normalises it with statistics of the corpus, draws random batches padded to the longest utterance,
trains with AdamW, and evaluates one utterance at a time. It uses float32 on a CPU, and fp16
autocast with a gradient scaler on a GPU. Pooling, heads and losses are those of this project, so
both implementations in the benchmark have the same weights. Do not optimise this file: it is the
reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from transformers import WavLMModel

from emosphere_sb.lobes import EmotionHead, StylePooling, VADHead
from emosphere_sb.losses import ccc_loss, inverse_frequency, region_loss
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

BATCH = 16  # utterances per batch, as in the paper
SECONDS = 12.0  # maximum duration of an utterance, as in the paper
RATE = 16000
LEARNING_RATE = 1e-5  # as in the paper
EPSILON = 1e-6  # added to the standard deviation, as in the official code


class PublishedModel(nn.Module):
    """Model of the paper: WavLM, style pooling, and two heads.

    Arguments
    ---------
    ssl : WavLMModel
        WavLM from transformers. The model freezes its convolutional feature encoder.
    width : int
        Width of the pooling layer and the heads; 1024 in the paper.
    pooling_dropout : float
        Dropout probability in the pooling layer; 0.1 in the paper.
    head_dropout : float
        Dropout probability in the heads; 0.5 in the paper.
    """

    def __init__(
        self,
        ssl: WavLMModel,
        *,
        width: int = 1024,
        pooling_dropout: float = 0.1,
        head_dropout: float = 0.5,
    ):
        super().__init__()
        self.ssl = ssl
        self.ssl.freeze_feature_encoder()
        self.regions = SphericalRegions(90)
        self.pooling = StylePooling(ssl.config.hidden_size, width, dropout=pooling_dropout)
        self.vad_head = VADHead(width, width, head_dropout)
        self.region_head = EmotionHead(width, len(self.regions.names), width, head_dropout)

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return VAD and region scores.

        Arguments
        ---------
        signals : torch.Tensor
            Padded waveforms, shape (batch, samples).
        lengths : torch.Tensor
            Number of valid samples, shape (batch,).
        """
        positions = torch.arange(signals.shape[1], device=signals.device)
        mask = (positions < lengths.unsqueeze(1)).long()
        frames = self.ssl(signals, attention_mask=mask).last_hidden_state
        # The number of frames is computed as in transformers. It is off by one in the official
        # code, which changes the predictions but does not affect the speed.
        utterance = self.pooling(frames, self.ssl._get_feat_extract_output_lengths(lengths))
        return self.vad_head(utterance), self.region_head(utterance)


class PublishedPipeline:
    """Pipeline that trains and evaluates a ``PublishedModel`` on rows of a manifest."""

    def __init__(self, model: PublishedModel, *, device: str, scale: Scale, batch: int = BATCH):
        self.model, self.device, self.scale = model.to(device), device, scale
        self.batch = batch
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
        self.half = device == "cuda"
        self.scaler = torch.amp.GradScaler(device, enabled=self.half)
        self.items: list[dict] = []
        self.evaluated: list[dict] = []
        self.weights = torch.ones(len(model.regions.names))

    def load(self, rows: Mapping[str, Mapping], evaluated: int) -> None:
        """Decode all files into memory, and compute statistics and class weights.

        The first ``evaluated`` rows are the evaluation set.
        """
        signals = [decode(row["wav"]) for row in rows.values()]
        mean, deviation = statistics(signals)
        self.items = []
        for (name, row), signal in zip(rows.items(), signals, strict=True):
            vad = self.scale.normalise([float(row[dimension]) for dimension in DIMENSIONS])
            vad = torch.from_numpy(vad)
            signal -= mean
            signal /= deviation + EPSILON
            region = int(self.model.regions.assign(vad))
            item = {"signal": torch.from_numpy(signal), "vad": vad.float(), "region": region}
            self.items.append({"id": name, **item})
        self.evaluated = self.items[:evaluated]
        regions = torch.tensor([item["region"] for item in self.items])
        counts = torch.bincount(regions, minlength=len(self.weights))
        self.weights = inverse_frequency(counts).to(self.device)
        self.batches = self._epochs()

    def _epochs(self) -> Iterator[tuple]:
        """Yield random batches of successive epochs."""
        for epoch in itertools.count():
            generator = torch.Generator().manual_seed(epoch)
            yield from DataLoader(
                self.items,
                batch_size=self.batch,
                shuffle=True,
                generator=generator,
                collate_fn=collate,
            )

    def train(self, steps: int) -> tuple[list[str], list[float]]:
        """Run the next training steps and return the utterance IDs and the losses."""
        self.model.train()
        names, losses = [], []
        for ids, *batch in itertools.islice(self.batches, steps):
            losses.append(self._step(*batch))
            names += ids
        return names, torch.stack(losses).tolist()

    def warm_up(self, count: int) -> None:
        """Run one training step on the ``count`` longest utterances."""
        self.model.train()
        longest = sorted(self.items, key=lambda item: len(item["signal"]))[-count:]
        self._step(*collate(longest)[1:])

    def _step(self, signals: Tensor, lengths: Tensor, vad: Tensor, regions: Tensor) -> Tensor:
        vad, regions = vad.to(self.device), regions.to(self.device)
        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.float16, enabled=self.half):
            predicted, scores = self.model(signals.to(self.device), lengths.to(self.device))
        loss = ccc_loss(predicted, vad) + region_loss(scores, regions, self.weights)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    @torch.no_grad()
    def evaluate(self) -> dict[str, list[float]]:
        """Predict VAD for each utterance of the evaluation set, one at a time."""
        self.model.eval()
        predictions = []
        for item in self.evaluated:
            _, signals, lengths, _, _ = collate([item])
            with torch.autocast(self.device, torch.float16, enabled=self.half):
                vad, _ = self.model(signals.to(self.device), lengths.to(self.device))
            predictions.append(vad)
        vad = torch.cat(predictions).tolist()
        return {item["id"]: row for item, row in zip(self.evaluated, vad, strict=True)}


def decode(path: str) -> np.ndarray:
    """Read the first 12 s of a mono file as float32."""
    samples, rate = soundfile.read(path, frames=round(SECONDS * RATE), dtype="float32")
    if rate != RATE or samples.ndim != 1:
        raise ValueError(
            f"{path} must be a mono file with a sampling rate of {RATE} Hz; found {rate} Hz and an "
            f"array of shape {samples.shape}. Convert the file."
        )
    return samples


def statistics(signals: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the mean and the population SD of all samples."""
    count = sum(map(len, signals))
    mean = sum(float(signal.sum(dtype=np.float64)) for signal in signals) / count
    squares = sum(float(np.square(signal.astype(np.float64) - mean).sum()) for signal in signals)
    return mean, (squares / count) ** 0.5


def collate(items: Sequence[Mapping]) -> tuple[list[str], Tensor, Tensor, Tensor, Tensor]:
    """Combine utterances into a batch of IDs, padded signals, lengths, VAD and regions."""
    signals = [item["signal"] for item in items]
    return (
        [item["id"] for item in items],
        pad_sequence(signals, batch_first=True),
        torch.tensor([len(signal) for signal in signals]),
        torch.stack([item["vad"] for item in items]),
        torch.tensor([item["region"] for item in items]),
    )
