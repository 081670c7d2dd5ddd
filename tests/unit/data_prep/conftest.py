"""Small corpora written by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speechbrain.utils.importutils import LazyModule

# Hypothesis asks every loaded module for its file, upon which SpeechBrain's lazy modules import
# what is not installed (k2) and end the whole test session.
LazyModule.__file__ = None


@pytest.fixture
def wav():
    """Writes a short noise: ``wav(path, seconds=0.5, rate=16000, channels=1)``."""

    def write(path, *, seconds=0.5, rate=16000, channels=1):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (round(seconds * rate), channels))
        soundfile.write(path, noise, rate)
        return path

    return write


@pytest.fixture
def rows_of():
    """The rows of a CSV file as lists, its header first."""

    def read(path):
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    return read
