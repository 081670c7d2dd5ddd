"""A released model and its export: made once, because that takes long. Tests only read them."""

import contextlib
import csv
import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch import nn

from emosphere_sb import cli
from tests.helpers.onnx_models import random_model, short_settings, write_model

LABELS = [(1.0, 2.0, 3.0), (4.0, 4.5, 2.0), (6.0, 5.0, 7.0)]


@dataclass(frozen=True)
class Exported:
    """A model, and the folder with its released and exported form."""

    model: nn.Module
    folder: Path

    @property
    def printed(self) -> str:
        """What the export printed."""
        return (self.folder / "printed.txt").read_text(encoding="utf-8")

    @property
    def released(self) -> Path:
        """Folder of the released model."""
        return self.folder / "model"

    @property
    def out(self) -> Path:
        """Folder of the exported model."""
        return self.folder / "out"

    @property
    def labels(self) -> Path:
        """CSV file of labels."""
        return self.folder / "labels.csv"


@pytest.fixture(scope="session")
def exported(shared_folder, tmp_path_factory, waveform_settings):
    """A WavLM with style pooling and a class head, exported by the command with int8."""
    settings = short_settings(waveform_settings, "wavlm")
    folder = shared_folder("exported", partial(write_exported, settings))
    model, _ = random_model(settings, tmp_path_factory.mktemp("wavlm") / "model.json")
    return Exported(model, folder)


def write_exported(settings, folder):
    """Write a released model, files with labels, the exported model, and what that printed."""
    write_model(folder / "model", settings)
    with open(folder / "labels.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "valence", "arousal", "dominance"])
        for number, vad in enumerate(LABELS):
            noise = 0.2 * np.random.default_rng(number).normal(size=9000)
            soundfile.write(folder / f"{number}.wav", noise.astype(np.float32), 16000)
            rows.writerow([f"{number}.wav", *vad])
    words = ["export", str(folder / "model"), str(folder / "out"), "--int8"]
    words += [f"--labels={folder / 'labels.csv'}", "--check", str(folder / "0.wav")]
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        assert cli.main([*words, str(folder / "1.wav")]) == 0
    (folder / "printed.txt").write_text(screen.getvalue(), encoding="utf-8")
