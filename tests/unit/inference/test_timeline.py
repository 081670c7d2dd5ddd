"""A timeline: windows in order, silence marked, a summary by duration, the speech level of P.56."""

import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.speech_level import rms_level, speech_level
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.timeline import is_silence, summarise_timeline, timeline

RATE = 16000


class Model:
    """Model with the start of the window in hours as valence; records its batches."""

    info = SimpleNamespace(
        region_step=90, centre_radius=0.0, words={},
        scale=SimpleNamespace(restore=lambda vad: 4 + 3 * vad),
    )  # fmt: skip
    min_samples, max_pass_seconds, max_batch_seconds, tensors = 400, 600.0, None, False

    def __init__(self):
        self.batches = []

    def predict_batch(self, heard, *, words=0):
        self.batches.append([round(one.start, 3) for one in heard])
        return [
            Prediction(
                source=one.source, duration=one.duration, start=one.start, end=one.end,
                embedding=np.ones(2, dtype=np.float32), warnings=one.warnings,
                **locate([one.start / 3600, 0.5, -0.5], self.info),
            )
            for one in heard
        ]  # fmt: skip


def tone(seconds, decibels=-20.0):
    """A sine whose root mean square is so many dB of full scale."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (decibels / 20) * math.sqrt(2) * np.sin(2 * np.pi * 300 * time)).astype(
        np.float32
    )


@pytest.fixture
def write(tmp_path):
    def make(*parts):
        path = tmp_path / "recording.wav"
        soundfile.write(path, np.concatenate(parts), RATE, subtype="FLOAT")
        return path

    return make


def test_windows_in_order_of_time(write):
    model = Model()
    found = list(timeline(model, write(tone(7.5)), window=2, hop=1, batch_size=3))
    assert [(one.start, one.end) for one in found] == [
        (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 7.5),
    ]  # fmt: skip
    assert model.batches == [[0, 1, 2], [3, 4, 5], [6]]
    assert {one.duration for one in found} == {7.5}
    assert not any(map(is_silence, found))


def test_silence_is_not_predicted_and_is_marked(write):
    model = Model()
    path = write(tone(4), np.zeros(4 * RATE, dtype=np.float32), tone(2))
    found = list(timeline(model, path, window=2, hop=2, skip_silence=25, batch_size=2))
    assert [is_silence(one) for one in found] == [False, False, True, True, False]
    assert model.batches == [[0, 2], [8]]
    assert np.isnan(found[2].vad).all() and np.isnan(found[2].on_scale).all()
    assert (found[2].start, found[2].end, found[2].region) == (4.0, 6.0, "")


@pytest.mark.parametrize("skip, expected", [(15, True), (25, False)])
def test_silence_threshold_is_relative_to_the_recording(write, skip, expected):
    # quiet parts lie 20 dB below the speech, which itself is anywhere
    for loud in (-10, -50):
        path = write(tone(4, loud), tone(4, loud - 20))
        found = list(timeline(Model(), path, window=4, hop=4, skip_silence=skip))
        assert [is_silence(one) for one in found] == [False, expected]


def test_recording_without_speech_is_all_silence(write):
    found = list(timeline(Model(), write(np.zeros(8 * RATE)), window=2, hop=2, skip_silence=25))
    assert len(found) == 4 and all(map(is_silence, found))
    assert summarise_timeline(found).windows == summarise_timeline(found).silent == 4
    assert np.isnan(summarise_timeline(found).mean).all()


def test_without_skipping_silence_is_predicted_with_a_warning(write):
    found = list(timeline(Model(), write(np.zeros(2 * RATE)), window=2, hop=2))
    assert found[0].warnings == ("silent",) and np.isfinite(found[0].vad).all()


def test_long_silence_is_yielded_without_delay(write):
    path = write(tone(2), np.zeros(60 * RATE, dtype=np.float32), tone(2))
    model = Model()
    steps = timeline(model, path, window=2, hop=2, skip_silence=25, batch_size=2)
    for _ in range(10):
        next(steps)
    assert model.batches == [[0]]  # the second speech lies a minute on


def test_short_recording_gives_one_window(write):
    (found,) = timeline(Model(), write(tone(0.3)), window=4, hop=1)
    assert (found.start, found.end) == (0.0, 0.3)


def test_too_short_recording_is_rejected(write):
    with pytest.raises(AudioError, match=r"at least 0\.025 s are required; found 0\.0010 s"):
        list(timeline(Model(), write(tone(0.001))))


def test_damaged_recording_is_rejected_before_the_first_window(tmp_path):
    path = tmp_path / "cut.flac"
    drawn = 0.1 * np.random.default_rng(1).standard_normal(30 * RATE)
    soundfile.write(path, drawn, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut\.flac: damaged audio: .* of 30\.00 s lost"):
        next(timeline(Model(), path, window=1.0, hop=1.0))


def test_windows_before_a_change_of_the_file_are_yielded(tmp_path):
    path = tmp_path / "changed.flac"
    soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal(30 * RATE), RATE)
    found = []
    with pytest.raises(AudioError, match=r"changed\.flac: (damaged|truncated) audio"):
        for one in timeline(Model(), path, window=1.0, hop=1.0, batch_size=1):
            if not found:
                os.truncate(path, path.stat().st_size // 2)
            found.append(one)
    assert 1 <= len(found) < 20


@pytest.mark.parametrize(
    "options, match",
    [
        ({"window": 0.01}, "window must be at least 0.025 s"),
        ({"window": 601}, "at most 600 s"),
        ({"hop": 0}, "hop must be at least one sample"),
        ({"batch_size": 0}, "batch_size must be at least 1; found 0"),
        ({"skip_silence": 0}, "skip_silence must be a positive number of dB"),
        ({"skip_silence": math.nan}, "skip_silence must be"),
    ],
)
def test_invalid_options_are_rejected_before_reading(options, match):
    with pytest.raises(ValueError, match=match):
        timeline(Model(), "no such file.wav", **options)


def test_summary_weights_windows_by_duration(write):
    found = list(timeline(Model(), write(tone(5)), window=2, hop=2))
    whole = summarise_timeline(found)  # windows at 0, 2, 4 s: 2, 2 and 1 s long
    hours = np.array([0, 2, 4]) / 3600
    weights = np.array([2, 2, 1]) / 5
    assert whole.mean[0] == pytest.approx(weights @ hours)
    assert whole.sd[0] == pytest.approx(math.sqrt(weights @ (hours - weights @ hours) ** 2))
    assert whole.mean_on_scale[1] == pytest.approx(5.5)
    assert whole.shares() == {"V": pytest.approx(1.0)}  # +V +A -D
    assert (whole.windows, whole.silent, whole.weight, whole.end) == (3, 0, 5.0, 5.0)


# --- the speech level -------------------------------------------------------------------------


def p56(signal, rate):
    """ITU-T P.56 method B sample by sample, written from the Recommendation, 6 dB thresholds."""
    g, hangover = math.exp(-1 / (rate * 0.03)), round(0.2 * rate)
    thresholds = [2.0**-j for j in range(15, 0, -1)]
    counts, since = [0] * 15, [hangover] * 15
    p = q = square = 0.0
    for value in signal.tolist():
        square += value * value
        p = g * p + (1 - g) * abs(value)
        q = g * q + (1 - g) * p
        for j, threshold in enumerate(thresholds):
            if q >= threshold:
                counts[j], since[j] = counts[j] + 1, 0
            elif since[j] < hangover:
                counts[j], since[j] = counts[j] + 1, since[j] + 1
    before = None
    for count, threshold in zip(counts, thresholds, strict=True):
        active = 10 * math.log10(square / count)
        above = active - 20 * math.log10(threshold) - 15.9
        if above <= 0:
            share = before[1] / (before[1] - above)
            return before[0] + share * (active - before[0])
        before = (active, above)
    raise AssertionError("no crossing")


def bursts(seed):
    """Noise of changing loudness between pauses, at 2 kHz to keep the reference quick."""
    draw = np.random.default_rng(seed)
    parts = [
        part
        for _ in range(6)
        for part in (
            draw.uniform(0.03, 0.2) * draw.standard_normal(int(draw.uniform(600, 2000))),
            1e-4 * draw.standard_normal(int(draw.uniform(500, 4000))),
        )
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_speech_level_matches_p56(seed):
    signal = bursts(seed)
    found = speech_level([signal], 2000)
    assert found == pytest.approx(p56(signal, 2000), abs=0.5)  # 1 dB steps against 6 dB steps


def test_speech_level_does_not_depend_on_block_size():
    signal = bursts(3)
    expected = speech_level([signal], 2000)
    for size in (50, 333, 5000):
        parts = [signal[first : first + size] for first in range(0, len(signal), size)]
        assert speech_level(parts, 2000) == pytest.approx(expected, abs=1e-9)


def test_silence_around_it_does_not_change_the_speech_level():
    speech = tone(10)
    for seconds in (0, 10, 1000):
        silence = [np.zeros(seconds * RATE // 10, dtype=np.float32)] * 10
        assert speech_level([*silence, speech, *silence], RATE) == pytest.approx(-20, abs=0.3)


def test_silence_has_no_speech_level():
    assert speech_level([np.zeros(RATE)], RATE) == -math.inf
    assert speech_level([], RATE) == -math.inf
    assert rms_level(np.zeros(10)) == -math.inf
