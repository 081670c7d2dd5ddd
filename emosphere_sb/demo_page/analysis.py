"""A recording as the page shows it: the whole as evaluation hears it, and windows over time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from emosphere_sb.audio.header import read_header
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.timeline import timeline

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
    whole = replace(_whole(model, path, window), source=name)
    hop = hop_of(whole.duration)
    windows = []
    for one in timeline(model, path, window=window, hop=hop):
        windows.append(replace(one, source=name))
        progress(min(1.0, one.end / whole.duration))
    return Reading(whole, tuple(windows))


def _whole(model: EmoSphere, path: str | os.PathLike, window: float) -> Prediction:
    """The recording as evaluation hears it, or, where the model hears less at once, in windows."""
    words = WORDS if model.about.words else 0
    duration = read_header(path).duration
    if min(duration, model.about.max_seconds or duration) <= model.longest:
        return model.predict(path, words=words)
    whole = model.predict(path, words=words, window=window, overlap=0.0)
    note = (
        f"the model hears {model.longest:g} s at once: the figures of the recording are the mean "
        f"over windows of {window:g} s"
    )
    return replace(whole, warnings=(*whole.warnings, note))


def hop_of(duration: float) -> float:
    """Seconds from one window to the next: whole seconds, so that the windows stay few.

    Example
    -------
    >>> hop_of(20), hop_of(600), hop_of(3600)
    (1.0, 2.0, 12.0)
    """
    return max(HOP, float(np.ceil(duration / MOST)))
