"""Fixtures for backbones: tiny saved models, random utterances and padded batches."""

import secrets
from functools import partial

import numpy as np
import pytest
import torch


@pytest.fixture
def chance():
    """Random generator with a new seed in each run; the seed is printed if a test fails."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # pytest shows it if a test fails
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def narrow_settings(log_mel_settings):
    """Configuration of a narrow model: ``narrow_settings("whisper", d_model=16)``."""

    def settings(family: str, **changes) -> dict:
        return {"model_type": family, **log_mel_settings[family], **changes}

    return settings


@pytest.fixture
def save(tmp_path, narrow_settings):
    """Function that saves a narrow random model and its extractor with ``save_pretrained``."""
    from transformers import (
        AutoConfig,
        AutoModel,
        SeamlessM4TFeatureExtractor,
        WhisperFeatureExtractor,
    )

    def write(family: str, extractor=None, **changes) -> str:
        folder = tmp_path / f"{family}-{len(list(tmp_path.iterdir()))}"
        config = AutoConfig.for_model(**narrow_settings(family, **changes))
        AutoModel.from_config(config).save_pretrained(folder)
        if extractor is None and family == "whisper":
            extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        (extractor or SeamlessM4TFeatureExtractor()).save_pretrained(folder)
        return str(folder)

    return write


@pytest.fixture
def load():
    """Function that loads a backbone from a folder: ``load(WhisperBackbone, folder)``."""
    from transformers import AutoModel

    from emosphere_sb.backbones.log_mel import load_feature_extractor

    def read(kind, folder: str, **options):
        model = AutoModel.from_pretrained(folder, dtype=torch.float32)
        return kind(model, load_feature_extractor(model, folder), **options).eval()

    return read


@pytest.fixture
def draw(chance):
    """Function that draws utterances of coloured noise, some silent, one of minimum length."""

    def utterance(length: int) -> torch.Tensor:
        noise = torch.randn(length, generator=chance)
        seconds = torch.arange(length) / 16000
        syllables = torch.sin(12 * seconds + torch.rand(1, generator=chance)).abs() ** 3
        signal = 10 ** (-2.5 * torch.rand(1, generator=chance)) * (noise + 0.8 * noise.roll(1))
        signal = signal * syllables
        if length > 4000 and torch.rand(1, generator=chance) < 0.5:
            signal[: length // 4] = 0.0
        return signal.clamp(-1, 1)

    def signals(count: int, shortest: int, longest: int = 32000) -> list[torch.Tensor]:
        more = torch.randint(max(longest - shortest, 1), (count - 1,), generator=chance)
        lengths = (shortest + more).tolist()
        return [utterance(length) for length in [*lengths, shortest]]

    return signals


@pytest.fixture
def in_float64(monkeypatch):
    """Patch SeamlessM4TFeatureExtractor to normalise bands without rounding them to float32."""
    from transformers.audio_utils import spectrogram
    from transformers.models.seamless_m4t import feature_extraction_seamless_m4t as module

    monkeypatch.setattr(module, "spectrogram", partial(spectrogram, dtype=np.float64))


@pytest.fixture
def pad():
    """Function that pads signals with ``filler``, ``extra`` samples longer than the longest."""

    def batch(signals, extra: int = 0, filler: float = 0.0):
        lengths = [len(signal) for signal in signals]
        padded = torch.full((len(signals), max(lengths) + extra), filler)
        for row, signal in enumerate(signals):
            padded[row, : len(signal)] = signal
        return padded, torch.tensor(lengths)

    return batch


@pytest.fixture
def check_invariance(pad, chance):
    """Function that compares each utterance alone with padded and batched runs."""

    def compare(alone, found, tolerance, where):
        assert len(found) >= len(alone)
        difference = float((alone - found[: len(alone)]).abs().max())
        # "not below" rather than "above": NaN must fail.
        assert difference < tolerance, f"{where}: differs by {difference:.2e}"

    @torch.no_grad()
    def check(run, frame_lengths, signals, tolerance):
        alone = []
        for signal in signals:
            batch = pad([signal])
            alone.append(run(*batch)[0][: int(frame_lengths(batch[1])[0])])
        order = torch.randperm(len(signals), generator=chance).tolist()[:3]
        everyone = range(len(signals))
        batches = {
            "all": (everyone, pad(signals)),
            "others": (order, pad([signals[row] for row in order], extra=777)),
            "garbage": (everyone, pad(signals, extra=333, filler=float("nan"))),
        }
        for name, (rows, batch) in batches.items():
            found = run(*batch)
            for place, row in enumerate(rows):
                compare(alone[row], found[place], tolerance, f"utterance {row}, batch {name!r}")

    return check


@pytest.fixture
def halves_its_loss():
    """Function that checks that 20 steps halve the loss of a backbone with a linear head."""

    def train(backbone, batch):
        torch.manual_seed(0)
        head = torch.nn.Linear(backbone.output_size, 3)
        target = torch.randn(len(batch[1]), 3)
        trained = [p for p in [*backbone.parameters(), *head.parameters()] if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=3e-3)
        backbone.train()
        losses = []
        for _ in range(20):
            frames = backbone(*batch)
            pooled = [
                row[:length].mean(0)
                for row, length in zip(frames, backbone.frame_lengths(batch[1]), strict=True)
            ]
            loss = (head(torch.stack(pooled)) - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2, losses
        without = [
            name for name, p in backbone.named_parameters() if p.requires_grad and p.grad is None
        ]
        assert not without, without

    return train
