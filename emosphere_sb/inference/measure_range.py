"""Measure the range of the training data of a released model, and store it in its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.speech_level import rms_level
from emosphere_sb.inference.audio_input import load_pass, open_input
from emosphere_sb.release import checksums
from emosphere_sb.release.model_info import ModelInfo
from emosphere_sb.release.training_range import TrainingRange

logger = logging.getLogger(__name__)

SEED = 0
"""Seed of the choice of training utterances."""


def measure_training_range(
    model: Any,
    paths: Sequence[str],
    durations: Sequence[float],
    *,
    sample: int = 1000,
    channel: str = "mix",
    progress: Any = iter,
) -> TrainingRange:
    """Measure durations, levels and embeddings of training utterances.

    Utterances are processed as in the evaluation: one pass each, truncated to its limit.

    Arguments
    ---------
    model : Predictor
        The released model.
    paths : sequence of str
        Paths of the training utterances.
    durations : sequence of float
        Their durations in seconds.
    sample : int
        Number of utterances that are read; chosen at random with a fixed seed.
    channel : str
        Use of several channels.
    progress : callable
        Function that wraps the iterable of paths, for a progress bar.

    Raises
    ------
    ValueError
        If too few utterances can be read.
    """
    limit = model.info.max_seconds
    levels, embeddings = [], []
    for waveform in _read(model, progress(choose(paths, sample)), limit, channel):
        (found,) = model.predict_batch([waveform])
        level = rms_level(np.asarray(waveform.signal))
        if np.isfinite(level):  # not digital silence
            levels.append(level)
            embeddings.append(found.embedding)
    seconds = np.minimum(durations, np.inf if limit is None else limit)
    return TrainingRange.measure(seconds, levels, np.array(embeddings))


def choose(paths: Sequence[str], sample: int) -> list[str]:
    """Choose files at random with a fixed seed; return them in their order.

    Example
    -------
    >>> choose(["a", "b"], 5), len(choose("abcdefghij", 3))
    (['a', 'b'], 3)
    """
    if len(paths) <= sample:
        return list(paths)
    chosen = np.random.default_rng(SEED).choice(len(paths), sample, replace=False)
    return [paths[index] for index in sorted(chosen)]


def _read(model: Any, paths: Iterable[str], limit: float | None, channel: str):
    """Yield the waveforms of the files that can be read."""
    options = {"tensors": model.tensors, "channel": channel, "min_samples": model.min_samples}
    for number, path in enumerate(paths):
        try:
            with open_input(path, number) as opened:
                yield load_pass(opened, limit, **options)
        except AudioError as error:
            logger.warning("Training utterance skipped: %s", error)


def store_training_range(folder: Path, found: TrainingRange) -> None:
    """Add the range to the description of a released model, which is not published yet.

    Arguments
    ---------
    folder : Path
        Folder of the model.
    found : TrainingRange
        Range to store.
    """
    path = folder / checksums.CONFIGURATION
    configuration = checksums.read_json(path)
    info = replace(ModelInfo.from_dict(configuration["about"]), training_range=found)
    checksums.write_json_file(path, {**configuration, "about": info.to_dict()})
    checksums.write_checksums(folder)
