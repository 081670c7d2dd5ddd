"""Utterances as paths, arrays, pairs, bytes and file objects: equal predictions, and errors."""

import io
import tempfile

import numpy as np
import pytest
import soundfile
import torch

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.inference.audio_input import (
    detect_speech_in_windows,
    is_list,
    is_pair,
    open_input,
)
from emosphere_sb.inference.speech_detection import SpeechCounts
from emosphere_sb.inference.waveform import Waveform
from tests.helpers.fixed_model import levels_model

RATE = 16_000


@pytest.fixture(scope="module")
def model():
    return levels_model()


@pytest.fixture
def path(tmp_path):
    """One second with a mean of 0.25."""
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 0.25), RATE, subtype="FLOAT")
    return tmp_path / "a.wav"


def constant(value=0.25, rate=RATE):
    return np.full(rate, value, dtype=np.float32)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (lambda path: (constant(), RATE), "array 0"),
        (lambda path: (torch.from_numpy(constant()), RATE), "array 0"),
        (lambda path: (constant().tolist(), np.int64(RATE)), "array 0"),
        (lambda path: (np.stack([constant(), constant()]), float(RATE)), "array 0"),
        (lambda path: path.read_bytes(), "bytes 0"),
        (lambda path: bytearray(path.read_bytes()), "bytes 0"),
        (lambda path: memoryview(path.read_bytes()), "bytes 0"),
        (lambda path: io.BytesIO(path.read_bytes()), "file 0"),
        (lambda path: path, None),
        (lambda path: str(path), None),
    ],
)
def test_each_form_gives_the_same_prediction(model, path, form, name):
    found = model.predict(form(path))
    assert found.valence == pytest.approx(0.25, abs=1e-6)
    assert (found.source, found.duration) == (name or str(path), 1.0)
    (listed,) = model.predict([form(path)])
    np.testing.assert_array_equal(listed.vad, found.vad)
    (windowed,) = model.predict([form(path)], window=0.5)
    assert windowed.valence == pytest.approx(0.25, abs=1e-6) and windowed.source == found.source


def test_open_file_is_read_from_its_position_and_named(model, path):
    with open(path, "rb") as file:
        found = model.predict(file)
        assert found.source == str(path) and found.valence == pytest.approx(0.25, abs=1e-6)
        with pytest.raises(AudioError, match=r"a\.wav: empty audio file"):
            model.predict(file)  # at its end


def test_pairs_have_their_own_rates(model):
    found = model.predict([(constant(0.25), RATE), (constant(0.5, 8000), 8000)])
    assert [one.duration for one in found] == [1.0, 1.0]
    assert [one.valence for one in found] == pytest.approx([0.25, 0.5], abs=1e-2)
    # `sampling_rate` is only for arrays without a rate
    found = model.predict([constant(0.25), (constant(0.5, 8000), 8000)], RATE)
    assert [one.duration for one in found] == [1.0, 1.0]


def test_tuples_of_other_items_are_several_utterances(model, path):
    assert len(model.predict((path, path))) == 2
    assert len(model.predict((constant(), constant()), RATE)) == 2
    assert is_pair((constant(), RATE)) and not is_pair((constant(), constant()))
    assert not is_pair([constant(), RATE]) and not is_pair((constant(), True))
    assert is_list([constant(), RATE]) and not is_list((constant(), RATE))


def test_pair_in_the_wrong_order_is_an_error(model):
    with pytest.raises(AudioError, match=r"must be a pair \(samples, rate\).*Swap"):
        model.predict((RATE, constant()))


@pytest.mark.parametrize("rate", [0, 1.5, -8000, 10**9])
def test_invalid_rate_of_a_pair_is_an_error(model, rate):
    with pytest.raises(AudioError, match="require sampling_rate"):
        model.predict((constant(), rate))


def test_text_file_is_an_error(model, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with open(tmp_path / "a.txt") as file, pytest.raises(AudioError, match="binary mode"):
        model.predict(file)


@pytest.mark.parametrize("window", [None, 0.5])
def test_error_names_the_utterance_and_leaves_no_temporary_file(
    model, path, tmp_path, monkeypatch, window
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    bad = soundfile_bytes(np.full(8, 0.25))
    items = [path.read_bytes(), b"no audio", io.BytesIO(b""), bad, path.read_bytes()]
    found = list(model.predict_each(items, window=window))
    assert [isinstance(item, AudioError) for item in found] == [False, True, True, True, False]
    assert str(found[1]).startswith("bytes 1: not a recognised audio file")
    assert str(found[2]) == "file 2: empty audio file"
    assert str(found[3]).startswith("bytes 3 is too short: at least 0.025 s")
    assert found[1].reason.startswith("not a recognised audio file")
    assert list((tmp_path / "temporary").iterdir()) == []


def soundfile_bytes(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(("window", "expected"), [(None, ()), (0.5, ()), (0.2, ("very short",))])
def test_very_short_utterances_and_windows_have_a_warning(model, window, expected):
    short, long = model.predict([constant(rate=7999), constant(rate=8000)], RATE, window=window)
    assert (short.warnings, long.warnings) == (("very short",), expected)


def test_truncated_utterance_is_very_short(model):
    found = model.predict(constant(), RATE, max_seconds=0.3)
    assert found.warnings == ("very short", "only the first 0.3 s (of 1.0 s) were used")


@pytest.mark.parametrize("kind", ["array", "file"])
def test_windows_have_the_warnings_of_the_entire_utterance(model, kind, tmp_path):
    """Opposite channels, of which the first half is used, in windows of 0.5 s."""
    samples = np.stack([constant(rate=48_000), -constant(rate=48_000)])
    audio = (samples, RATE)
    if kind == "file":
        audio = tmp_path / "a.wav"
        soundfile.write(audio, samples.T, RATE, subtype="FLOAT")
    whole = model.predict(audio)
    cancelled = [text for text in whole.warnings if "mixing 2 channels" in text]
    assert len(cancelled) == 1
    truncated = "only the first 1.5 s (of 3.0 s) were used"
    found = model.predict(audio, window=0.5, max_seconds=1.5)
    assert found.windows > 1 and set(found.warnings) == {*whole.warnings, truncated}
    assert set(model.predict(audio, window=0.5).warnings) == set(whole.warnings)


def test_unreadable_file_objects_do_not_stop_the_others(model, path, tmp_path):
    closed = open(path, "rb")  # noqa: SIM115
    closed.close()
    with open(tmp_path / "new", "wb") as written:
        found = list(model.predict_each([closed, path, written]))
    for one in (found[0], found[2]):
        assert isinstance(one, AudioError) and "the file object cannot be read: " in str(one)
    assert found[1].duration == 1.0


def test_iterators_are_several_utterances(model, path):
    expected = model.predict([path, path]).to_dict()
    assert model.predict(iter([path, path])).to_dict() == expected
    found = list(model.predict_each((path for _ in range(2)), chunk=1))
    assert [one.to_dict() for one in found] == expected


def test_speech_of_windows_is_that_of_the_continuous_signal():
    """Overlapping windows of 4 s with a hop of 3 s; the first part is complete at 10 s."""

    class Counter:
        def __init__(self):
            self.signals = []

        def count(self, signal):
            self.signals.append(signal)
            return SpeechCounts(len(signal), 0, 0)

    signal, counter = np.arange(25 * RATE, dtype=np.float32), Counter()
    windows = [
        Waveform("a", signal[start * RATE : (start + 4) * RATE], 25.0, float(start))
        for start in range(0, 22, 3)
    ]
    found = list(detect_speech_in_windows(windows, counter))
    assert [one.start for one in found] == [one.start for one in windows]
    np.testing.assert_array_equal(np.concatenate(counter.signals), signal)
    counts = [one.speech and one.speech.frames / RATE for one in found]
    assert counts == [None, None, 10, None, None, None, 12, 3]
    assert list(detect_speech_in_windows([], counter)) == []


def test_duration_of_inputs(path):
    for item, rate in ((path, None), (constant(), RATE), ([0.0] * 8000, 8000)):
        with open_input(item, 0, rate) as opened:
            assert opened.seconds() == 1.0
