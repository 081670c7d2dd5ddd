"""Detect whether a recording contains speech, with the neural detector of the package silero-vad.

The detector runs on onnxruntime. The weights are read from the installed package, whose own code
is not imported: it requires torch, and limits it to one thread. Training, evaluation and
submissions never use the detection.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emosphere_sb.inference.warning_texts import LITTLE_SPEECH, NO_SPEECH

PACKAGE = "silero_vad"
WEIGHTS = ("data", "silero_vad_16k_sequence.onnx")
"""Path of the weights in the package."""
MODES = ("auto", "on", "off")
FRAME, CONTEXT = 512, 64
"""Samples of a frame at 16 kHz (32 ms), and samples of the previous frame that precede it."""
STATE = (1, 1, 128)
"""Shape of the hidden state and of the cell state of the detector."""
MAX_FRAMES = 1024
"""Number of frames that are processed at once."""

PROBABLE, POSSIBLE = 0.5, 0.2
"""Probabilities above which a frame probably or possibly contains speech."""
MIN_SECONDS = 0.1
"""Seconds of possible speech below which a recording has no speech."""
MIN_SHARE = 0.2
"""Share of probable speech below which a recording has little speech."""

LEVEL_QUANTILE, LEVEL = 0.999, 0.5
"""Recordings are scaled so that this quantile of the magnitudes has this value."""
MAX_GAIN = 1000.0
"""Maximum gain (60 dB), so that the noise of digital silence stays quiet."""


class SpeechCounts(NamedTuple):
    """Numbers of frames of a recording.

    Arguments
    ---------
    frames : int
        All frames.
    probable, possible : int
        Frames that probably or possibly contain speech.

    Example
    -------
    >>> SpeechCounts(100, 30, 40).share
    0.3
    """

    frames: int
    probable: int
    possible: int

    def __add__(self, other: SpeechCounts) -> SpeechCounts:
        """Return the counts of both recordings together."""
        return SpeechCounts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        """Share of the time with detected speech, in [0, 1]."""
        return self.probable / self.frames

    def warnings(self, seconds: float) -> tuple[str, ...]:
        """Return a warning if a recording of this duration contains no or little speech.

        Example
        -------
        >>> SpeechCounts(100, 0, 2).warnings(3.2), SpeechCounts(100, 10, 40).warnings(3.2)
        (('no speech detected',), ('little speech detected',))
        """
        if self.possible / self.frames * seconds < MIN_SECONDS:
            return (NO_SPEECH,)
        return (LITTLE_SPEECH,) if self.share < MIN_SHARE else ()


class SpeechDetector:
    """The detector, loaded with onnxruntime.

    Arguments
    ---------
    path : Path
        Path of the weights.

    Example
    -------
    >>> SpeechDetector(weights_path()).count(np.zeros(16000)).share  # doctest: +SKIP
    0.0
    """

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # The network is small, so more threads would be slower
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def count(self, signal: np.ndarray) -> SpeechCounts:
        """Count the frames of a signal (samples,) at 16 kHz that contain speech."""
        found = self.probabilities(normalise_level(signal))
        probable, possible = ((found > threshold).sum() for threshold in (PROBABLE, POSSIBLE))
        return SpeechCounts(len(found), int(probable), int(possible))

    def probabilities(self, signal: np.ndarray) -> np.ndarray:
        """Return the probability of speech in each frame, shape (frames,).

        Arguments
        ---------
        signal : numpy.ndarray
            Samples of shape (samples,) at 16 kHz, scaled to [-1, 1]. The last frame is padded.
        """
        count = -(-len(signal) // FRAME)
        padded = np.zeros(CONTEXT + count * FRAME, dtype=np.float32)
        padded[CONTEXT : CONTEXT + len(signal)] = signal
        frames = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + FRAME)[::FRAME]
        state = cell = np.zeros(STATE, dtype=np.float32)
        found = []
        for first in range(0, count, MAX_FRAMES):
            block = np.ascontiguousarray(frames[first : first + MAX_FRAMES])
            values, state, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": block, "h": state, "c": cell}
            )
            found.append(values.reshape(-1))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def normalise_level(signal: np.ndarray) -> np.ndarray:
    """Scale a signal to a common level without an offset; louder samples are clipped.

    The detector misses speech at low levels. The level is a quantile of the magnitudes, which,
    unlike the peak, does not depend on single clicks.

    Example
    -------
    >>> normalise_level(np.array([0.31, 0.29, 0.31, 0.29])).round(6).tolist()
    [0.5, -0.5, 0.5, -0.5]
    """
    signal = signal - signal.mean(dtype=np.float64).astype(signal.dtype)
    level = float(np.quantile(np.abs(signal), LEVEL_QUANTILE))
    gain = min(LEVEL / level, MAX_GAIN) if level > 0 else 1.0
    return np.clip(signal * np.float32(gain), -1, 1)


def load_detector(mode: str = "auto", *, required_by: str = "") -> SpeechDetector | None:
    """Load the speech detector.

    Arguments
    ---------
    mode : str
        ``on``; ``off``; or ``auto``: on if the required packages are installed.
    required_by : str
        Option that requires the detection, which then cannot be off.

    Returns
    -------
    SpeechDetector or None
        ``None`` if the detection is off.

    Raises
    ------
    ValueError
        If the mode is unknown, or ``off`` although an option requires the detection.
    ImportError
        If the detection is required, and a package is not installed.
    """
    if mode not in MODES:
        raise ValueError(f"speech_detection must be one of {', '.join(MODES)}; found {mode!r}.")
    if mode == "off":
        if required_by:
            raise ValueError(f"{required_by} requires speech_detection, which is off.")
        return None
    path = weights_path()
    if path is not None and find_spec("onnxruntime") is not None:
        return _load(path)
    if mode == "on" or required_by:
        raise ImportError(
            f"{required_by or 'Speech detection'} requires silero-vad and onnxruntime. Install "
            f"them with: pip install 'emosphere-sb[speech]'."
        )
    return None


def weights_path() -> Path | None:
    """Return the path of the weights; ``None`` if silero-vad is not installed, or lacks them."""
    package = find_spec(PACKAGE)  # the package is not imported
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder, *WEIGHTS)
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=1)
def _load(path: Path) -> Any:
    return SpeechDetector(path)
