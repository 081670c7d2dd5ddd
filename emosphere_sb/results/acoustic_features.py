"""Five acoustic features: duration, loudness, pitch, pitch range and spectral tilt."""

from __future__ import annotations

import numpy as np

FEATURES = ("duration", "rms", "mean_f0", "f0_range", "tilt")

_FRAME, _HOP = 0.050, 0.020  # seconds; a frame spans three periods of the lowest pitch
_MIN_F0, _MAX_F0 = 60.0, 420.0  # Hz
_PITCH_RATE = 8000  # Hz; sampling rate for pitch tracking
_MIN_VOICED = 0.55  # minimum autocorrelation of a voiced frame, relative to lag 0
_PAUSE_LEVEL = 25.0  # frames more than this many dB below the loudest one are pauses
_TILT_BAND = (100.0, 5000.0)  # Hz
_MIN_BAND_ENERGY = 1e-10  # bands with a smaller share of the energy are excluded from the fit


def acoustic_features(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute the five features of an utterance.

    Arguments
    ---------
    signal : np.ndarray
        Shape (time,) or (time, channels). Channels are averaged.
    sample_rate : int
        Sampling rate in Hz, at least 1000.

    Returns
    -------
    features : np.ndarray
        Shape (5,): duration in seconds; RMS in dBFS; mean pitch in semitones above 100 Hz; pitch
        range (10th to 90th percentile) in semitones; slope of the spectrum from 100 to 5000 Hz in
        dB per octave. Both pitch features are NaN if no frame is voiced; the slope is NaN for
        digital silence.

    Raises
    ------
    ValueError
        If the signal is empty or the sampling rate is below 1000 Hz.

    Example
    -------
    >>> time = np.arange(16000) / 16000
    >>> wave = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 20))
    >>> acoustic_features(0.1 * wave, 16000)[:4].round(1).tolist()
    [1.0, -21.0, 12.0, 0.0]
    """
    signal = np.asarray(signal, dtype=np.float64)
    signal = signal.mean(axis=1) if signal.ndim == 2 else signal
    if signal.size == 0 or sample_rate < 1000:
        raise ValueError(
            f"The signal must not be empty and its sampling rate must be at least 1000 Hz; found "
            f"{signal.size} samples at {sample_rate} Hz. Remove the file from the manifest."
        )
    duration = signal.size / sample_rate
    level = 10 * np.log10(max(float(np.mean(signal**2)), 1e-10))
    pitch = 12 * np.log2(pitch_track(signal, sample_rate) / 100.0)
    mean, spread = np.nan, np.nan
    if pitch.size:
        mean, spread = pitch.mean(), np.subtract(*np.percentile(pitch, [90, 10]))
    return np.array([duration, level, mean, spread, spectral_tilt(signal, sample_rate)])


def pitch_track(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """Estimate the pitch of voiced frames by normalised autocorrelation (Boersma, 1993).

    The autocorrelation of a windowed frame is divided by that of the window, which removes the
    bias against long lags. If two peaks are nearly equal, the higher octave is chosen.

    Arguments
    ---------
    signal : np.ndarray
        Shape (time,).
    sample_rate : int
        Sampling rate in Hz.

    Returns
    -------
    pitch : np.ndarray
        Pitch in Hz, between 60 and 420, shape (voiced frames,).

    Example
    -------
    >>> wave = np.sign(np.sin(2 * np.pi * 150 * np.arange(8000) / 16000))
    >>> float(np.median(pitch_track(wave, 16000)).round())
    150.0
    """
    factor = max(sample_rate // _PITCH_RATE, 1)  # a crude low-pass suffices for pitch
    signal = signal[: signal.size // factor * factor].reshape(-1, factor).mean(axis=1)
    sample_rate = sample_rate / factor
    frames = _frames(signal, sample_rate)
    if not len(frames):
        return np.empty(0)
    window = np.hanning(frames.shape[1]).astype(np.float32)
    correlation = _autocorrelation(np.float32(frames - frames.mean(axis=1, keepdims=True)) * window)
    height = correlation / np.maximum(correlation[:, :1], 1e-12)
    of_window = _autocorrelation(window[None])
    first, last = int(sample_rate / _MAX_F0), int(sample_rate / _MIN_F0)
    height = height[:, : last + 2] / (of_window / of_window[:, :1])[:, : last + 2]
    lags = np.arange(height.shape[1])
    # A small bonus for short lags prevents octave errors (multiples of the period).
    score = height - 0.05 * np.log2(np.maximum(lags, 1) / first)
    peak = np.argmax(score[:, first : last + 1], axis=1) + first
    rows = np.arange(len(peak))
    left, middle, right = (score[rows, peak + shift] for shift in (-1, 0, 1))
    curve = left - 2 * middle + right
    voiced = (curve < 0) & (middle >= left) & (middle >= right) & (height[rows, peak] > _MIN_VOICED)
    shift = 0.5 * (left - right)[voiced] / curve[voiced]  # parabolic interpolation
    return sample_rate / (peak[voiced] + shift)


def spectral_tilt(signal: np.ndarray, sample_rate: int) -> float:
    """Fit the slope of the long-term spectrum over third-octave bands, in dB per octave.

    Arguments
    ---------
    signal : np.ndarray
        Shape (time,).
    sample_rate : int
        Sampling rate in Hz.

    Returns
    -------
    slope : float
        Negative for speech. NaN for silence and for signals too short for two bands.
    """
    size = -(-signal.size // 1800) * 1800  # FFTs of products of small primes are fast
    power = np.abs(np.fft.rfft(_fade_ends(signal, sample_rate), size)) ** 2
    low, high = _TILT_BAND
    high = min(high, sample_rate / 2)
    edges = low * 2.0 ** (np.arange(0, 3 * np.log2(high / low) + 1e-9) / 3)
    first = np.ceil(edges * size / sample_rate).astype(int)
    total = np.diff(np.concatenate([[0.0], np.cumsum(power)])[first])
    count = np.diff(first)
    usable = (count > 0) & (total > _MIN_BAND_ENERGY * power.sum())
    if usable.sum() < 2:
        return float("nan")
    octave = np.log2(edges[:-1][usable])
    return float(np.polyfit(octave, 10 * np.log10(total[usable] / count[usable]), 1)[0])


def _fade_ends(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """Fade the signal in and out, since abrupt edges would bias the spectral slope."""
    size = min(int(_FRAME * sample_rate), signal.size // 2)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / max(size, 1))
    gain = np.ones(signal.size)
    gain[:size], gain[signal.size - size :] = rise, rise[::-1]
    return signal * gain


def _frames(signal: np.ndarray, sample_rate: float) -> np.ndarray:
    """Split a signal into overlapping frames, shape (frame, time), without pauses."""
    size, hop = int(_FRAME * sample_rate), int(_HOP * sample_rate)
    if signal.size < size:
        return np.empty((0, size))
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop]
    energy = np.mean(frames**2, axis=1)
    return frames[(energy > energy.max() * 10 ** (-_PAUSE_LEVEL / 10)) & (energy > 1e-9)]


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Compute the autocorrelation of each row with the FFT."""
    size = 1 << (2 * frames.shape[1] - 1).bit_length()
    return np.fft.irfft(np.abs(np.fft.rfft(frames, size)) ** 2, size)[:, : frames.shape[1]]
