"""The sound of the synthetic demo corpus: how valence, arousal and dominance are heard.

============  =====================================================================
dimension     heard in
============  =====================================================================
valence       pitch range, final rise, resonances of a smile, swelling loudness
arousal       loudness, rate, pitch, little breath
dominance     low pitch, weight in the chest register, steadiness (no tremor)
============  =====================================================================

Some of these show in figures of the whole utterance (loudness, pitch, tilt), which voices and
microphones blur; the others only in how the sound moves or where its resonances lie, which a
model has to hear frame by frame.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.espeak import Synthesiser
from data_prep.synthetic.script import Spoken

SAMPLE_RATE = 16000
_ROOM = -54.0  # dB of full scale: the constant noise of every recording
_EDGE = 0.12  # seconds of room before and after the speech
_TREMOR = 7.5  # Hz


@dataclass(frozen=True)
class Manner:
    """The settings that turn a sentence into emotional speech.

    Arguments
    ---------
    rate, pitch, pitch_range : int
        eSpeak's settings.
    level : float
        RMS in dB of full scale, before the microphone.
    tilt : float
        Change of the spectrum's slope, in dB per octave around 1 kHz.
    smile : float
        Lift of the resonances at 2.8 kHz against those at 1.3 kHz, in dB.
    chest : float
        Lift at 350 Hz, in dB.
    breath : float
        Breath noise under the voice, in dB relative to it.
    tremor : float
        Depth of the trembling of the loudness, 0 to 1.
    swell : float
        Rise of the loudness from the start to the end, in dB.
    rise : float
        Rise of the pitch over the last third, relative; negative for a fall.
    gain : float
        Of the speaker's microphone, in dB: room and speech alike.
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


def manner(spoken: Spoken, *, seed: int = 1) -> Manner:
    """How an utterance's latent emotion and its speaker's habits shape its sound.

    Arguments
    ---------
    spoken : Spoken
        The utterance.
    seed : int
        Of the corpus: speakers' habits and small accidents are drawn from it.

    Returns
    -------
    manner : Manner
        Settings of the synthesis.
    """
    speaker = np.random.default_rng([seed, 3, zlib.crc32(spoken.voice.name.encode())])
    habit = speaker.uniform(-1.0, 1.0, 5)
    rng = np.random.default_rng([seed, 4, spoken.number])
    valence, arousal, dominance = np.clip(spoken.vad + rng.normal(0.0, 0.05, 3), -1, 1).tolist()
    pace, pitch, melody, level = rng.normal(0.0, 1.0, 4)
    rate = 180 * np.exp(0.28 * arousal - 0.10 * dominance + 0.08 * habit[0] + 0.05 * pace)
    pitch = 50 + 12 * arousal + 8 * valence - 14 * dominance + 8 * habit[1] + 4 * pitch
    melody = 50 + 28 * valence + 10 * arousal + 8 * habit[2] + 5 * melody
    return Manner(
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


def speak(spoken: Spoken, synthesiser: Synthesiser, *, seed: int = 1) -> np.ndarray:
    """Samples of one utterance.

    Arguments
    ---------
    spoken : Spoken
        What to say and in which state.
    synthesiser : Synthesiser
        eSpeak NG.
    seed : int
        Of the corpus.

    Returns
    -------
    samples : np.ndarray
        Shape (time,), float32 in [-1, 1], at 16 kHz.
    """
    how = manner(spoken, seed=seed)
    rng = np.random.default_rng([seed, 5, spoken.number])
    voice, rate = synthesiser.speak(
        spoken.text,
        voice=spoken.voice.name,
        rate=how.rate,
        pitch=how.pitch,
        pitch_range=how.pitch_range,
    )
    samples = _coloured(_trimmed(voice, rate), rate, how)
    samples = _bent(samples, 2 * rate, how.rise)
    samples = _breathy(samples, how.breath, rng)
    samples = samples * _contour(len(samples), how, rng)
    samples *= _amplitude(how.level) / np.sqrt(np.mean(samples**2))
    samples += _amplitude(_ROOM) * rng.standard_normal(len(samples), np.float32)
    return np.clip(samples * _amplitude(how.gain), -1.0, 1.0).astype(np.float32)


def resampled(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Another sample rate, by cutting or padding the spectrum.

    Arguments
    ---------
    samples : np.ndarray
        Shape (time,).
    rate, target : int
        Sample rate that is and that is wanted, in Hz.

    Returns
    -------
    samples : np.ndarray
        Shape (time * target / rate, rounded), float32.
    """
    wanted = round(len(samples) * target / rate)
    if target % rate == 0:  # a length that is a product of small primes transforms fast
        samples = np.pad(samples, (0, -len(samples) % 1600))
    size = round(len(samples) * target / rate)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    return (np.fft.irfft(spectrum, size) * (size / len(samples))).astype(np.float32)[:wanted]


def _amplitude(level: float) -> np.float32:
    """Of a level in dB."""
    return np.float32(10.0 ** (level / 20.0))


def _trimmed(samples: np.ndarray, rate: int) -> np.ndarray:
    """The speech alone, with a little silence on either side: pauses must not tell the voice."""
    active = np.flatnonzero(np.abs(samples) > 1e-3)
    return np.pad(samples[active[0] : active[-1] + 1], int(_EDGE * rate))


def _coloured(samples: np.ndarray, rate: int, how: Manner) -> np.ndarray:
    """Tilt and resonances of the manner, at twice the sample rate.

    Both are one product in the frequency domain; doubling the rate there makes the linear
    interpolation that follows accurate enough.
    """
    size = -(-len(samples) // 4410) * 4410  # a product of small primes transforms fast
    octave = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 50.0) / 1000.0)
    gain = how.tilt * octave + how.chest * _hill(octave, 350.0, 0.45)
    gain += how.smile * (_hill(octave, 2800.0, 0.30) - _hill(octave, 1300.0, 0.35))
    low_pass = 1.0 / (1.0 + 2.0 ** (24.0 * (octave - np.log2(7.4))))  # 16 kHz is the target
    shape = (2.0 * low_pass * 10.0 ** (gain / 20.0)).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(samples, size) * shape, 2 * size)[: 2 * len(samples)]


def _hill(octave: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A bell over the logarithmic frequency axis: centre in Hz, width in octaves."""
    return np.exp(-0.5 * ((octave - np.log2(centre / 1000.0)) / width) ** 2)


def _bent(samples: np.ndarray, rate: int, rise: float) -> np.ndarray:
    """16 kHz, with a pitch that rises or falls over the last third of the utterance."""
    size = len(samples) * SAMPLE_RATE // rate
    speed = 1.0 + rise * np.clip(3.0 * np.arange(size) / size - 2.0, 0.0, 1.0)
    place = np.cumsum(speed)
    place *= (len(samples) - 2) / place[-1]
    index = place.astype(np.int64)
    part = (place - index).astype(np.float32)
    return samples[index] + part * (samples[index + 1] - samples[index])


def _breathy(samples: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Hiss that follows the loudness of the voice."""
    width = SAMPLE_RATE // 50
    power = np.cumsum(np.pad(samples.astype(np.float64) ** 2, width // 2 + 1))
    loudness = np.sqrt(np.maximum(power[width:] - power[:-width], 0.0)[: len(samples)] / width)
    hiss = np.diff(rng.standard_normal(len(samples) + 1, np.float32))
    return samples + _amplitude(level - 3.0) * loudness.astype(np.float32) * hiss


def _contour(size: int, how: Manner, rng: np.random.Generator) -> np.ndarray:
    """Gain over time: the tremor of the yielding, the swell of the pleased."""
    time = np.arange(size, dtype=np.float32) / SAMPLE_RATE
    tremor = 1.0 + how.tremor * np.sin(2 * np.pi * (_TREMOR * time + rng.random(dtype=np.float32)))
    return tremor * 10.0 ** (how.swell * (time / time[-1] - 0.5) / 20.0)
