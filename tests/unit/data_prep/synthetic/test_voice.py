"""Acoustic cues of valence, arousal and dominance in synthetic speech."""

import dataclasses

import numpy as np
import pytest

from data_prep.synthetic import espeak
from data_prep.synthetic.layouts.msp_podcast import LAYOUT
from data_prep.synthetic.voice import SAMPLE_RATE, prosody_of, resample_voice, synthesise_sentence

needs_espeak = pytest.mark.skipif(
    not espeak.is_installed(), reason="espeakng-loader (extra 'demo') is not installed"
)


@pytest.fixture(scope="module")
def sentences():
    return LAYOUT.script({"Train": 10}, seed=1)


def altered(item, dimension, value):
    """Return an utterance with one latent dimension at ``value`` and the others at 0."""
    vad = [0.0, 0.0, 0.0]
    vad[dimension] = value
    return dataclasses.replace(item, vad=tuple(vad))


@pytest.mark.parametrize(
    ("dimension", "own"),
    [(0, {"smile", "swell", "rise"}), (1, {"breath"}), (2, {"chest", "tremor"})],
)
def test_each_dimension_has_its_own_cues(sentences, dimension, own):
    low, high = (
        dataclasses.asdict(prosody_of(altered(sentences[7], dimension, value)))
        for value in (-0.8, 0.8)
    )
    changed = {name for name in low if low[name] != high[name]}
    assert own <= changed
    others = {"smile", "swell", "rise", "breath", "chest", "tremor"} - own
    assert not others & changed


@needs_espeak
def test_arousal_is_louder_and_faster(sentences):
    calm, active = (
        synthesise_sentence(altered(sentences[3], 1, a), espeak.Synthesiser()) for a in (-0.9, 0.9)
    )
    assert len(active) < 0.75 * len(calm)
    assert 10 * np.log10(np.mean(active**2) / np.mean(calm**2)) > 5.0


def band_level(samples, low, high):
    """Return the fraction of the power in a frequency band, in dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return 10 * np.log10(power[(frequency >= low) & (frequency < high)].sum() / power.sum())


@needs_espeak
def test_valence_boosts_the_smile_resonances(sentences):
    sad, happy = (
        synthesise_sentence(altered(sentences[3], 0, v), espeak.Synthesiser()) for v in (-0.9, 0.9)
    )

    def smile(samples):
        return band_level(samples, 2300, 3400) - band_level(samples, 1000, 1700)

    assert smile(happy) - smile(sad) > 10.0


@needs_espeak
def test_dominance_boosts_low_frequencies_without_tremor(sentences):
    meek, firm = (
        synthesise_sentence(altered(sentences[3], 2, d), espeak.Synthesiser()) for d in (-0.9, 0.9)
    )

    def tremor(samples):
        power = samples.astype(float) ** 2
        wave = np.exp(-2j * np.pi * 7.5 * np.arange(len(power)) / SAMPLE_RATE)
        return abs(power @ wave) / power.sum()

    assert band_level(firm, 250, 500) > band_level(meek, 250, 500) + 2.0
    assert tremor(meek) > 2 * tremor(firm)


@needs_espeak
def test_speech_is_16_khz_float32_without_clipping(sentences):
    samples = synthesise_sentence(sentences[0], espeak.Synthesiser())
    assert samples.dtype == np.float32
    assert 1.0 < len(samples) / SAMPLE_RATE < 6.5
    assert 0.01 < np.abs(samples).max() < 1.0


def test_resampling_keeps_a_tone_and_its_duration():
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    np.testing.assert_allclose(resample_voice(tone, 16000, 44100), expected, atol=1e-5)
    np.testing.assert_allclose(resample_voice(expected, 44100, 16000), tone, atol=1e-5)


def test_resampling_to_a_multiple_keeps_the_original_samples():
    noise = np.random.default_rng(0).standard_normal(1600)
    noise = np.convolve(noise, [0.5, 0.5]).astype(np.float32)  # removes the Nyquist frequency
    fine = resample_voice(noise, 16000, 48000)
    assert fine.dtype == np.float32 and len(fine) == 4803
    np.testing.assert_allclose(fine[::3], noise, atol=1e-4)
