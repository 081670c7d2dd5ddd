"""Signals and predictions of the fixture ``tests/fixtures/released_format_1``.

Can also be run as a script, from the root of any version of the repository, to record predictions;
the README of the fixture lists the commands.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "released_format_1"
MODEL = FIXTURE / "model"
SECONDS = (0.03, 0.4, 1.0, 2.3, 13.0)
"""Lengths of the arrays in s; the model truncates the last one to 12 s."""
WAV_RATE = 22050


def sound(seed, seconds, rate):
    """Generate a harmonic tone with noise, shape (samples,), float32.

    ``RandomState`` generates the same numbers in every version of NumPy.
    """
    chance = np.random.RandomState(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch, level = chance.uniform(90, 250), 10 ** chance.uniform(-2, -0.5)
    tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 8))
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * time)
    noise = chance.uniform(-1, 1, len(time))
    return (level * swell * (0.3 * tone + 0.2 * noise)).astype(np.float32)


def arrays():
    """Return signals at 16 kHz by name."""
    return {f"{length:g} s": sound(n, length, 16000) for n, length in enumerate(SECONDS)}


def write_wav(path):
    """Write a 16-bit stereo WAV file at 22.05 kHz."""
    pair = [sound(seed, 0.7, WAV_RATE) for seed in (10, 11)]
    samples = np.round(np.stack(pair, axis=1) * 32767).astype(np.int16)
    soundfile.write(path, samples, WAV_RATE, subtype="PCM_16")


def predictions(model, folder):
    """Predict each signal in one pass, as version 0.1; the WAV file is written to ``folder``."""
    path = Path(folder) / "stereo.wav"
    write_wav(path)
    one_pass = {"max_seconds": "evaluation"}
    found = {name: model.predict(signal, 16000, **one_pass) for name, signal in arrays().items()}
    found["stereo.wav"] = model.predict(str(path), **one_pass)
    return {
        name: {
            "vad": [float(value) for value in one.vad],
            "embedding": [float(value) for value in one.embedding],
            "probabilities": {key: float(value) for key, value in one.probabilities.items()},
            "region": one.region,
        }
        for name, one in found.items()
    }


def record(model_folder, out):
    """Write the predictions of a released model as JSON."""
    import torch

    from emosphere_sb import EmoSphere

    torch.set_num_threads(1)
    model = EmoSphere.from_pretrained(model_folder, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        found = predictions(model, folder)
    Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(*sys.argv[1:])
