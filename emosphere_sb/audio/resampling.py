"""Resampling in numpy, equivalent to ``torchaudio.functional.resample`` with default parameters.

Windowed sinc interpolation (J. O. Smith, "Digital audio resampling", CCRMA, 2002): each output
sample is the sum of the input samples around its position, weighted by a low-pass kernel. Only the
taps within the window are stored, so memory use is small for any pair of rates. The sum does not
depend on the other samples, so a signal can be resampled in blocks with equal results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

ZERO_CROSSINGS = 6
"""Number of zero crossings of the sinc on each side (torchaudio's ``lowpass_filter_width``)."""
ROLLOFF = 0.99
"""Cut-off frequency as a fraction of the lower rate's Nyquist frequency."""
MAX_PHASES = 1000
"""Number of kernels up to which the outputs of each kernel are computed together."""
GATHERED_VALUES = 2**21
"""Number of input values that are gathered at a time, at rates with more kernels."""


def resample(signal: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample a signal.

    Arguments
    ---------
    signal : numpy.ndarray
        Signal of shape (samples,).
    rate, new_rate : int
        Current and new sampling rate in Hz.

    Returns
    -------
    numpy.ndarray
        Resampled signal of shape (ceil(samples · new_rate / rate),), float32.

    Raises
    ------
    ValueError
        If a rate is not a positive integer, or the signal is not one-dimensional.

    Example
    -------
    >>> resample(np.zeros(441, dtype=np.float32), 44100, 16000).shape
    (160,)
    """
    signal = np.ascontiguousarray(signal, dtype=np.float32)
    if signal.ndim != 1:
        raise ValueError(
            f"The signal must have shape (samples,); found {signal.shape}. Mix it down to mono."
        )
    old, new = _reduce_rates(rate, new_rate)
    if old == new:
        return signal
    kernels, width = _kernels(old, new)
    taps = kernels.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, (width, width + 1)), taps)
    count = -(-new * len(signal) // old)
    if new > MAX_PHASES:
        return _resample_gathered(windows, kernels, old, count)
    output = np.empty(count, dtype=np.float32)
    for phase in range(min(new, count)):
        # The window of an output sample starts ``width`` input samples before its position
        part = output[phase::new]
        part[:] = np.einsum(
            "nt,t->n", windows[phase * old // new :: old][: len(part)], kernels[phase]
        )
    return output


def _resample_gathered(
    windows: np.ndarray, kernels: np.ndarray, old: int, count: int
) -> np.ndarray:
    """Resample at rates that need nearly one kernel per output sample."""
    new, taps = kernels.shape
    output, size = np.empty(count, dtype=np.float32), max(1, GATHERED_VALUES // taps)
    for first in range(0, count, size):
        index = np.arange(first, min(first + size, count))
        selected = windows[index * old // new]
        output[first : first + len(index)] = np.einsum("nt,nt->n", selected, kernels[index % new])
    return output


def resample_blocks(
    pieces: Iterable[np.ndarray], rate: int, new_rate: int = 16000
) -> Iterator[np.ndarray]:
    """Resample one signal block by block, as if it were resampled at once.

    Each block is resampled together with the neighbouring input samples that its first and last
    output samples depend on, starting where an input and an output sample coincide.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Consecutive blocks (samples,) of the signal, of any lengths.
    rate, new_rate : int
        Current and new sampling rate in Hz.

    Yields
    ------
    numpy.ndarray
        Samples of shape (samples,), float32; in total ceil(samples · new_rate / rate).

    Example
    -------
    >>> sum(len(part) for part in resample_blocks([np.zeros(500), np.zeros(382)], 44100))
    320
    """
    old, new = _reduce_rates(rate, new_rate)  # `old` input samples give `new` output samples
    if old == new:
        yield from pieces
        return
    reach = math.ceil(ZERO_CROSSINGS / ROLLOFF * max(1.0, old / new)) + 2
    margin = -(-reach // old) * old
    waiting: list[np.ndarray] = []
    buffer, done = np.empty(0, dtype=np.float32), 0  # `done`: processed samples in the buffer
    for piece in pieces:
        waiting.append(piece)
        if len(buffer) + sum(map(len, waiting)) < done + old + reach:
            continue
        buffer, waiting = np.concatenate([buffer, *waiting]), []
        ready = (len(buffer) - reach) // old * old
        yield resample(buffer[: ready + reach], rate, new_rate)[
            done // old * new : ready // old * new
        ]
        drop = max(0, ready - margin)
        buffer, done = buffer[drop:], ready - drop
    buffer = np.concatenate([buffer, *waiting])
    if len(buffer) > done:
        yield resample(buffer, rate, new_rate)[done // old * new :]


def _reduce_rates(rate: int, new_rate: int) -> tuple[int, int]:
    if not (rate == int(rate) > 0 and new_rate == int(new_rate) > 0):
        raise ValueError(f"Sampling rates must be positive integers; found {rate} and {new_rate}.")
    common = math.gcd(int(rate), int(new_rate))
    return int(rate) // common, int(new_rate) // common


@lru_cache(maxsize=4)
def _kernels(old: int, new: int) -> tuple[np.ndarray, int]:
    """Compute the tap weights for each of the ``new`` positions between input samples.

    Returns
    -------
    kernels : numpy.ndarray
        Weights of shape (new, 2 · width + 2), float32.
    width : int
        One-sided kernel width in input samples.
    """
    cutoff = min(old, new) * ROLLOFF
    width = math.ceil(ZERO_CROSSINGS * old / cutoff)
    kernels = np.empty((new, 2 * width + 2), dtype=np.float32)
    for first in range(0, new, MAX_PHASES):  # bounds the memory of intermediate results
        phase = np.arange(first, min(first + MAX_PHASES, new))
        taps = (phase * old // new)[:, None] + np.arange(-width, width + 2)
        # torchaudio rounds output positions to float32, which changes the output by up to 1e-4 at
        # rates such as 22,050 Hz. The models were trained with its output, so this is reproduced.
        position = phase.astype(np.float32) / np.float32(new)
        # Distance of each tap from the output position, in zero crossings
        distance = (taps / old - position[:, None]) * cutoff
        distance = distance.clip(-ZERO_CROSSINGS, ZERO_CROSSINGS)
        window = np.cos(distance * math.pi / ZERO_CROSSINGS / 2) ** 2  # Hann
        kernels[first : first + len(phase)] = np.sinc(distance) * window * (cutoff / old)
    return kernels, width
