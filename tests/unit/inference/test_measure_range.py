"""The range of the training data: values of the files, the sample, and storage in the folder."""

import numpy as np
import pytest
import soundfile

from emosphere_sb.inference.measure_range import (
    choose,
    measure_training_range,
    store_training_range,
)
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.release.load import load_released
from tests.helpers.fixed_model import RATE, levels_model
from tests.helpers.models import write_tiny_model


@pytest.fixture
def files(tmp_path):
    """24 files of 1 to 3.3 s with levels of -40 to -17 dBFS."""
    paths = []
    for number in range(24):
        paths.append(str(tmp_path / f"{number:02d}.wav"))
        seconds, value = 1 + number / 10, 10 ** ((-40 + number) / 20)
        samples = np.full(round(seconds * RATE), value)
        soundfile.write(paths[-1], samples, RATE, subtype="FLOAT")
    return paths


def durations(files):
    return [soundfile.info(path).duration for path in files]


def test_range_of_files_with_known_values(files):
    model = levels_model(max_seconds=2.0)  # as in the evaluation: longer files are truncated
    found = measure_training_range(model, files, durations(files))
    assert found.utterances == 24
    assert found.seconds[0.999] == 2.0
    assert found.level[0.5] == pytest.approx(-28.5, abs=1e-3)
    values = 10 ** ((-40 + np.arange(24)) / 20)  # both dimensions of the embedding are the level
    assert found.mean == pytest.approx((values.mean(), values.mean()), rel=1e-4)
    assert found.sd == pytest.approx((values.std(), values.std()), rel=1e-4)


def test_sample_is_drawn_with_a_fixed_seed(files):
    chosen = choose(files, 10)
    assert chosen == choose(files, 10) and len(set(chosen)) == 10
    assert chosen == sorted(chosen) and choose(files, 24) == files
    found = measure_training_range(levels_model(), files, durations(files), sample=21)
    assert found.utterances == 21
    assert found.seconds[0.5] == pytest.approx(2.15)  # durations are those of all files


def test_unreadable_and_silent_files_are_skipped(files, tmp_path, caplog):
    (tmp_path / "bad.wav").write_text("no audio")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    more = [*files, str(tmp_path / "bad.wav"), str(tmp_path / "silent.wav")]
    found = measure_training_range(levels_model(), more, [1.0] * 26)
    assert found.utterances == 24
    assert "Training utterance skipped: " in caplog.text and "bad.wav" in caplog.text


def test_range_is_stored_in_the_folder(files, tmp_path):
    write_tiny_model(tmp_path / "model")
    model = TorchPredictor.from_pretrained(tmp_path / "model", device="cpu")
    found = measure_training_range(model, files, durations(files))
    store_training_range(tmp_path / "model", found)
    _, info = load_released(tmp_path / "model")  # checks the checksums
    assert info.training_range == found and len(found.mean) == 8
    again = TorchPredictor.from_pretrained(tmp_path / "model", device="cpu")
    assert "louder than the training data" in again.predict(np.ones(RATE), RATE).warnings
