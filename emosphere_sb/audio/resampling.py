"""Resampling in numpy, equivalent to ``torchaudio.functional.resample`` with default parameters.

Windowed sinc interpolation (J. O. Smith, "Digital audio resampling", CCRMA, 2002): each output
sample is the sum of the input samples around its position, weighted by a low-pass kernel. Only the
taps within the window are stored, so memory use is small for any pair of rates.
"""

from __future__ import annotations

import math

import numpy as np

ZERO_CROSSINGS = 6
"""Number of zero crossings of the sinc on each side (torchaudio's ``lowpass_filter_width``)."""
ROLLOFF = 0.99
"""Cut-off frequency as a fraction of the lower rate's Nyquist frequency."""
BLOCK_SAMPLES = 2**16
"""Number of output samples computed at a time."""


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
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(signal, (width, width + 1)), kernels.shape[1]
    )
    count = -(-new * len(signal) // old)
    output = np.empty(count, dtype=np.float32)
    for first in range(0, count, BLOCK_SAMPLES):
        index = np.arange(first, min(first + BLOCK_SAMPLES, count))
        # The window of an output sample starts ``width`` input samples before its position
        selected = windows[index * old // new]
        output[first : first + len(index)] = np.einsum("nt,nt->n", selected, kernels[index % new])
    return output


def _reduce_rates(rate: int, new_rate: int) -> tuple[int, int]:
    if not (rate == int(rate) > 0 and new_rate == int(new_rate) > 0):
        raise ValueError(f"Sampling rates must be positive integers; found {rate} and {new_rate}.")
    common = math.gcd(int(rate), int(new_rate))
    return int(rate) // common, int(new_rate) // common


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
    phase = np.arange(new)
    taps = (phase * old // new)[:, None] + np.arange(-width, width + 2)
    # torchaudio rounds output positions to float32, which changes the output by up to 1e-4 at rates
    # such as 22,050 Hz. The models were trained with its output, so this is reproduced here.
    position = phase.astype(np.float32) / np.float32(new)
    # Distance of each tap from the output position, in zero crossings
    distance = (taps / old - position[:, None]) * cutoff
    distance = distance.clip(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = np.cos(distance * math.pi / ZERO_CROSSINGS / 2) ** 2  # Hann
    return (np.sinc(distance) * window * (cutoff / old)).astype(np.float32), width
