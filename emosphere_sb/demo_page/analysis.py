"""Analyse a recording for the page: one overall prediction, and one prediction per window."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from emosphere_sb.audio.check import check_audio
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.predictor import Predictor
from emosphere_sb.inference.timeline import timeline

WINDOW = 4.0
"""Window length in seconds."""
HOP = 1.0
"""Minimum time between window starts in seconds."""
MAX_WINDOWS = 300
"""Approximate maximum number of windows (about as many as fit on a screen)."""
MAX_WORDS = 5
"""Number of nearest emotion words shown."""


@dataclass(frozen=True)
class Analysis:
    """Predictions for one recording.

    Arguments
    ---------
    overall : Prediction
        Prediction for the entire recording, as in the evaluation (:meth:`Predictor.predict`).
    windows : tuple of Prediction
        Predictions for windows in chronological order; at least one.
    """

    overall: Prediction
    windows: tuple[Prediction, ...]

    @property
    def vad(self) -> np.ndarray:
        """Valence, arousal and dominance of the windows, shape (windows, 3)."""
        return np.stack([window.vad for window in self.windows])


def analyse(
    model: Predictor,
    path: str | os.PathLike,
    *,
    window: float = WINDOW,
    channel: str = "mix",
    progress: Callable[[float], object] = lambda share: None,
) -> Analysis:
    """Predict emotion for a recording, both as one utterance and in windows.

    Arguments
    ---------
    model : Predictor
        Model to use.
    path : path
        Path of the recording. Predictions contain its name without the folder.
    window : float
        Window length in seconds.
    channel : str
        Use of several channels: ``mix``, ``left``, ``right`` or ``loudest``.
    progress : callable
        Function called with the completed fraction in [0, 1].

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    name = os.path.basename(path)
    overall = replace(_predict_overall(model, path, window, channel), source=name)
    hop = choose_hop(overall.duration)
    windows = []
    for one in timeline(model, path, window=window, hop=hop, channel=channel):
        windows.append(replace(one, source=name))
        progress(min(1.0, one.end / overall.duration))
    return Analysis(overall, tuple(windows))


def _predict_overall(
    model: Predictor, path: str | os.PathLike, window: float, channel: str
) -> Prediction:
    """Predict emotion as in the evaluation, or in windows if one pass is not possible."""
    words = MAX_WORDS if model.info.words else 0
    duration = check_audio(path).duration
    if min(duration, model.info.max_seconds or duration) <= model.max_pass_seconds:
        return model.predict(path, words=words, channel=channel)
    overall = model.predict(path, words=words, window=window, overlap=0.0, channel=channel)
    note = (
        f"the model processes at most {model.max_pass_seconds:g} s in one pass, so the values for "
        f"the recording are means over windows of {window:g} s"
    )
    return replace(overall, warnings=(*overall.warnings, note))


def choose_hop(duration: float) -> float:
    """Choose an integer hop in seconds that limits the number of windows.

    Example
    -------
    >>> choose_hop(20), choose_hop(600), choose_hop(3600)
    (1.0, 2.0, 12.0)
    """
    return max(HOP, float(np.ceil(duration / MAX_WINDOWS)))
