"""Statistics of hidden states and their normalisation, against values by hand and NumPy."""

import numpy as np
import pytest
import torch

from emosphere_sb.backbones.layer_normalisation import LayerNormalisation, LayerStatistics

LENGTHS = torch.tensor([5, 2, 4])


def states(seed=0, batch=3, layers=2, frames=5, size=6):
    """Return states that differ in level and scale between dimensions, zero in padding."""
    chance = torch.Generator().manual_seed(seed)
    found = torch.randn(batch, layers, frames, size, generator=chance)
    found = 3 * torch.randn(layers, 1, size, generator=chance) + found * torch.arange(1.0, size + 1)
    valid = torch.arange(frames) < LENGTHS[:batch, None]
    return found.masked_fill(~valid[:, None, :, None], 0.0)


def valid_frames(found) -> np.ndarray:
    """Return all valid frames (frames, states, size) in float64."""
    rows = [found[row, :, :length] for row, length in enumerate(LENGTHS.tolist())]
    return torch.cat(rows, dim=1).transpose(0, 1).double().numpy()


def test_mean_and_sd_of_two_frames_by_hand():
    statistics = LayerStatistics.zeros(1, 2)
    statistics.add(torch.tensor([[[[1.0, 5.0], [4.0, 5.0], [9.0, 9.0]]]]), torch.tensor([2]))
    mean, sd = statistics.mean_and_sd()
    assert statistics.count == 2
    assert mean.tolist() == [[2.5, 5.0]]
    assert sd.tolist() == [[1.5, 0.0]]


def test_statistics_cover_valid_frames_only():
    found = states()
    garbage = torch.where(found == 0, 100.0, found)  # padding is not used, whatever it contains
    expected = valid_frames(found)
    for batch in (found, garbage):
        statistics = LayerStatistics.zeros(2, 6)
        statistics.add(batch, LENGTHS)
        mean, sd = statistics.mean_and_sd()
        np.testing.assert_allclose(mean, expected.mean(0), rtol=1e-12)
        np.testing.assert_allclose(sd, expected.std(0), rtol=1e-9)


def test_merged_statistics_are_those_of_all_utterances():
    found = states()
    together = LayerStatistics.zeros(2, 6)
    together.add(found, LENGTHS)
    merged = LayerStatistics.zeros(2, 6)
    for row in (2, 0, 1):
        own = LayerStatistics.zeros(2, 6)
        own.add(found[row : row + 1, :, : LENGTHS[row]], LENGTHS[row : row + 1])
        merged = merged.merge(own)
    assert merged.count == together.count == 11
    for one, other in zip(merged.mean_and_sd(), together.mean_and_sd(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_sums_are_exact_in_float64():
    """A float32 sum of squares would lose the SD of values with a large mean."""
    values = 4096 + torch.tensor([0.0, 1.0]).repeat(5000)
    statistics = LayerStatistics.zeros(1, 1)
    statistics.add(values.view(1, 1, -1, 1), torch.tensor([len(values)]))
    mean, sd = statistics.mean_and_sd()
    assert float(mean) == 4096.5
    assert float(sd) == pytest.approx(0.5, abs=1e-7)


def test_statistics_without_frames_raise():
    with pytest.raises(ValueError, match="require at least one valid frame; found none"):
        LayerStatistics.zeros(1, 1).mean_and_sd()


def standardised(found):
    normalise = LayerNormalisation("standardise", 2, 6)
    statistics = LayerStatistics.zeros(2, 6)
    statistics.add(found, LENGTHS)
    normalise.set_statistics(*statistics.mean_and_sd())
    return normalise(found, LENGTHS)


def test_standardised_states_match_numpy():
    found = states()
    frames = valid_frames(found)
    expected = (frames - frames.mean(0)) / (frames.std(0) + 1e-6)
    normalised = standardised(found)
    np.testing.assert_allclose(valid_frames(normalised), expected, rtol=0, atol=1e-5)
    again = valid_frames(normalised)
    np.testing.assert_allclose(again.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(again.std(0), 1, atol=1e-4)


def test_layer_norm_matches_numpy():
    found = states()
    frames = valid_frames(found)
    centred = frames - frames.mean(-1, keepdims=True)
    expected = centred / np.sqrt(frames.var(-1, keepdims=True) + 1e-5)
    normalised = LayerNormalisation("layer_norm", 2, 6)(found, LENGTHS)
    np.testing.assert_allclose(valid_frames(normalised), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("normalise", [standardised, lambda found: LayerNormalisation(
    "layer_norm", 2, 6)(found, LENGTHS)])  # fmt: skip
def test_padding_stays_zero(normalise):
    padding = torch.arange(5) >= LENGTHS[:, None]
    found = normalise(states())
    assert not found.transpose(1, 2)[padding].any()
    assert found.transpose(1, 2)[~padding].abs().min() > 0


def test_none_returns_the_states_themselves():
    found = states()
    assert LayerNormalisation("none", 2, 6)(found, LENGTHS) is found


def test_constant_dimension_becomes_zero():
    normalise = LayerNormalisation("standardise", 1, 1)
    normalise.set_statistics(torch.tensor([[2.0]]), torch.tensor([[0.0]]))
    assert normalise(torch.full((1, 1, 3, 1), 2.0), torch.tensor([3])).tolist() == [[[[0.0]] * 3]]


@pytest.mark.parametrize(("mode", "saved"), [
    ("none", set()), ("layer_norm", set()), ("standardise", {"mean", "sd"})
])  # fmt: skip
def test_only_statistics_are_saved(mode, saved):
    normalise = LayerNormalisation(mode, 3, 4)
    assert set(normalise.state_dict()) == saved
    assert not list(normalise.parameters())
    assert normalise.needs_statistics is bool(saved)
    assert all(value.shape == (3, 4) for value in normalise.state_dict().values())


def test_unknown_mode_raises():
    with pytest.raises(ValueError, match="one of none, standardise, layer_norm; found 'batch'"):
        LayerNormalisation("batch", 1, 1)
