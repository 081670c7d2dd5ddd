"""Waveform normalisation: modes against NumPy, padding, and settings of a checkpoint."""

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from emosphere_sb.lobes.normalisation import WaveformNormaliser

LENGTHS = (700, 400, 1)


def make_batch(filler=0.0):
    chance = np.random.default_rng(2)
    signals = np.full((len(LENGTHS), 750), filler, dtype=np.float32)
    for row, length in enumerate(LENGTHS):
        signals[row, :length] = chance.standard_normal(length) * 0.05 * (row + 1) + 0.02
    return torch.from_numpy(signals), torch.tensor(LENGTHS)


def expected_rows(signals, change):
    """Apply ``change`` to each utterance in float64, with zeros in padding."""
    rows = np.zeros(signals.shape)
    for row, length in enumerate(LENGTHS):
        rows[row, :length] = change(signals[row, :length].double().numpy())
    return rows


FILLERS = [0.0, 5.0, float("nan"), float("inf")]


@pytest.mark.parametrize("filler", FILLERS)
def test_corpus_statistics_are_applied_as_published(filler):
    normalise = WaveformNormaliser("corpus")
    normalise.set_statistics(0.015, 0.08)
    signals, lengths = make_batch(filler)
    expected = expected_rows(signals, lambda x: (x - 0.015) / (0.08 + 1e-6))
    np.testing.assert_allclose(normalise(signals, lengths), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("filler", FILLERS)
def test_utterance_mode_normalises_each_utterance(filler):
    signals, lengths = make_batch(filler)
    expected = expected_rows(signals, lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-7))
    found = WaveformNormaliser("utterance")(signals, lengths)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_utterance_mode_matches_transformers():
    signals, lengths = make_batch()
    found = WaveformNormaliser("utterance")(signals, lengths)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    for row, length in enumerate(LENGTHS):
        expected = extractor(signals[row, :length].numpy(), sampling_rate=16000)["input_values"][0]
        np.testing.assert_allclose(found[row, :length], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("filler", FILLERS)
def test_mode_none_changes_padding_only(filler):
    signals, lengths = make_batch(filler)
    expected = expected_rows(signals, lambda x: x)
    assert np.array_equal(WaveformNormaliser("none")(signals, lengths).numpy(), expected)


def test_padding_is_zero_after_normalisation():
    normalise = WaveformNormaliser("corpus")
    normalise.set_statistics(0.5, 1.0)
    signals, lengths = make_batch()
    found = normalise(signals, lengths)
    for row, length in enumerate(LENGTHS):
        assert not found[row, length:].any()
        assert found[row, :length].abs().min() > 0


def test_silence_stays_finite():
    silent = torch.zeros(1, 100)
    assert not WaveformNormaliser("utterance")(silent, torch.tensor([100])).any()


def test_input_is_not_modified():
    signals, lengths = make_batch(3.0)
    before = signals.clone()
    for mode in ("corpus", "utterance", "none"):
        WaveformNormaliser(mode)(signals, lengths)
        assert torch.equal(signals, before)


def test_statistics_are_part_of_the_state():
    one, other = WaveformNormaliser("corpus"), WaveformNormaliser("corpus")
    one.set_statistics(1 / 3, 0.1)
    other.load_state_dict(one.state_dict())
    # float64: float32 would give .33333334
    assert (float(other.mean), float(other.deviation)) == (1 / 3, 0.1)


@pytest.mark.parametrize("do_normalize, mode", [(True, "utterance"), (False, "none")])
def test_as_checkpoint_follows_the_feature_extractor(tmp_path, do_normalize, mode):
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(tmp_path)
    assert WaveformNormaliser("as_checkpoint", str(tmp_path)).mode == mode


@pytest.mark.parametrize("backbone", ["nobody/no-such-model", "absent", None])
def test_as_checkpoint_without_feature_extractor_raises(backbone):
    with pytest.raises(ValueError, match=r"needs the preprocessor_config\.json"):
        WaveformNormaliser("as_checkpoint", backbone)


def test_as_checkpoint_with_bare_configuration_raises(root):
    # transformers would mistake it for one, with normalisation as the default.
    path = str(root / "hparams" / "backbones" / "wavlm_smoke.json")
    with pytest.raises(ValueError, match=r"a \.json configuration has no preprocessor_config"):
        WaveformNormaliser("as_checkpoint", path)


def test_unknown_mode_raises():
    with pytest.raises(ValueError, match=r"normalisation must be one of corpus, .*found 'global'"):
        WaveformNormaliser("global")
