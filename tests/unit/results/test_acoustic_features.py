"""Tests of acoustic features on signals with known values."""

import numpy as np
import pytest

from emosphere_sb.results.acoustic_features import acoustic_features, pitch_track, spectral_tilt

RATE = 16000


def pulses(pitch, *, seconds=1.0, rate=RATE):
    """A buzz with the given pitch: a number, or one for each sample."""
    size = round(seconds * rate)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, size)) / rate
    return sum(np.sin(k * phase) / k for k in range(1, 11))


def test_duration_is_samples_by_sampling_rate():
    assert acoustic_features(np.ones(12000), 8000)[0] == 1.5


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, -3.0103), (0.1, -23.0103)])
def test_level_of_sine(amplitude, level):
    sine = amplitude * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert acoustic_features(sine, RATE)[1] == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("pitch", [75, 110, 220, 380])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_pitch_of_pulse_train(pitch, rate):
    track = pitch_track(pulses(pitch, rate=rate), rate)
    assert len(track) > 40
    np.testing.assert_allclose(track, pitch, rtol=0.01)


def test_pitch_is_robust_to_noise():
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    track = pitch_track(pulses(150, seconds=2.0) + 0.2 * noise, RATE)
    assert np.median(track) == pytest.approx(150, rel=0.01)


def test_noise_has_no_pitch():
    noise = np.random.default_rng(0).standard_normal(RATE)
    features = acoustic_features(noise, RATE)
    assert np.isnan(features[2:4]).all() and np.isfinite(features[[0, 1, 4]]).all()


def test_pitch_mean_and_range_of_octave_glide():
    glide = 100.0 * 2.0 ** np.linspace(0.0, 1.0, 2 * RATE)
    _, _, mean, spread, _ = acoustic_features(pulses(glide, seconds=2.0), RATE)
    assert mean == pytest.approx(6.0, abs=0.2)  # semitones above 100 Hz
    assert spread == pytest.approx(0.8 * 12, abs=0.4)  # from the 10th to the 90th percentile


def test_pause_does_not_change_pitch_features():
    speech = pulses(150.0 * 2.0 ** (0.3 * np.sin(2 * np.pi * 3 * np.arange(RATE) / RATE)))
    paused = np.concatenate([speech, np.zeros(RATE)])
    expected = acoustic_features(speech, RATE)[2:4]
    np.testing.assert_allclose(acoustic_features(paused, RATE)[2:4], expected, atol=0.3)


@pytest.mark.parametrize("slope", [-12.0, -6.0, 0.0, 3.0])
def test_tilt_of_noise_with_known_slope(slope):
    size = 4 * RATE
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 20.0)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(size))
    noise = np.fft.irfft(spectrum * 10.0 ** (slope * np.log2(frequency / 1000.0) / 20.0), size)
    assert spectral_tilt(noise, RATE) == pytest.approx(slope, abs=0.3)


def test_channels_are_averaged():
    buzz = pulses(150)
    stereo = np.stack([1.5 * buzz, 0.5 * buzz], axis=1)
    np.testing.assert_allclose(acoustic_features(stereo, RATE), acoustic_features(buzz, RATE))


def test_digital_silence_has_level_floor_but_no_pitch_or_tilt():
    duration, level, *others = acoustic_features(np.zeros(RATE), RATE)
    assert (duration, level) == (1.0, -100.0)
    assert np.isnan(others).all()


def test_signal_shorter_than_frame_has_no_pitch():
    assert np.isnan(acoustic_features(pulses(150, seconds=0.03), RATE)[2:4]).all()


@pytest.mark.parametrize(("size", "rate"), [(0, RATE), (100, 500)])
def test_empty_signal_or_invalid_rate_raises(size, rate):
    with pytest.raises(ValueError, match=f"found {size} samples at {rate} Hz"):
        acoustic_features(np.zeros(size), rate)
