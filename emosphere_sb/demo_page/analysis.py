"""Analyse a recording for the page: one overall prediction, and one prediction per window."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

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
        Prediction for the entire recording (:meth:`Predictor.predict`).
    windows : tuple of Prediction
        Predictions for windows in chronological order; at least one.
    note : str
        Explanation of the overall prediction if it is a mean over parts.
    part_seconds : float
        Maximum length of these parts in seconds.
    """

    overall: Prediction
    windows: tuple[Prediction, ...]
    note: str = ""
    part_seconds: float = 0.0

    @property
    def vad(self) -> np.ndarray:
        """Valence, arousal and dominance of the windows, shape (windows, 3)."""
        return np.stack([window.vad for window in self.windows])

    @property
    def window_seconds(self) -> float:
        """Length of the longest window in seconds."""
        return max(window.end - window.start for window in self.windows)


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
    words = MAX_WORDS if model.info.words else 0
    overall = replace(model.predict(path, words=words, channel=channel), source=name)
    hop = choose_hop(overall.duration)
    windows = []
    for one in timeline(model, path, window=window, hop=hop, channel=channel):
        windows.append(replace(one, source=name))
        progress(min(1.0, one.end / overall.duration))
    return Analysis(overall, tuple(windows), overall_note(model, overall), model.window_seconds)


def overall_note(model: Predictor, overall: Prediction) -> str:
    """Explain an overall prediction that is a mean over parts; empty for a single pass."""
    if overall.windows == 1:
        return ""
    if model.info.max_seconds == model.pass_seconds:
        limit = "the maximum duration of utterances in the evaluation of the model"
    else:
        limit = "the longest part that the model processes at once"
    return (
        f"The recording is longer than {model.pass_seconds:g} s, {limit}. The values of the "
        f"recording are means over {overall.windows:,} parts of up to {model.window_seconds:g} s, "
        f"weighted by duration."
    )


def choose_hop(duration: float) -> float:
    """Choose an integer hop in seconds that limits the number of windows.

    Example
    -------
    >>> choose_hop(20), choose_hop(600), choose_hop(3600)
    (1.0, 2.0, 12.0)
    """
    return max(HOP, float(np.ceil(duration / MAX_WINDOWS)))
