"""Detection of speech: the rule by hand, the network against one frame at a time, real sounds."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from data_prep.synthetic import espeak
from emosphere_sb.audio.resampling import resample
from emosphere_sb.inference import speech_detection
from emosphere_sb.inference.evaluation import predict_set
from emosphere_sb.inference.speech_detection import (
    SpeechCounts,
    load_detector,
    normalise_level,
    weights_path,
)
from emosphere_sb.onnx_export.export import ccc_on_files
from tests.helpers.fixed_model import levels_model

RATE = 16_000


def noise(seconds, seed=0, level=0.1):
    samples = level * np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return samples.clip(-1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def speech():
    """A synthesised sentence at 16 kHz."""
    if not espeak.is_installed():
        pytest.skip("the 'demo' extra is not installed")
    samples, rate = espeak.Synthesiser().speak("The boat is near the river.", voice="en-us+m3")
    return resample(samples, rate, RATE)


# --- the rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "seconds", "expected"),
    [
        ((100, 0, 0), 3.2, ("no speech detected",)),
        ((100, 0, 3), 3.2, ("no speech detected",)),  # 0.096 s of possible speech
        ((100, 0, 4), 3.2, ("little speech detected",)),  # 0.128 s
        ((100, 19, 50), 3.2, ("little speech detected",)),
        ((100, 20, 50), 3.2, ()),
        ((100, 100, 100), 3.2, ()),
        ((200, 0, 5), 3.2, ("no speech detected",)),  # overlapping windows count frames twice
        ((100_000, 1000, 2000), 3200.0, ("little speech detected",)),
    ],
)
def test_warnings(counts, seconds, expected):
    assert SpeechCounts(*counts).warnings(seconds) == expected


def test_counts_of_windows_are_added():
    total = SpeechCounts(10, 2, 4) + SpeechCounts(30, 6, 8)
    assert total == (40, 8, 12) and total.share == 0.2


# --- levels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1e-3, 0.1, 2.0])
def test_level_is_normalised(level):
    signs = np.tile([1, -1], 500).astype(np.float32)
    found = normalise_level(level * signs + np.float32(0.3))  # the offset is removed
    assert found == pytest.approx(0.5 * signs, abs=1e-4) and found.dtype == np.float32


def test_single_click_does_not_determine_the_level():
    signal = np.tile([0.01, -0.01], 5000).astype(np.float32)
    signal[:4] = [1.0, -1.0, 1.0, -1.0]
    found = normalise_level(signal)
    assert found[100] == pytest.approx(0.5) and found[0] == 1.0  # clipped


@pytest.mark.parametrize(("level", "expected"), [(0.0, 0.0), (1e-6, 1e-3)])
def test_gain_is_limited(level, expected):
    assert normalise_level(np.tile([level, -level], 50))[0] == pytest.approx(expected)


# --- the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2.5, 1023, 1024, 1500.25])
def test_blocks_match_single_frames(speech_detector, frames):
    signal = noise(frames * 512 / RATE)
    found = speech_detector.probabilities(signal)
    count = int(np.ceil(frames))
    padded = np.zeros(count * 512, dtype=np.float32)
    padded[: len(signal)] = signal
    state = cell = np.zeros((1, 1, 128), dtype=np.float32)
    context, expected = np.zeros(64, dtype=np.float32), []
    for part in padded.reshape(count, 512):
        given = np.concatenate([context, part])[None]
        value, state, cell = speech_detector._session.run(
            None, {"input": given, "h": state, "c": cell}
        )
        expected.append(value.item())
        context = part[-64:]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_speech_is_detected_at_any_level(speech_detector, speech):
    for decibels in (0, -40, -60):
        counts = speech_detector.count(speech * np.float32(10 ** (decibels / 20)))
        assert counts.share > 0.5, decibels
        assert counts.warnings(len(speech) / RATE) == ()


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(2 * RATE, dtype=np.float32),
        noise(2.0),
        noise(2.0, level=1e-5),
        (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32),
    ],
)
def test_silence_noise_and_tones_are_no_speech(speech_detector, signal):
    assert speech_detector.count(signal).warnings(2.0) == ("no speech detected",)


# --- predictions --------------------------------------------------------------------------------


def test_predictions_have_a_share_and_warnings(speech_detector, speech):
    model = levels_model()
    found = model.predict([speech, noise(1.0)], RATE)
    assert found[0].speech_share > 0.5 and found[0].warnings == ()
    assert found[1].speech_share == 0.0 and found[1].warnings == ("no speech detected",)
    without = model.predict([speech, noise(1.0)], RATE, speech_detection="off")
    for one, other in zip(found, without, strict=True):
        np.testing.assert_array_equal(one.vad, other.vad)
        assert other.speech_share is None and other.warnings == ()
        assert other.to_dict()["speech_share"] is None


@pytest.mark.parametrize("window", [None, 0.5])
def test_windows_count_together(speech_detector, speech, window):
    """Speech of 1 to 3 s in 30 s of noise: little speech in the file, whatever single windows have.

    The model was evaluated on 12 s.
    """
    signal = np.concatenate([noise(20.0, level=1e-3), speech, noise(8.0, level=1e-3)])
    found = levels_model().predict(signal, RATE, window=window, overlap=0.0)
    assert found.warnings == ("little speech detected",) and found.windows > 2
    assert 0.02 < found.speech_share < 0.15
    assert found.speech.frames == pytest.approx(len(signal) / 512, rel=0.05)


def test_evaluation_does_not_use_the_detection(speech_detector, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(1.0), RATE, subtype="FLOAT")
    monkeypatch.setattr(speech_detection.SpeechDetector, "count", lambda *_: 1 / 0)
    model, rows = levels_model(), {"a": {"wav": str(tmp_path / "a.wav")}}
    vad, _, reasons = predict_set(model, "test", rows, batch_size=1)
    assert vad.keys() == {"a"} and not reasons
    ccc_on_files(model, [rows["a"]["wav"]] * 2, np.array([[1.0] * 3, [2.0] * 3]))
    with pytest.raises(ZeroDivisionError):  # the default of predictions
        model.predict(rows["a"]["wav"])


def test_values_that_are_not_known_are_none(speech_detector):
    found = levels_model().predict(noise(1.0), RATE, min_speech_share=0.2, words=1)
    row = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert row["valence"] is row["radius"] is row["dominance_on_scale"] is None
    assert row["speech_share"] == 0.0
    assert found.to_frame()["valence"].isna().all()


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.2", True, float("nan")])
def test_invalid_min_speech_share(share):
    with pytest.raises(ValueError, match="min_speech_share must be from 0 to 1, or None; found"):
        levels_model().predict(noise(1.0), RATE, min_speech_share=share)


def test_min_speech_share_removes_values(speech_detector, speech):
    model = levels_model()
    found = model.predict([speech, noise(1.0)], RATE, min_speech_share=0.2, words=1, clip=True)
    assert found[0].has_values and found[0].warnings == ()
    assert not found[1].has_values and found[1].region == "" and found[1].speech_share == 0.0
    assert found[1].warnings == ("no speech detected", "no values: speech_share is below 0.2")
    assert model.predict(noise(1.0), RATE, min_speech_share=0.0).has_values


def test_evaluation_limit_applies_before_the_detection(speech_detector, speech):
    signal = np.concatenate([noise(12.0), speech])
    found = levels_model().predict(signal, RATE, max_seconds="evaluation")
    assert "no speech detected" in found.warnings and found.speech.frames == 375


# --- loading ------------------------------------------------------------------------------------


def test_weights_are_found_without_importing_the_package(speech_detector):
    code = (
        "import sys\nfrom emosphere_sb.inference.speech_detection import load_detector\n"
        "assert load_detector('on') is load_detector('auto') is not None\n"
        "heavy = {'silero_vad', 'torch', 'torchaudio', 'scipy', 'pandas'}\n"
        "print(heavy & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
    assert weights_path().name == "silero_vad_16k_sequence.onnx"


def test_missing_package():
    """The detector counts as not installed in unit tests."""
    assert load_detector("auto") is None and load_detector("off") is None
    for options in ({"mode": "on"}, {"mode": "auto", "required_by": "min_speech_share"}):
        with pytest.raises(ImportError, match=r"pip install 'emosphere-sb\[speech\]'"):
            load_detector(**options)


def test_missing_onnxruntime(speech_detector, monkeypatch):
    known = speech_detection.find_spec
    monkeypatch.setattr(
        speech_detection, "find_spec", lambda name: None if name == "onnxruntime" else known(name)
    )
    assert load_detector("auto") is None


def test_package_without_the_weights(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(speech_detection, "WEIGHTS", ("data", "other.onnx"))
    assert weights_path() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "maybe"}, "speech_detection must be one of auto, on, off; found 'maybe'"),
        (
            {"mode": "off", "required_by": "min_speech_share"},
            "min_speech_share requires speech_detection, which is off",
        ),
    ],
)
def test_invalid_modes(options, message):
    with pytest.raises(ValueError, match=message):
        load_detector(**options)


def test_files_are_detected_like_arrays(speech_detector, speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech, RATE, subtype="FLOAT")
    model = levels_model()
    assert model.predict(tmp_path / "a.wav").speech == model.predict(speech, RATE).speech
