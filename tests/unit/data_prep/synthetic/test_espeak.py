"""Speech synthesis with eSpeak NG: the samples depend only on the arguments."""

import builtins
import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.synthetic import espeak
from data_prep.synthetic.espeak import Synthesiser

needs_espeak = pytest.mark.skipif(
    not espeak.is_installed(), reason="espeakng-loader (extra 'demo') is not installed"
)
ROOT = Path(__file__).resolve().parents[4]
BREATHY = "en-us+f5"  # a noisy voice; by default eSpeak seeds the noise with the time
TEXT = "The boat is near the river."


@pytest.fixture(scope="module")
def synthesiser():
    return Synthesiser()


@needs_espeak
def test_speech_is_float32_at_22050_hz_with_a_plausible_duration(synthesiser):
    samples, rate = synthesiser.speak(TEXT, voice="en-us+m3")
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, 22050)
    assert 1.0 < len(samples) / rate < 3.0
    assert 0.05 < np.abs(samples).max() <= 1.0


@needs_espeak
def test_speech_does_not_depend_on_previous_utterances(synthesiser):
    first, _ = synthesiser.speak(TEXT, voice=BREATHY)
    synthesiser.speak("Something else, and longer.", voice="en-us+m3", rate=250)
    again, _ = synthesiser.speak(TEXT, voice=BREATHY)
    np.testing.assert_array_equal(first, again)


@needs_espeak
def test_speech_is_identical_in_another_process(synthesiser):
    samples, _ = synthesiser.speak(TEXT, voice=BREATHY)
    code = (
        "import hashlib; from data_prep.synthetic.espeak import Synthesiser; "
        f"x, _ = Synthesiser().speak({TEXT!r}, voice={BREATHY!r}); "
        "print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == hashlib.sha256(samples.tobytes()).hexdigest()


@needs_espeak
def test_higher_rate_shortens_the_speech(synthesiser):
    slow, fast = (len(synthesiser.speak(TEXT, rate=rate)[0]) for rate in (120, 240))
    assert fast < 0.7 * slow


@needs_espeak
def test_volume_scales_the_samples(synthesiser):
    soft, loud = (
        np.sqrt(np.mean(synthesiser.speak(TEXT, voice="en-us+m3", volume=volume)[0] ** 2))
        for volume in (40, 80)
    )
    assert loud / soft == pytest.approx(2.0, rel=0.1)


@needs_espeak
def test_long_data_path_is_replaced_with_a_short_link(tmp_path, monkeypatch):
    import espeakng_loader

    deep = tmp_path.joinpath(*["a" * 60] * 4)
    deep.mkdir(parents=True)
    link = deep / "espeak-ng-data"
    link.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    expected, _ = Synthesiser().speak(TEXT)
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(link))
    samples, _ = Synthesiser().speak(TEXT)
    np.testing.assert_array_equal(samples, expected)


@needs_espeak
def test_short_link_is_deleted_with_the_synthesiser(tmp_path, monkeypatch):
    import espeakng_loader

    monkeypatch.setattr(espeak, "_LONGEST_DATA_PATH", 1)
    monkeypatch.setattr(espeak.tempfile, "tempdir", str(tmp_path))
    speaker = Synthesiser()
    links = list(tmp_path.iterdir())
    # An earlier assertion would keep the variable alive with --count-assertions.
    del speaker
    gc.collect()  # if another object refers to it
    assert len(links) == 1
    assert list(tmp_path.iterdir()) == []
    assert Path(espeakng_loader.get_data_path()).is_dir()


@needs_espeak
@pytest.mark.parametrize("text", ["", "  \n"])
def test_blank_text_raises(synthesiser, text):
    with pytest.raises(ValueError, match="text must not be blank"):
        synthesiser.speak(text)


@needs_espeak
def test_unknown_voice_raises(synthesiser):
    with pytest.raises(ValueError, match="'en-xx\\+q9'"):
        synthesiser.speak(TEXT, voice="en-xx+q9")


@needs_espeak
@pytest.mark.parametrize("setting", [{"rate": 79}, {"pitch": 100}, {"pitch_range": -1}])
def test_setting_out_of_range_raises(synthesiser, setting):
    (name, value), *_ = setting.items()
    with pytest.raises(ValueError, match=f"{name} must be between .* found {value}"):
        synthesiser.speak(TEXT, **setting)


def test_missing_package_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "espeakng_loader":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'emosphere-sb\[demo\]'"):
        Synthesiser()
