"""Compare distances of embeddings from the training data: ``make training-distance``.

Each run was trained on a part of the TAVA dataset (real speech). For each distance and threshold,
the table in docs/inference.md gives the share of utterances beyond the threshold: test utterances,
whose speakers are not in the training set, which would be false warnings; test utterances with
noise; and generated sounds without speech. Unlike the warning, it includes all durations.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from runs import ROOT, add_tava, replace_between_markers
from speech_detection import RATE, SOUNDS, files_of_set, generate

from emosphere_sb.audio.reading import read_audio
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.recipe.training_files import find_training_files
from emosphere_sb.release.release import release
from emosphere_sb.release.training_range import FAR, FAR_FACTOR, TrainingRange
from emosphere_sb.results.metrics_json import machine_description

SIGNAL_TO_NOISE = 0.0
"""Level of the test utterances relative to the added white noise in dB."""
SOUND_COUNT = 70
FACTORS = (1.0, 1.1, FAR_FACTOR, 1.5, 2.0)
"""Thresholds relative to the quantile .99 of the distances of the training data."""
COMPONENTS = 10

Distance = Callable[[np.ndarray], np.ndarray]


def standardised(train: np.ndarray) -> Distance:
    """Return the distance that released models use."""
    count = len(train)
    known = TrainingRange.measure([1.0] * count, [0.0] * count, train)
    return lambda points: np.array([known.distance_of(point) for point in points])


def euclidean(train: np.ndarray) -> Distance:
    """Return the distance from the mean without standardisation."""
    return lambda points: np.linalg.norm(points - train.mean(axis=0), axis=1)


def mahalanobis(train: np.ndarray) -> Distance:
    """Return the Mahalanobis distance; covariances are shrunk by half towards the diagonal."""
    covariance = np.cov(train, rowvar=False)
    shrunk = 0.5 * covariance + 0.5 * np.diag(np.diag(covariance))
    inverse = np.linalg.inv(shrunk + 1e-9 * np.eye(len(shrunk)))
    mean = train.mean(axis=0)
    return lambda points: np.sqrt(np.einsum("nd,de,ne->n", points - mean, inverse, points - mean))


def principal(train: np.ndarray) -> Distance:
    """Return the Mahalanobis distance in the space of the first principal components."""
    mean = train.mean(axis=0)
    _, scale, axes = np.linalg.svd(train - mean, full_matrices=False)
    sd = scale[:COMPONENTS] / np.sqrt(len(train))
    return lambda points: np.linalg.norm((points - mean) @ axes[:COMPONENTS].T / sd, axis=1)


DISTANCES = {
    "standardised (used)": standardised,
    "Euclidean": euclidean,
    "Mahalanobis, shrunk": mahalanobis,
    f"Mahalanobis, {COMPONENTS} principal components": principal,
}
GROUPS = ("new speakers (false)", "new speakers with noise", "no speech")


def embeddings(model: TorchPredictor, audio: Sequence, rate: int | None = None) -> np.ndarray:
    """Return the embeddings of utterances, shape (utterances, size)."""
    options = {"max_seconds": "evaluation", "speech_detection": "off"}
    found = model.predict(list(audio), rate, **options)
    return np.stack([one.embedding for one in found]).astype(np.float64)


def with_noise(path: Path, draw: np.random.Generator) -> np.ndarray:
    """Return the samples of a file with white noise."""
    signal = read_audio(path)
    level = np.sqrt(np.mean(signal**2)) * 10 ** (-SIGNAL_TO_NOISE / 20)
    noise = level * draw.standard_normal(len(signal))
    return (signal + noise).astype(np.float32)


def measure(runs: Sequence[Path], data: Path, seed: int) -> dict[tuple[str, float], list[float]]:
    """Return the shares of each group over all runs, by distance and factor."""
    sounds = [signal for _, signal in generate(SOUNDS, SOUND_COUNT, seed)]
    draw = np.random.default_rng(seed)
    far: dict[tuple[str, float], list[list[np.ndarray]]] = {}
    for run in runs:
        with tempfile.TemporaryDirectory() as folder:
            model = TorchPredictor.from_pretrained(release(run, Path(folder, "model")))
            files = files_of_set(run, data, "test")
            train = embeddings(model, find_training_files(run).paths)
            groups = [
                embeddings(model, files),
                embeddings(model, [with_noise(path, draw) for path in files], RATE),
                embeddings(model, sounds, RATE),
            ]
        for name, build in DISTANCES.items():
            distance = build(train)
            limit = np.quantile(distance(train), FAR)
            for factor in FACTORS:
                found = [distance(points) > factor * limit for points in groups]
                far.setdefault((name, factor), []).append(found)
    return {
        key: [float(np.concatenate(parts).mean()) for parts in zip(*found, strict=True)]
        for key, found in far.items()
    }


def report(
    shares: Mapping[tuple[str, float], Sequence[float]], runs: Sequence[Path], seed: int
) -> str:
    """Return the shares as a Markdown table with a description of the measurement."""
    head = ["distance", "threshold / quantile .99", *GROUPS]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (name, factor), values in shares.items():
        used = name.startswith("standardised") and factor == FAR_FACTOR
        cells = [name, f"{factor:g}", *(f"{value:.1%}" for value in values)]
        lines.append(f"| {' | '.join(f'**{cell}**' if used else cell for cell in cells)} |")
    lines += [
        "",
        f"Share of utterances that are far from the training data, over {len(runs)} models with a "
        f"pretrained backbone that were trained on parts of TAVA (real speech). Noise: white, "
        f"signal-to-noise ratio {SIGNAL_TO_NOISE:g} dB. Generated by `make training-distance` "
        f"(seed {seed}; python {platform.python_version()}, torch {version('torch')}; "
        f"{machine_description()}).",
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Run the measurement and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add_tava(parser)
    add("--runs", type=Path, nargs="+", required=True, help="folders of runs on it, one per fold")
    add("--seed", type=int, default=0, help="seed of the sounds and the noise (default: 0)")
    options = parser.parse_args(words)
    shares = measure(options.runs, options.data, options.seed)
    text = report(shares, options.runs, options.seed)
    print(text)
    replace_between_markers(ROOT / "docs" / "inference.md", "training-distance", text)


if __name__ == "__main__":
    main()
