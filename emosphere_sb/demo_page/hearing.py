"""A recording as the page shows it: the whole as evaluation hears it, and windows over time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from emosphere_sb.audio import SAMPLE_RATE
from emosphere_sb.inference.audio_input import Heard, hear_file, refuse_short, warnings_of
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.prediction import Prediction

WINDOW = 4.0
"""Seconds of a window."""
HOP = 1.0
"""Seconds from one window to the next, where that gives no more than :data:`MOST` windows."""
MOST = 300
"""Windows that a recording is shown in, about: more than a screen has room for help nobody."""
WORDS = 5
"""Nearest emotion words that are shown."""


@dataclass(frozen=True)
class Reading:
    """What the page shows of one recording.

    Arguments
    ---------
    whole : Prediction
        As evaluation hears it: :meth:`EmoSphere.predict`.
    windows : tuple of Prediction
        Over time, in their order; at least one.
    """

    whole: Prediction
    windows: tuple[Prediction, ...]

    @property
    def vad(self) -> np.ndarray:
        """Shape (windows, 3), valence, arousal, dominance of the windows."""
        return np.stack([window.vad for window in self.windows])


def read(
    model: EmoSphere,
    path: str | os.PathLike,
    *,
    window: float = WINDOW,
    progress: Callable[[float], object] = lambda share: None,
) -> Reading:
    """Predict a recording as a whole and in windows.

    Arguments
    ---------
    model : EmoSphere
        Whom to ask.
    path : path
        Of the recording. The predictions bear its name, not its folder.
    window : float
        Seconds of a window.
    progress : callable
        Called with the share that is done, in [0, 1].

    Raises
    ------
    AudioError
        If it cannot be heard.
    """
    name = os.path.basename(path)
    words = WORDS if model.about.words else 0
    whole = replace(model.predict(path, words=words), source=name)
    hop = hop_of(whole.duration)
    windows = []
    for one in timeline(model, path, window=window, hop=hop):
        windows.append(replace(one, source=name))
        progress(min(1.0, one.end / whole.duration))
    return Reading(whole, tuple(windows))


def hop_of(duration: float) -> float:
    """Seconds from one window to the next: whole seconds, so that the windows stay few.

    Example
    -------
    >>> hop_of(20), hop_of(600), hop_of(3600)
    (1.0, 2.0, 12.0)
    """
    return max(HOP, float(np.ceil(duration / MOST)))


def timeline(
    model: EmoSphere,
    path: str | os.PathLike,
    *,
    window: float = WINDOW,
    hop: float = HOP,
    batch_size: int = 16,
) -> Iterator[Prediction]:
    """Predictions of windows of a recording, in their order.

    Arguments
    ---------
    model : EmoSphere
        Whom to ask.
    path : path
        Of the recording.
    window, hop : float
        Seconds of a window, and from one to the next. The last one ends with the recording.
    batch_size : int
        Windows that run together.

    Yields
    ------
    Prediction
        With its ``start`` and ``end``.
    """
    heard = hear_file(path)
    refuse_short([heard], model.mods.model.shortest)
    cuts = [_cut(heard, *bounds) for bounds in bounds_of(len(heard.signal), window, hop)]
    for first in range(0, len(cuts), batch_size):
        yield from model.answers(cuts[first : first + batch_size])


def bounds_of(samples: int, window: float, hop: float) -> list[tuple[int, int]]:
    """Where windows begin and end, in samples at 16 kHz; together they cover everything.

    Example
    -------
    >>> bounds_of(72_000, 4.0, 0.25)
    [(0, 64000), (4000, 68000), (8000, 72000)]
    >>> bounds_of(72_000, 4.0, 1.0), bounds_of(9_000, 4.0, 1.0)
    ([(0, 64000), (8000, 72000)], [(0, 9000)])
    """
    size = min(samples, round(window * SAMPLE_RATE))
    starts = list(range(0, samples - size + 1, max(1, round(hop * SAMPLE_RATE))))
    if starts[-1] + size < samples:
        starts.append(samples - size)
    return [(start, start + size) for start in starts]


def _cut(heard: Heard, first: int, last: int) -> Heard:
    signal = heard.signal[first:last]
    return Heard(heard.source, signal, heard.duration, first / SAMPLE_RATE, warnings_of(signal))
