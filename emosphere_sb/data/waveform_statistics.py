"""Mean and standard deviation of the waveforms of a corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import torch

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import read_audio


def corpus_statistics(
    rows: Mapping[str, Mapping], *, workers: int = 2, channel: str = "mix"
) -> tuple[float, float]:
    """Return mean and population SD over all samples of a corpus, in one pass in float64.

    Files are read one at a time, so memory use does not depend on the size of the corpus.
    Moments are combined as in Chan et al. (1983).

    Arguments
    ---------
    rows : mapping
        Manifest rows by utterance id; entire files are read.
    workers : int
        Number of threads that read files.
    channel : str
        Use of several channels; see :class:`emosphere_sb.data.dataset.SpeechDataset`.

    Returns
    -------
    tuple of float
        Mean and population SD.

    Raises
    ------
    ValueError
        If the corpus is empty.
    AudioError
        If a file cannot be read or contains NaN or infinite samples.
    """
    from concurrent.futures import ThreadPoolExecutor

    if not rows:
        raise ValueError("Waveform statistics require at least one utterance; found none.")
    count, mean, squares = 0, 0.0, 0.0
    moments = partial(_moments, channel=channel)
    with ThreadPoolExecutor(workers) as pool:
        paths = [row["wav"] for row in rows.values()]
        for first in range(0, len(paths), 1024):  # bounds the number of queued files
            for n, m, s in pool.map(moments, paths[first : first + 1024]):
                # Numerically stable combination of the moments of two sets (Chan et al., 1983)
                delta, total = m - mean, count + n
                squares += s + delta * delta * count * n / total
                mean += delta * n / total
                count = total
    return mean, math.sqrt(squares / count)


def _moments(path: str, channel: str) -> tuple[int, float, float]:
    check_audio(path)
    signal = torch.from_numpy(read_audio(path, channel=channel)).double()
    if not bool(signal.isfinite().all()):  # would make the statistics NaN
        raise AudioError(
            f"Audio file {path} contains samples that are NaN or infinite. Fix the file, or remove "
            f"it from the labels and re-run data preparation with --reuse_manifests=False."
        )
    mean = float(signal.mean())
    return len(signal), mean, float((signal - mean).square().sum())
