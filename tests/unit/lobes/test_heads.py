"""Prediction heads against NumPy, and the output range of the VAD head."""

import numpy as np
import pytest
import torch

from emosphere_sb.lobes.heads import EmotionHead, VADHead, label_statistics


def by_numpy(values, head):
    """Compute linear, layer norm, ReLU and linear from the state of ``head``."""
    state = [tensor.double().numpy() for tensor in head.state_dict().values()]
    weight, bias, gain, offset, weight_out, bias_out = state
    hidden = values @ weight.T + bias
    hidden = (hidden - hidden.mean(1, keepdims=True)) / np.sqrt(hidden.var(1, keepdims=True) + 1e-5)
    return np.maximum(hidden * gain + offset, 0) @ weight_out.T + bias_out


def make(kind, *sizes):
    torch.manual_seed(0)
    head = kind(*sizes).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    return head, torch.randn(4, sizes[0])


def test_emotion_head_matches_numpy():
    head, values = make(EmotionHead, 6, 8, 16)
    expected = by_numpy(values.double().numpy(), head)
    np.testing.assert_allclose(head(values).detach(), expected, rtol=0, atol=1e-4)


def test_vad_head_maps_zero_to_one_onto_minus_one_to_one():
    head, values = make(VADHead, 6, 16)
    expected = 2 * by_numpy(values.double().numpy(), head) - 1
    np.testing.assert_allclose(head(values).detach(), expected, rtol=0, atol=1e-4)


def test_prediction_of_standardised_labels_is_converted_back():
    plain, values = make(VADHead, 6, 16)
    head = VADHead(6, 16, standardise_labels=True).eval()
    head.load_state_dict(plain.state_dict(), strict=False)
    mean, sd = np.array([0.1, -0.2, 0.3]), np.array([0.5, 0.25, 2.0])
    head.set_label_statistics(torch.tensor(mean), torch.tensor(sd))
    output = by_numpy(values.double().numpy(), plain)
    np.testing.assert_allclose(head(values).detach(), mean + sd * output, rtol=0, atol=1e-4)
    np.testing.assert_allclose(head.standardise(head(values)).detach(), output, rtol=0, atol=1e-4)
    assert {"label_mean", "label_sd"} == head.state_dict().keys() - plain.state_dict().keys()


def test_label_statistics_cover_known_labels_only():
    nan = np.nan
    labels = np.array([[0.5, nan, 0.25], [-0.5, nan, 0.25], [nan, nan, 0.25], [0.0, nan, nan]])
    mean, sd = label_statistics(torch.from_numpy(labels))
    known = np.array([0.5, -0.5, 0.0])
    np.testing.assert_allclose(mean, [known.mean(), 0.0, 0.25])
    np.testing.assert_allclose(sd, [known.std(), 1.0, 1.0])  # no labels, or no variation: 1


def test_vad_head_is_not_bounded():
    head, values = make(VADHead, 6, 16)
    assert head(values).abs().max() > 1


def test_output_of_one_half_is_neutral():
    head = VADHead(4, 8).eval()
    with torch.no_grad():
        head.layers[-1].weight.zero_()
        head.layers[-1].bias.fill_(0.5)
    assert head(torch.randn(2, 4)).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("head", [EmotionHead(4, 8), VADHead(4)])
def test_defaults_are_the_published_values(head):
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["Dropout", "Linear", "LayerNorm", "ReLU", "Dropout", "Linear"]
    assert head.layers[1].out_features == 1024
    assert head.layers[0].p == head.layers[4].p == 0.5


def test_dropout_is_configurable():
    assert {m.p for m in VADHead(4, 8, 0.2).modules() if isinstance(m, torch.nn.Dropout)} == {0.2}
    assert EmotionHead(4, 8, 16, 0.1).layers[0].p == 0.1
