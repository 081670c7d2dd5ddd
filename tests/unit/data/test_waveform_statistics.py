"""Mean and standard deviation of the waveforms of a corpus."""

import numpy as np
import pytest
import soundfile

from emosphere_sb.data.waveform_statistics import corpus_statistics

RATE = 16000


def test_statistics_match_concatenated_samples(tmp_path):
    chance = np.random.default_rng(0)
    parts, rows = [], {}
    for number, (size, level) in enumerate([(160, 0.5), (4000, 0.01), (1, 0.0), (900, 0.1)]):
        samples = (chance.standard_normal(size) * level + number / 10).astype(np.float32)
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE, subtype="FLOAT")
        rows[str(number)] = {"wav": str(tmp_path / f"{number}.wav")}
        parts.append(samples.astype(np.float64))
    joined = np.concatenate(parts)
    for workers in (1, 3):
        found = corpus_statistics(rows, workers=workers)
        assert found == pytest.approx((joined.mean(), joined.std()), rel=1e-12)


def test_statistics_are_accurate_with_a_large_offset(tmp_path):
    samples = (8 + np.random.default_rng(0).standard_normal(5000) * 1e-4).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    rows = {str(number): {"wav": str(tmp_path / "a.wav")} for number in range(30)}
    expected = samples.astype(np.float64)
    assert corpus_statistics(rows) == pytest.approx((expected.mean(), expected.std()), rel=1e-9)


def test_statistics_include_every_file_of_a_large_set(tmp_path):
    for name, value in (("a", 0.0), ("b", 1.0)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(2, value), RATE, subtype="FLOAT")
    rows = {
        str(n): {"wav": str(tmp_path / ("b.wav" if n >= 1024 else "a.wav"))} for n in range(1280)
    }
    # 256 of 1280 are ones: mean .2, SD sqrt(.2 * .8)
    assert corpus_statistics(rows) == pytest.approx((0.2, 0.4))


def test_statistics_use_complete_files(tmp_path):
    # Longer than the utterances of a training set are after cropping.
    ramp = np.arange(20 * RATE) / 2**19
    soundfile.write(tmp_path / "a.wav", ramp, RATE, subtype="FLOAT")
    found = corpus_statistics({"a": {"wav": str(tmp_path / "a.wav")}})
    assert found[0] == pytest.approx((20 * RATE - 1) / 2 / 2**19)


def two_files(folder):
    for name in ("u0", "u1"):
        soundfile.write(folder / f"{name}.wav", np.full(1600, 0.1), RATE, subtype="FLOAT")
    return {name: {"wav": str(folder / f"{name}.wav")} for name in ("u0", "u1")}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_statistics_of_nonfinite_samples_raise(tmp_path, value):
    rows = two_files(tmp_path)
    samples = np.zeros(100, dtype=np.float32)
    samples[50] = value
    soundfile.write(rows["u1"]["wav"], samples, RATE, subtype="FLOAT")
    with pytest.raises(RuntimeError, match=r"u1\.wav: non-finite samples"):
        corpus_statistics(rows)


def test_statistics_of_a_missing_file_raise(tmp_path):
    rows = two_files(tmp_path)
    (tmp_path / "u1.wav").unlink()
    with pytest.raises(RuntimeError, match=r"u1\.wav"):
        corpus_statistics(rows)


def test_statistics_without_utterances_raise():
    with pytest.raises(ValueError, match="at least one utterance"):
        corpus_statistics({})
