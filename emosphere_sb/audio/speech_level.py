"""Level of the speech in a recording, regardless of how much silence it contains."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

FRAME = 0.005
"""Step of the envelope in seconds."""
TIME_CONSTANT = 0.03
"""Time constant of the envelope in seconds (P.56)."""
HANGOVER = 0.2
"""Seconds that count as active after the last sample above a threshold (P.56)."""
MARGIN = 15.9
"""Difference in dB between the active level and its threshold (P.56)."""
THRESHOLDS = np.arange(-100.0, 0.0)
"""Candidate thresholds in dBFS. P.56 uses steps of 6 dB and interpolates between them."""


def speech_level(pieces: Iterable[np.ndarray], rate: int) -> float:
    """Measure the active speech level (ITU-T Recommendation P.56, 2011, method B).

    This is the mean power over the active parts only, where the envelope, held for 0.2 s, is above
    a threshold 15.9 dB below that mean. The envelope is computed in steps of 5 ms; P.56 computes
    it for every sample.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Consecutive blocks (samples,) of one signal, scaled to [-1, 1].
    rate : int
        Sampling rate in Hz.

    Returns
    -------
    float
        Level in dBFS; ``-inf`` if no part is above -84 dBFS.

    Example
    -------
    >>> tone = 0.1 * np.sqrt(2) * np.sin(np.arange(32000))
    >>> level = speech_level([np.zeros(320000), tone, np.zeros(320000)], 16000)
    >>> -21 < level < -20  # the tone is at -20 dBFS; 0.2 s of hangover lower the mean
    True
    """
    from scipy.signal import lfilter  # optional for prediction without torch

    frame, decay = max(1, round(FRAME * rate)), math.exp(-FRAME / TIME_CONSTANT)
    hangover = round(HANGOVER / FRAME)
    states = [np.zeros(1), np.zeros(1)]
    energy, active = 0.0, np.zeros(len(THRESHOLDS))
    silent = np.full(len(THRESHOLDS), hangover + 1)  # frames since each threshold was last exceeded
    thresholds = 10.0 ** (THRESHOLDS / 20)
    for frames in _frames(pieces, frame):
        energy += float((frames**2).mean(axis=1).sum())
        envelope = np.abs(frames).mean(axis=1)
        for stage in range(2):
            envelope, states[stage] = lfilter([1 - decay], [1, -decay], envelope, zi=states[stage])
        places = np.arange(len(envelope))
        passed = envelope >= thresholds[:, None]  # (threshold, time)
        last = np.where(passed, places, -1 - silent[:, None])
        since = places - np.maximum.accumulate(last, axis=1)
        active += np.count_nonzero(since <= hangover, axis=1)
        silent = np.minimum(since[:, -1], hangover + 1)
    return _interpolate_level(energy, active)


def _frames(pieces: Iterable[np.ndarray], frame: int):
    """Yield complete frames (count, frame), float64; drop an incomplete frame at the end."""
    rest = np.empty(0)
    for piece in pieces:
        rest = np.concatenate([rest, np.asarray(piece, dtype=np.float64)])
        complete = len(rest) // frame * frame
        if complete:
            yield rest[:complete].reshape(-1, frame)
            rest = rest[complete:]


def _interpolate_level(energy: float, active: np.ndarray) -> float:
    """Interpolate the active level that is 15.9 dB above its threshold."""
    known = active > 0
    if not energy or not known.any():
        return -math.inf
    levels = 10 * np.log10(energy / active[known])
    above = levels - THRESHOLDS[known]
    if above[0] < MARGIN:
        return -math.inf
    below = np.flatnonzero(above < MARGIN)
    if not len(below):
        return float(levels[-1])
    index = below[0]
    share = (above[index - 1] - MARGIN) / (above[index - 1] - above[index])
    return float(levels[index - 1] + share * (levels[index] - levels[index - 1]))


def rms_level(signal: np.ndarray) -> float:
    """Return the root mean square in dBFS; ``-inf`` for zeros.

    Example
    -------
    >>> round(rms_level(np.full(100, 0.1)), 6)
    -20.0
    """
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf
