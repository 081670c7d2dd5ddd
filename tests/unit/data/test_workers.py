"""Persistent data loader workers use the current epoch."""

import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader

from emosphere_sb.data.dataset import SpeechDataset, collate
from emosphere_sb.lobes import NoTask
from emosphere_sb.scale import Scale


def test_persistent_workers_use_the_crops_of_the_current_epoch(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 16000)
    soundfile.write(tmp_path / "a.wav", noise, 16000)
    row = {"wav": str(tmp_path / "a.wav"), "duration": 1.0, "emotion": ""}
    row |= {"valence": "4.0", "arousal": "4.0", "dominance": "4.0"}
    dataset = SpeechDataset(
        {"a": row}, scale=Scale(1, 7), task=NoTask(), max_seconds=0.1, crop="random"
    )
    loader = DataLoader(dataset, collate_fn=collate, num_workers=1, persistent_workers=True)
    for epoch in (1, 2, 3):
        dataset.epoch.fill_(epoch)
        (batch,) = loader
        assert torch.equal(batch.signals[0], dataset[0]["signal"])
