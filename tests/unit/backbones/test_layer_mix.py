"""Selected layers and their weighted sum against the hidden states of transformers."""

import copy
import re

import pytest
import torch

from emosphere_sb.lobes import SSLEncoder

LAYERS = 4


@pytest.fixture(params=["wavlm", "hubert", "data2vec-audio", "wav2vec2-bert", "whisper"])
def backbone(request, tmp_path, save_any):
    return save_any(request.param)


def batch():
    chance = torch.Generator().manual_seed(3)
    signals = torch.zeros(3, 9000)
    lengths = torch.tensor([9000, 4000, 7000])
    for row, length in enumerate(lengths.tolist()):
        signals[row, :length] = 0.1 * torch.randn(length, generator=chance)
    return signals, lengths


def states_of(backbone, signals, lengths):
    """Record the input and output of each layer with hooks on the complete model."""
    encoder = SSLEncoder(backbone, "none").eval()
    found = []
    layers = encoder.backbone.layers
    layers[0].register_forward_pre_hook(
        lambda _, inputs, named: found.append(inputs[0] if inputs else named["hidden_states"]),
        with_kwargs=True,
    )
    for layer in layers:
        layer.register_forward_hook(
            lambda _, inputs, out: found.append(out[0] if isinstance(out, tuple) else out)
        )
    last, valid = encoder(signals, lengths)
    found[-1] = last
    mask = (torch.arange(last.shape[1]) < valid.unsqueeze(1)).unsqueeze(-1)
    return [state.detach().masked_fill(~mask, 0.0) for state in found]


def test_layer_number_selects_its_hidden_state(backbone):
    expected = states_of(backbone, *batch())
    for number, state in enumerate(expected):
        encoder = SSLEncoder(backbone, "none", layers=number).eval()
        assert len(encoder.backbone.layers) == max(number, 1)  # later layers are not run
        torch.testing.assert_close(encoder(*batch())[0], state, rtol=1e-5, atol=1e-6)


def test_weighted_sum_equals_softmax_of_states(backbone):
    expected = states_of(backbone, *batch())
    encoder = SSLEncoder(backbone, "all", layers="weighted").eval()
    shares = torch.linspace(1, 2, len(expected))
    encoder.states.weights.data = (shares / shares.sum()).log() + 5.0
    found, _ = encoder(*batch())
    mixture = sum(s * state for s, state in zip(shares / shares.sum(), expected, strict=True))
    torch.testing.assert_close(found, mixture, rtol=1e-4, atol=1e-5)
    found.square().sum().backward()
    assert encoder.states.weights.grad.abs().min() > 0
    assert [name for name, p in encoder.named_parameters() if p.requires_grad] == ["states.weights"]


def test_state_of_skipped_layer_equals_its_input(save_any):
    encoder = SSLEncoder(save_any("wavlm"), "none", False, 1.0, layers="weighted").train()
    states, _ = encoder.hidden_states(*batch())
    # In training each layer but the first is skipped; the last state has the final norm.
    assert states.shape[1] == 3
    assert not torch.equal(states[:, 0], states[:, 1])
    encoder.combine = None
    states.sum().backward()


@pytest.mark.parametrize("layers", ["weighted", "1"])
@pytest.mark.parametrize(
    "family",
    ["wav2vec2", "hubert", "data2vec-audio", "wav2vec2-conformer", "wav2vec2-bert", "whisper"],
)
def test_states_when_layerdrop_skips_all_layers(family, layers, save_any):
    """All families but WavLM may skip the first layer, too; all states then equal its input."""
    folder = save_any(family)
    entering, *_ = states_of(folder, *batch())
    encoder = SSLEncoder(folder, "none", False, 1.0, layers=layers).train()
    states, valid = encoder.hidden_states(*batch())
    norm = encoder.backbone.final_norm
    expected = [entering] * states.shape[1]
    if layers == "weighted" and norm is not None:
        mask = torch.arange(entering.shape[1]) < valid.unsqueeze(1)
        expected[-1] = norm(entering).masked_fill(~mask.unsqueeze(-1), 0.0)
    assert len(expected) == (3 if layers == "weighted" else 1)
    torch.testing.assert_close(states, torch.stack(expected, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers", [0, 1, "weighted"])
@pytest.mark.parametrize(("family", "changes"), [("sew", {}), ("wav2vec2", {"add_adapter": True})])
def test_layers_with_different_frame_count_raise(family, changes, layers, configuration):
    encoder = SSLEncoder(configuration(family, **changes), layers=layers).eval()
    with pytest.raises(ValueError, match=f"layers must be last for this .* found {layers}"):
        encoder(*batch())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_all_layers_of_a_weighted_sum(checkpointing, save_any):
    folder = save_any("wavlm")
    encoder = SSLEncoder(folder, "none", False, 0.0, checkpointing, "weighted").train()
    encoder(*batch())[0].square().sum().backward()
    missing = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_all_trainable_parameters_get_a_gradient_with_a_lower_layer(save_any):
    for number in (0, 1):
        encoder = SSLEncoder(save_any("wavlm"), "none", False, 0.0, layers=number).train()
        weights = torch.randn(32)
        (encoder(*batch())[0] * weights).sum().backward()
        missing = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
        assert missing == [], number


def set_statistics(encoder, states, lengths):
    """Set random statistics, and return them: mean and SD (states, 1, size)."""
    mean, sd = torch.randn(2, encoder.states.count, 32, generator=torch.Generator().manual_seed(5))
    encoder.states.normalisation.set_statistics(mean, sd.abs() + 0.5)
    return mean[:, None], sd.abs()[:, None] + 0.5


@pytest.mark.parametrize("normalisation", ["none", "standardise", "layer_norm"])
@pytest.mark.parametrize("layers", ["concat", [0, 2], [2, 0], [1], [1, 0]])
def test_states_are_normalised_and_concatenated(layers, normalisation, backbone):
    expected = states_of(backbone, *batch())
    numbers = range(len(expected)) if layers == "concat" else layers
    encoder = SSLEncoder(backbone, "all", layers=layers, layer_normalisation=normalisation).eval()
    chosen = [expected[number] for number in numbers]
    if normalisation == "standardise":
        mean, sd = set_statistics(encoder, *batch())
        chosen = [(s - mean[n]) / (sd[n] + 1e-6) for n, s in enumerate(chosen)]
    if normalisation == "layer_norm":
        chosen = [
            (s - s.mean(-1, keepdim=True)) / (s.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
            for s in chosen
        ]
    found, valid = encoder(*batch())
    padding = torch.arange(found.shape[1]) >= valid.unsqueeze(1)
    joined = torch.cat(chosen, dim=-1).masked_fill(padding.unsqueeze(-1), 0.0)
    torch.testing.assert_close(found, joined, rtol=1e-4, atol=1e-5)
    assert found.shape[-1] == encoder.output_size == 32 * len(chosen)
    assert len(encoder.backbone.layers) == max(*numbers, 1)  # later layers are not run


@pytest.mark.parametrize("layers", ["last", "1"])
def test_single_layer_is_normalised(layers, save_any):
    plain = SSLEncoder(save_any("wavlm"), "all", layers=layers).eval()
    encoder = SSLEncoder(
        save_any("wavlm"), "all", layers=layers, layer_normalisation="standardise"
    ).eval()
    mean, sd = set_statistics(encoder, *batch())
    expected, valid = plain(*batch())
    mask = (torch.arange(expected.shape[1]) < valid.unsqueeze(1)).unsqueeze(-1)
    expected = ((expected - mean[0]) / (sd[0] + 1e-6)).masked_fill(~mask, 0.0)
    torch.testing.assert_close(encoder(*batch())[0], expected, rtol=1e-5, atol=1e-5)


def test_weighted_sum_is_computed_after_the_normalisation(save_any):
    encoder = SSLEncoder(
        save_any("wavlm"), "all", layers="weighted", layer_normalisation="layer_norm"
    ).eval()
    torch.nn.init.normal_(encoder.states.weights, generator=torch.Generator().manual_seed(2))
    states, _ = encoder.hidden_states(*batch())
    shares = encoder.states.weights.detach().exp()
    shares = shares / shares.sum()
    centred = states - states.mean(-1, keepdim=True)
    normal = centred / (states.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = sum(share * normal[:, number] for number, share in enumerate(shares))
    torch.testing.assert_close(encoder(*batch())[0].detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "shortest"),
    [(2, "last"), ("2", "last"), ([2], "last"), ([1], "1"), ([2, 0], [2, 0]), ("concat", "concat")],
)
def test_selection_has_one_shortest_form(layers, shortest, save_any):
    states = SSLEncoder(save_any("wavlm"), layers=layers).states
    assert states.layers == shortest
    assert SSLEncoder(save_any("wavlm"), layers=states.layers).states.layers == shortest


@pytest.mark.parametrize("layers", [9, -1, "first", "1.5", [], [0, 0], [0, 9], [0, "last"]])
def test_invalid_layer_raises(layers):
    shown = re.escape(repr(layers))
    with pytest.raises(ValueError, match=f"a number from 0 to [0-9]; found {shown}"):
        SSLEncoder("wavlm_smoke.json", layers=layers)


def test_weighted_sum_is_saved_and_loaded(save_any):
    folder = save_any("wavlm")
    first = SSLEncoder(folder, layers="weighted").eval()
    torch.nn.init.normal_(first.states.weights)
    second = SSLEncoder(folder, layers="weighted").eval()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(first(*batch())[0], second(*batch())[0])
