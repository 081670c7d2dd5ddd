"""Resampling in numpy, equal to ``torchaudio.functional.resample`` with its default parameters.

Windowed sinc interpolation after J. O. Smith ("Digital audio resampling", CCRMA, 2002): an output
sample is the sum of the input samples around its place, weighted by a low-pass kernel. Only the
taps within the window are kept, so that memory is small whatever the two rates are.
"""

from __future__ import annotations

import math

import numpy as np

ZEROS = 6
"""Zero crossings of the sinc on either side (torchaudio's ``lowpass_filter_width``)."""
ROLLOFF = 0.99
"""Cut-off as a share of the lower rate's Nyquist frequency."""
PIECE = 2**16
"""Output samples that are computed at a time."""


def resample(signal: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """A signal at another sampling rate.

    Arguments
    ---------
    signal : numpy.ndarray
        Shape (samples,).
    rate, new_rate : int
        What it has and what it gets, in Hz.

    Returns
    -------
    numpy.ndarray
        Shape (ceil(samples · new_rate / rate),), float32.

    Raises
    ------
    ValueError
        If a rate is no positive whole number, or the signal is not one-dimensional.

    Example
    -------
    >>> resample(np.zeros(441, dtype=np.float32), 44100, 16000).shape
    (160,)
    """
    signal = np.ascontiguousarray(signal, dtype=np.float32)
    if signal.ndim != 1:
        raise ValueError(f"A signal must have shape (samples,); found {signal.shape}. Mix it down.")
    old, new = _reduced(rate, new_rate)
    if old == new:
        return signal
    kernels, width = _kernels(old, new)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(signal, (width, width + 1)), kernels.shape[1]
    )
    count = -(-new * len(signal) // old)
    output = np.empty(count, dtype=np.float32)
    for first in range(0, count, PIECE):
        places = np.arange(first, min(first + PIECE, count))
        # The window of an output begins ``width`` input samples before its place; so much is padded
        taken = windows[places * old // new]
        output[first : first + len(places)] = np.einsum("nt,nt->n", taken, kernels[places % new])
    return output


def _reduced(rate: int, new_rate: int) -> tuple[int, int]:
    if not (rate == int(rate) > 0 and new_rate == int(new_rate) > 0):
        raise ValueError(
            f"Sampling rates must be whole numbers above 0; found {rate} and {new_rate}."
        )
    common = math.gcd(int(rate), int(new_rate))
    return int(rate) // common, int(new_rate) // common


def _kernels(old: int, new: int) -> tuple[np.ndarray, int]:
    """Weights of the taps for each of the ``new`` places between input samples.

    Returns
    -------
    tuple
        Kernels (new, 2 · width + 2), float32, and their width in input samples.
    """
    cutoff = min(old, new) * ROLLOFF
    width = math.ceil(ZEROS * old / cutoff)
    phase = np.arange(new)
    taps = (phase * old // new)[:, None] + np.arange(-width, width + 2)
    # torchaudio rounds an output's place to float32, heard at 1e-4 at rates such as 22,050;
    # models were trained on what it gives.
    place = phase.astype(np.float32) / np.float32(new)
    # Distance of a tap from the output's place, in zero crossings
    distance = (taps / old - place[:, None]) * cutoff
    distance = distance.clip(-ZEROS, ZEROS)
    window = np.cos(distance * math.pi / ZEROS / 2) ** 2  # Hann
    return (np.sinc(distance) * window * (cutoff / old)).astype(np.float32), width
