"""How loud the speech of a recording is, whatever the share of silence in it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

FRAME = 0.005
"""Seconds: in such steps the envelope is followed."""
TIME_CONSTANT = 0.03
"""Seconds, of the envelope (P.56)."""
HANGOVER = 0.2
"""Seconds that count as active behind the last sample above a threshold (P.56)."""
MARGIN = 15.9
"""dB between the active level and the threshold that it is found with (P.56)."""
THRESHOLDS = np.arange(-100.0, 0.0)
"""dB of full scale. P.56 takes steps of 6 dB; the result lies between two of them."""


def speech_level(pieces: Iterable[np.ndarray], rate: int) -> float:
    """Active speech level after ITU-T Recommendation P.56 (2011), method B.

    The mean power over those parts alone in which there is speech: where the envelope, held for
    0.2 s, lies above a threshold 15.9 dB below that very mean. The envelope is followed in steps of
    5 ms, where P.56 takes every sample.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Shape (samples,) each: one signal, full scale 1.
    rate : int
        In Hz.

    Returns
    -------
    float
        dB of full scale; ``-inf`` where nothing lies above -84 dB.

    Example
    -------
    >>> tone = 0.1 * np.sqrt(2) * np.sin(np.arange(32000))
    >>> level = speech_level([np.zeros(320000), tone, np.zeros(320000)], 16000)
    >>> -21 < level < -20  # the tone's own is -20; 0.2 s of hangover are counted with it
    True
    """
    from scipy.signal import lfilter  # not needed to predict without torch

    frame, decay = max(1, round(FRAME * rate)), math.exp(-FRAME / TIME_CONSTANT)
    hangover = round(HANGOVER / FRAME)
    states = [np.zeros(1), np.zeros(1)]
    energy, active = 0.0, np.zeros(len(THRESHOLDS))
    silent = np.full(len(THRESHOLDS), hangover + 1)  # frames since each was last passed
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
    return _crossing(energy, active)


def _frames(pieces: Iterable[np.ndarray], frame: int):
    """Whole frames (count, frame), float64; samples behind the last whole one are left."""
    rest = np.empty(0)
    for piece in pieces:
        rest = np.concatenate([rest, np.asarray(piece, dtype=np.float64)])
        whole = len(rest) // frame * frame
        if whole:
            yield rest[:whole].reshape(-1, frame)
            rest = rest[whole:]


def _crossing(energy: float, active: np.ndarray) -> float:
    """The active level where it lies 15.9 dB above its threshold."""
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
    place = below[0]
    share = (above[place - 1] - MARGIN) / (above[place - 1] - above[place])
    return float(levels[place - 1] + share * (levels[place] - levels[place - 1]))


def level(signal: np.ndarray) -> float:
    """Root mean square in dB of full scale; ``-inf`` for zeros.

    Example
    -------
    >>> round(level(np.full(100, 0.1)), 6)
    -20.0
    """
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf
