"""Acoustic cues of valence, arousal and dominance in the synthetic speech.

============  =====================================================================
dimension     cues
============  =====================================================================
valence       pitch range, final rise, smile resonances, increasing loudness
arousal       loudness, speaking rate, pitch, little breath noise
dominance     low pitch, energy in the chest register, no tremor
============  =====================================================================

Some cues are visible in utterance-level features (loudness, pitch, tilt), which also vary between
voices and microphones. The others are visible only in the temporal course or in the resonances,
which a model must extract at the frame level.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.espeak import Synthesiser
from data_prep.synthetic.script import Sentence

SAMPLE_RATE = 16000
_ROOM_NOISE_DB = -54.0  # constant background noise, in dBFS
_EDGE_SECONDS = 0.12  # background noise before and after the speech, in seconds
_TREMOR_HZ = 7.5


@dataclass(frozen=True)
class Prosody:
    """Prosody and voice quality of a sentence.

    Arguments
    ---------
    rate, pitch, pitch_range : int
        Settings of eSpeak NG.
    level : float
        RMS level in dBFS, before the microphone gain.
    tilt : float
        Change of the spectral slope, in dB per octave around 1 kHz.
    smile : float
        Boost at 2.8 kHz relative to 1.3 kHz, in dB.
    chest : float
        Boost at 350 Hz, in dB.
    breath : float
        Level of the breath noise relative to the voice, in dB.
    tremor : float
        Depth of the amplitude modulation, 0 to 1.
    swell : float
        Increase of the loudness from start to end, in dB.
    rise : float
        Relative pitch rise over the last third; negative for a fall.
    gain : float
        Microphone gain in dB, applied to speech and background noise.
    """

    rate: int
    pitch: int
    pitch_range: int
    level: float
    tilt: float
    smile: float
    chest: float
    breath: float
    tremor: float
    swell: float
    rise: float
    gain: float


def prosody_of(sentence: Sentence, *, seed: int = 1) -> Prosody:
    """Compute the prosody of a sentence from its latent emotion and the habits of its speaker.

    Arguments
    ---------
    sentence : Sentence
        Sentence to synthesise.
    seed : int
        Random seed of the corpus, for speaker habits and random variation.

    Returns
    -------
    prosody : Prosody
        Synthesis settings.
    """
    speaker = np.random.default_rng([seed, 3, zlib.crc32(sentence.voice.name.encode())])
    habit = speaker.uniform(-1.0, 1.0, 5)
    rng = np.random.default_rng([seed, 4, sentence.number])
    valence, arousal, dominance = np.clip(sentence.vad + rng.normal(0.0, 0.05, 3), -1, 1).tolist()
    pace, pitch, melody, level = rng.normal(0.0, 1.0, 4)
    rate = 180 * np.exp(0.28 * arousal - 0.10 * dominance + 0.08 * habit[0] + 0.05 * pace)
    pitch = 50 + 12 * arousal + 8 * valence - 14 * dominance + 8 * habit[1] + 4 * pitch
    melody = 50 + 28 * valence + 10 * arousal + 8 * habit[2] + 5 * melody
    return Prosody(
        rate=round(rate),
        pitch=round(np.clip(pitch, 1, 99)),
        pitch_range=round(np.clip(melody, 0, 99)),
        level=-28.0 + 4.5 * arousal + 1.5 * dominance + 2.0 * level,
        tilt=1.0 * arousal + 1.2 * valence + 0.8 * habit[3],
        smile=8.0 * valence,
        chest=7.0 * dominance,
        breath=-20.0 - 9.0 * arousal,
        tremor=0.32 * (1.0 - dominance),
        swell=8.0 * valence,
        rise=0.15 * valence,
        gain=2.0 * habit[4],
    )


def synthesise_sentence(
    sentence: Sentence, synthesiser: Synthesiser, *, seed: int = 1
) -> np.ndarray:
    """Synthesise one sentence.

    Arguments
    ---------
    sentence : Sentence
        Sentence with its speaker and latent emotion.
    synthesiser : Synthesiser
        Speech synthesiser.
    seed : int
        Random seed of the corpus.

    Returns
    -------
    samples : np.ndarray
        Shape (time,), float32 in [-1, 1], at 16 kHz.
    """
    how = prosody_of(sentence, seed=seed)
    rng = np.random.default_rng([seed, 5, sentence.number])
    voice, rate = synthesiser.speak(
        sentence.text,
        voice=sentence.voice.name,
        rate=how.rate,
        pitch=how.pitch,
        pitch_range=how.pitch_range,
    )
    samples = _shape_spectrum(_trim_pauses(voice, rate), rate, how)
    samples = _bend_pitch(samples, 2 * rate, how.rise)
    samples = _add_breath(samples, how.breath, rng)
    samples = samples * _loudness_contour(len(samples), how, rng)
    samples *= _from_decibels(how.level) / np.sqrt(np.mean(samples**2))
    samples += _from_decibels(_ROOM_NOISE_DB) * rng.standard_normal(len(samples), np.float32)
    return np.clip(samples * _from_decibels(how.gain), -1.0, 1.0).astype(np.float32)


def resample_voice(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample a signal by truncating or zero-padding its spectrum.

    Arguments
    ---------
    samples : np.ndarray
        Shape (time,).
    rate, target : int
        Current and new sampling rate in Hz.

    Returns
    -------
    samples : np.ndarray
        Shape (time * target / rate, rounded), float32.
    """
    wanted = round(len(samples) * target / rate)
    if target % rate == 0:  # the FFT is fast for lengths with small prime factors
        samples = np.pad(samples, (0, -len(samples) % 1600))
    size = round(len(samples) * target / rate)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    return (np.fft.irfft(spectrum, size) * (size / len(samples))).astype(np.float32)[:wanted]


def _from_decibels(level: float) -> np.float32:
    """Convert a level in dB to an amplitude factor."""
    return np.float32(10.0 ** (level / 20.0))


def _trim_pauses(samples: np.ndarray, rate: int) -> np.ndarray:
    """Trim silence to a fixed length on both sides, so that it does not identify the voice."""
    active = np.flatnonzero(np.abs(samples) > 1e-3)
    return np.pad(samples[active[0] : active[-1] + 1], int(_EDGE_SECONDS * rate))


def _shape_spectrum(samples: np.ndarray, rate: int, how: Prosody) -> np.ndarray:
    """Apply spectral tilt and resonances, and double the sampling rate.

    Both are applied in the frequency domain. The doubled rate makes the subsequent linear
    interpolation sufficiently accurate.
    """
    size = -(-len(samples) // 4410) * 4410  # the FFT is fast for lengths with small prime factors
    octave = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 50.0) / 1000.0)
    gain = how.tilt * octave + how.chest * _resonance(octave, 350.0, 0.45)
    gain += how.smile * (_resonance(octave, 2800.0, 0.30) - _resonance(octave, 1300.0, 0.35))
    low_pass = 1.0 / (1.0 + 2.0 ** (24.0 * (octave - np.log2(7.4))))  # target: 16 kHz
    shape = (2.0 * low_pass * 10.0 ** (gain / 20.0)).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(samples, size) * shape, 2 * size)[: 2 * len(samples)]


def _resonance(octave: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Return a Gaussian on the logarithmic frequency axis (centre in Hz, width in octaves)."""
    return np.exp(-0.5 * ((octave - np.log2(centre / 1000.0)) / width) ** 2)


def _bend_pitch(samples: np.ndarray, rate: int, rise: float) -> np.ndarray:
    """Resample to 16 kHz, with a pitch rise or fall over the last third of the utterance."""
    size = len(samples) * SAMPLE_RATE // rate
    speed = 1.0 + rise * np.clip(3.0 * np.arange(size) / size - 2.0, 0.0, 1.0)
    place = np.cumsum(speed)
    place *= (len(samples) - 2) / place[-1]
    index = place.astype(np.int64)
    part = (place - index).astype(np.float32)
    return samples[index] + part * (samples[index + 1] - samples[index])


def _add_breath(samples: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add breath noise that follows the loudness of the voice."""
    width = SAMPLE_RATE // 50
    power = np.cumsum(np.pad(samples.astype(np.float64) ** 2, width // 2 + 1))
    loudness = np.sqrt(np.maximum(power[width:] - power[:-width], 0.0)[: len(samples)] / width)
    hiss = np.diff(rng.standard_normal(len(samples) + 1, np.float32))
    return samples + _from_decibels(level - 3.0) * loudness.astype(np.float32) * hiss


def _loudness_contour(size: int, how: Prosody, rng: np.random.Generator) -> np.ndarray:
    """Return the gain over time: tremor (low dominance) and swell (valence)."""
    time = np.arange(size, dtype=np.float32) / SAMPLE_RATE
    tremor = 1.0 + how.tremor * np.sin(
        2 * np.pi * (_TREMOR_HZ * time + rng.random(dtype=np.float32))
    )
    return tremor * 10.0 ** (how.swell * (time / time[-1] - 0.5) / 20.0)
