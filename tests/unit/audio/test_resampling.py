"""Resampling in numpy: agreement with torchaudio within 1e-5, and values derived by hand."""

import numpy as np
import pytest
import torch
from torchaudio.functional import resample as theirs

from emosphere_sb.audio import resampling
from emosphere_sb.audio.resampling import resample


def noise(samples: int) -> np.ndarray:
    # As loud as speech: torchaudio's own float32 sums are up to 2e-5 off at full scale
    return np.random.default_rng(samples).uniform(-0.3, 0.3, samples).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 32000, 44100, 48000, 96000, 15900])
@pytest.mark.parametrize("samples", [1, 2, 500, 4801])
def test_equals_torchaudio(rate, samples):
    signal = noise(samples)
    expected = theirs(torch.from_numpy(signal), rate, 16000).numpy()
    found = resample(signal, rate, 16000)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert np.abs(found - expected).max() < 1e-5


def test_coprime_rates_use_little_memory():
    # torchaudio would use 16,000 kernels with 16,015 taps each
    time = np.arange(16001) / 16001
    found = resample(np.sin(2 * np.pi * 440 * time), 16001, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(found - expected)[100:-100].max() < 1e-3


def test_block_size_does_not_change_the_output(monkeypatch):
    whole = resample(noise(5000), 15999, 16000)
    monkeypatch.setattr(resampling, "GATHERED_VALUES", 99)
    assert np.array_equal(resample(noise(5000), 15999, 16000), whole)


@pytest.mark.parametrize("rate", [4000, 11025, 15999, 22050, 44100, 48000, 384001])
def test_block_resampling_equals_full_resampling(rate):
    signal = noise(int(1.3 * rate) + 7)
    pieces = [signal[first : first + 5001] for first in range(0, len(signal), 5001)]
    found = np.concatenate(list(resampling.resample_blocks(pieces, rate)))
    assert np.array_equal(found, resample(signal, rate, 16000))


def test_constant_signal_is_preserved():
    found = resample(np.full(44100, 0.25, dtype=np.float32), 44100, 16000)
    assert len(found) == 16000
    assert found[100:-100] == pytest.approx(0.25, abs=1e-3)


def test_same_rate_returns_the_input():
    assert np.array_equal(resample(noise(100), 16000, 16000), noise(100))


@pytest.mark.parametrize("rate", [0, -8000, 44100.5])
def test_fault_rate_is_not_a_positive_integer(rate):
    with pytest.raises(ValueError, match="positive integers"):
        resample(noise(100), rate, 16000)


def test_fault_two_dimensional_signal():
    with pytest.raises(ValueError, match=r"found \(2, 50\)"):
        resample(noise(100).reshape(2, 50), 44100, 16000)


@pytest.mark.parametrize("rate", [15999, 384001, 767999])
def test_fault_odd_rate_needs_much_memory(rate):
    import tracemalloc

    resampling._kernels.cache_clear()
    signal = noise(rate * 2)
    tracemalloc.start()
    assert len(resample(signal, rate, 16000)) == 32000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
