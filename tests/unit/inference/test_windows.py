"""Positions and samples of windows, and averaged predictions."""

import gc
import math
import os
import struct
import sys
import tracemalloc
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import read_mono_blocks
from emosphere_sb.audio.resampling import resample_blocks
from emosphere_sb.inference import windows
from emosphere_sb.inference.waveform import Waveform, load_file
from emosphere_sb.inference.windows import WindowPlan, cut_windows, file_windows, plan_windows

RATE = 16000


def noise(samples, channels=1, seed=0):
    drawn = 0.1 * np.random.default_rng(seed).standard_normal((samples, channels))
    return drawn.astype(np.float32).squeeze()


def pieces(signal, size):
    return [signal[first : first + size] for first in range(0, len(signal), size)]


def places(length, window, hop, least=1, size=7):
    found = list(cut_windows(pieces(np.arange(length), size), WindowPlan(window, hop, least)))
    for start, part in found:  # every window holds the samples of its place
        assert part.tolist() == list(range(start, start + len(part)))
    return [(start, start + len(part)) for start, part in found]


def without_length(path):
    """FLAC as it is written to a pipe: no number of samples in its STREAMINFO."""
    whole = bytearray(path.read_bytes())
    whole[21] &= 0xF0  # the last 36 bits before the MD5 sum
    whole[22:26] = bytes(4)
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    "length, window, hop, expected",
    [
        (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),  # the last one ends with the signal
        (11, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10), (8, 11)]),  # one shorter window
        (4, 4, 2, [(0, 4)]),
        (3, 4, 2, [(0, 3)]),  # shorter than a window
        (12, 4, 4, [(0, 4), (4, 8), (8, 12)]),
        (13, 4, 4, [(0, 4), (4, 8), (8, 12), (12, 13)]),
        (12, 2, 5, [(0, 2), (5, 7), (10, 12)]),  # a hop above the window leaves gaps
        (9, 2, 5, [(0, 2), (5, 7)]),  # the signal ends in a gap
        (0, 4, 2, []),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_window_positions(length, window, hop, expected, size):
    assert places(length, window, hop, size=size) == expected


@pytest.mark.parametrize("size", [1, 4, 100])
def test_last_window_starts_earlier_to_reach_minimum_length(size):
    assert places(13, 4, 4, least=3, size=size) == [(0, 4), (4, 8), (8, 12), (10, 13)]
    assert places(2, 4, 4, least=3, size=size) == [(0, 2)]  # there is no more


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_block_resampling_matches_full_resampling(rate):
    signal = noise(int(1.3 * rate) + 7)
    found = np.concatenate(list(resample_blocks(pieces(signal, 5001), rate)))
    whole = resample(torch.from_numpy(signal), rate, RATE).numpy()
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, atol=1e-4, rtol=0)


def test_number_of_samples_at_odd_rates():
    signal = noise(44101)
    assert sum(len(part) for part in resample_blocks(pieces(signal, 9999), 44101)) == RATE


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_windows_match_slices_of_the_file(tmp_path, kind):
    path = tmp_path / f"déjà vu.{kind}"
    soundfile.write(path, noise(5 * 44100, channels=2), 44100)
    whole = load_file(path).signal.numpy()
    found = list(file_windows(path, WindowPlan(2 * RATE, RATE, 1)))
    assert [(one.start, one.end) for one in found] == [(0, 2), (1, 3), (2, 4), (3, 5)]
    for one in found:
        first = round(one.start * RATE)
        np.testing.assert_allclose(
            one.signal.numpy(), whole[first : first + 2 * RATE], atol=1e-4, rtol=0
        )
        assert one.duration == 5.0


@pytest.mark.parametrize(
    "rate, channels, subtype", [(8000, 1, "PCM_U8"), (96000, 2, "PCM_24"), (48000, 6, "FLOAT")]
)
def test_odd_formats(tmp_path, rate, channels, subtype):
    path = tmp_path / "odd.wav"
    soundfile.write(path, noise(2 * rate, channels), rate, subtype=subtype)
    found = list(file_windows(path, WindowPlan(RATE, RATE, 1)))
    heard = np.concatenate([one.signal for one in found])
    np.testing.assert_allclose(heard, load_file(path).signal, atol=1e-4)


def test_a_header_without_length(tmp_path):
    path = tmp_path / "piped.flac"
    soundfile.write(path, noise(3 * RATE), RATE)
    expected, _ = soundfile.read(path, dtype="float32")
    without_length(path)
    assert soundfile.info(path).frames > 2**60  # else this tests nothing
    assert check_audio(path)[:2] == (3 * RATE, RATE)
    found = list(file_windows(path, WindowPlan(RATE, RATE, 1)))
    np.testing.assert_array_equal(np.concatenate([one.signal for one in found]), expected)
    assert found[-1].warnings == ()
    np.testing.assert_array_equal(load_file(path).signal, expected)  # utterances as well
    np.testing.assert_array_equal(load_file(path, seconds=0.5).signal, expected[: RATE // 2])


def test_file_that_ends_early_is_rejected_before_the_first_window(tmp_path):
    path = tmp_path / "cut.mp3"
    soundfile.write(path, noise(6 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reason = r"cut\.mp3: truncated audio: 3\.\d\d s of 6\.\d\d s lost"
    with pytest.raises(AudioError, match=reason):
        next(file_windows(path, WindowPlan(RATE, RATE, 1)))
    for seconds in (None, 1.0):  # as an utterance too, whatever part is used
        with pytest.raises(AudioError, match=reason):
            load_file(path, seconds=seconds)


@pytest.mark.skipif(sys.platform != "linux", reason="such a name must be allowed by the system")
def test_non_utf8_file_names(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    soundfile.write(open(path, "wb"), noise(RATE), RATE, format="WAV")  # noqa: SIM115
    (found,) = file_windows(path, WindowPlan(RATE, RATE, 1))
    assert found.source == path and check_audio(path)[:2] == (RATE, RATE)
    assert len(load_file(path).signal) == RATE


def test_damaged_file_is_rejected_before_the_first_window(tmp_path):
    path = tmp_path / "cut.flac"
    soundfile.write(path, noise(30 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut\.flac: damaged audio: .* of 30\.00 s lost"):
        next(file_windows(path, WindowPlan(RATE, RATE, 1)))


def test_windows_before_a_change_of_the_file_are_yielded(tmp_path):
    path = tmp_path / "changed.flac"
    soundfile.write(path, noise(30 * RATE), RATE)
    windows, found = file_windows(path, WindowPlan(RATE, RATE, 1)), []
    with pytest.raises(AudioError, match=r"changed\.flac: (damaged|truncated) audio"):
        for one in windows:
            found.append(one)
            os.truncate(path, path.stat().st_size // 2 if len(found) == 1 else path.stat().st_size)
    assert 1 <= len(found) < 20


def test_non_finite_values_are_rejected(tmp_path):
    path = tmp_path / "nan.wav"
    signal = noise(RATE)
    signal[100] = math.nan
    soundfile.write(path, signal, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="non-finite samples"):
        list(read_mono_blocks(path))


def test_header_with_day_long_duration_uses_no_memory(tmp_path):
    path = tmp_path / "day.wav"
    samples = 24 * 3600 * 8000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", samples + 36, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8,
        b"data", samples,
    )  # fmt: skip
    with open(path, "wb") as file:  # a hole: no disk, no time
        file.write(head)
        file.truncate(samples + len(head))
    assert check_audio(path).duration == 86400.0
    first = next(file_windows(path, WindowPlan(4 * RATE, RATE, RATE)))
    assert (first.start, first.end, first.duration) == (0.0, 4.0, 86400.0)


# --- the mean over windows -------------------------------------------------------------------


class Model:
    """Model with the mean sample as valence, and length and sum of the samples as embedding."""

    info = SimpleNamespace(
        region_step=90, centre_radius=0.0, words={"up": [1, 0, 0], "down": [-1, 0, 0]},
        scale=SimpleNamespace(restore=lambda vad: 4 + 3 * vad),
    )  # fmt: skip
    min_samples = 400

    def __init__(self):
        self.batches = []

    def predict_batch(self, heard, *, words=0):
        self.batches.append(len(heard))
        return [self.answer(one) for one in heard]

    def answer(self, one):
        from emosphere_sb.inference.locate import locate
        from emosphere_sb.inference.prediction import Prediction, scale_warnings

        mean = float(np.mean(np.asarray(one.signal)))
        return Prediction(
            source=one.source, duration=one.duration, start=one.start, end=one.end,
            embedding=np.array([len(one.signal), 1.0], dtype=np.float32),
            probabilities={"a": mean, "b": 1 - mean}, head="emotion",
            warnings=(*one.warnings, *scale_warnings(np.array([mean, 0.5, -0.5]))),
            **locate([mean, 0.5, -0.5], self.info, words=0),
        )  # fmt: skip


@pytest.fixture
def three_seconds(tmp_path):
    """0.2 for two seconds, then 0.5 for one."""
    path = tmp_path / "steps.wav"
    signal = np.repeat(np.float32([0.2, 0.2, 0.5]), RATE)
    soundfile.write(path, signal, RATE, subtype="FLOAT")
    return path


def test_memory_does_not_grow_with_the_number_of_windows():
    def peak(count):
        noise_window = noise(1600)
        utterance = (
            Waveform("long.wav", noise_window, count * 0.1, start=0.1 * number)
            for number in range(count)
        )
        model = Model()
        model.batches = deque(maxlen=1)
        gc.collect()
        tracemalloc.start()
        (found,) = windows.predict_windowed(model, [utterance], batch_size=4, words=0)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.windows == count
        assert found.valence == pytest.approx(float(noise_window.mean()), abs=1e-9)
        return size

    # Not fewer: up to hundreds of objects wait for the garbage collector.
    assert peak(4000) < 1.2 * peak(1000)


def test_the_mean_is_weighted_by_duration(three_seconds):
    parts = file_windows(three_seconds, WindowPlan(2 * RATE, 2 * RATE, 1))
    (found,) = windows.predict_windowed(Model(), [parts], batch_size=4, words=1)
    assert found.valence == pytest.approx((2 * 0.2 + 1 * 0.5) / 3, abs=1e-6)
    assert found.on_scale[0] == pytest.approx(4 + 3 * 0.3, abs=1e-6)
    assert found.embedding.tolist() == pytest.approx([RATE * (2 * 2 + 1 * 1) / 3, 1.0])
    assert found.probabilities["b"] == pytest.approx(0.7, abs=1e-6)
    assert (found.start, found.end, found.duration, found.windows) == (0.0, 3.0, 3.0, 2)
    assert found.region == "V"  # +V +A -D
    assert found.radius == pytest.approx(math.sqrt(0.3**2 + 0.5), abs=1e-6)
    assert [word for word, _ in found.words] == ["up"]


def test_windows_of_several_utterances_share_batches_and_keep_their_order(three_seconds, tmp_path):
    other = tmp_path / "other.wav"
    soundfile.write(other, np.full(RATE, 0.7, dtype=np.float32), RATE, subtype="FLOAT")
    how, model = WindowPlan(RATE, RATE, 1), Model()
    paths = [three_seconds, other, tmp_path / "missing.wav", three_seconds]
    found = list(
        windows.predict_windowed(
            model, [file_windows(p, how) for p in paths], batch_size=2, words=0
        )
    )
    assert model.batches == [2, 2, 2, 1]  # 3 + 1 + 0 + 3 windows
    assert [round(one.valence, 6) for one in (found[0], found[1], found[3])] == [0.3, 0.7, 0.3]
    assert isinstance(found[2], AudioError)


def test_silent_warning_requires_all_windows_silent(tmp_path):
    path = tmp_path / "half.wav"
    soundfile.write(path, np.concatenate([np.zeros(RATE), noise(RATE)]), RATE)
    (found,) = windows.predict_windowed(
        Model(), [file_windows(path, WindowPlan(RATE, RATE, 1))], batch_size=4, words=0
    )
    assert found.warnings == ()
    soundfile.write(path, np.zeros(2 * RATE), RATE)
    (found,) = windows.predict_windowed(
        Model(), [file_windows(path, WindowPlan(RATE, RATE, 1))], batch_size=4, words=0
    )
    assert found.warnings == ("silent",)


@pytest.mark.parametrize("loudest, expected", [(1.5, ()), (1.9, ("off scale",))])
def test_off_scale_warning_refers_to_the_mean(tmp_path, loudest, expected):
    """Means of .2 and ``loudest``: .85 and 1.05."""
    path = tmp_path / "steps.wav"
    soundfile.write(path, np.repeat(np.float32([0.2, loudest]), RATE), RATE, subtype="FLOAT")
    plan = WindowPlan(RATE, RATE, 1)
    (found,) = windows.predict_windowed(Model(), [file_windows(path, plan)], batch_size=4, words=0)
    assert tuple(text for text in found.warnings if text == "off scale") == expected


def test_plan_windows_converts_to_samples():
    assert plan_windows(Model(), 4.0, 1.0) == WindowPlan(64000, 16000, 16000)
    assert plan_windows(Model(), 0.5, 0.25) == WindowPlan(8000, 4000, 8000)  # at most the window


@pytest.mark.parametrize(
    "window, hop, match",
    [
        (0.01, 1.0, "window must be at least 0.025 s and at most 30 s"),
        (31.0, 1.0, "at most 30 s for this model; found 31"),
        (math.nan, 1.0, "window must be"),
        (4.0, 0.0, "hop must be at least one sample"),
        (4.0, -1.0, "hop must be at least one sample"),
        (4.0, math.inf, "hop must be at least one sample"),
    ],
)
def test_invalid_plans(window, hop, match):
    with pytest.raises(ValueError, match=match):
        plan_windows(Model(), window, hop, max_seconds=30.0)
