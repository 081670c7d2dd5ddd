"""All families through ``from_pretrained``, offline: training, freezing, saving and loading."""

import copy

import pytest
import torch

from emosphere_sb.inference import torch_predictor
from emosphere_sb.lobes import SSLEncoder

FAMILIES = (
    "wavlm", "wav2vec2", "hubert", "data2vec-audio", "unispeech", "unispeech-sat",
    "wav2vec2-conformer", "sew", "sew-d", "wav2vec2-bert", "whisper",
)  # fmt: skip


def batch():
    chance = torch.Generator().manual_seed(5)
    lengths = torch.tensor([9000, 6400, 8000, 5000])
    signals = torch.zeros(4, 9000)
    for row, length in enumerate(lengths.tolist()):
        signals[row, :length] = 0.3 * torch.randn(length, generator=chance)
    return signals, lengths


def train(encoder, steps):
    """Train with a linear head on the mean frame of a fixed batch; return the losses."""
    head = torch.nn.Linear(encoder.output_size, 1)
    target = torch.tensor([0.9, -0.7, 0.2, -0.3])
    trained = [p for p in encoder.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *head.parameters()], 2e-3)
    losses = []
    for _ in range(steps):
        frames, lengths = encoder.train()(*batch())
        value = head(frames.sum(1) / lengths.unsqueeze(1)).squeeze(1)
        loss = (value - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        missing = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
        assert missing == []  # all trainable parameters must get a gradient
        optimizer.step()
    return losses


@pytest.mark.parametrize("family", FAMILIES)
def test_family_trains_saves_and_loads(family, save_any):
    """The convolutions are trained: frozen random ones would pass too little information."""
    torch.manual_seed(4)
    encoder = SSLEncoder(save_any(family), "none", spec_augment=False, layerdrop=0.0)
    losses = train(encoder, 21)
    assert losses[20] < losses[0] / 2
    again = SSLEncoder(save_any(family), "none", spec_augment=False, layerdrop=0.0).eval()
    again.load_state_dict(copy.deepcopy(encoder.state_dict()))
    with torch.no_grad():
        assert torch.equal(again(*batch())[0], encoder.eval()(*batch())[0])


@pytest.mark.parametrize("freeze", ["feature_encoder", "all_but_top_1"])
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_parameters_do_not_change(family, freeze, save_any):
    torch.manual_seed(4)
    encoder = SSLEncoder(save_any(family), freeze, spec_augment=False, layerdrop=0.0)
    named = dict(encoder.named_parameters())
    frozen = {name: p.detach().clone() for name, p in named.items() if not p.requires_grad}
    # w2v-BERT's log-mel input has no weights to freeze; its mask embedding is not used here.
    assert len(frozen) > (0 if family == "wav2vec2-bert" and freeze == "feature_encoder" else 4)
    before = {name: p.detach().clone() for name, p in named.items() if p.requires_grad}
    train(encoder, 3)
    assert all(torch.equal(named[name], value) for name, value in frozen.items())
    assert not any(torch.equal(named[name], value) for name, value in before.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_storing_weights_in_bfloat16_does_not_change_outputs(family, save_any, monkeypatch):
    monkeypatch.setattr(torch_predictor, "MIN_CONVERTED", 200)  # models are tiny
    encoder = SSLEncoder(save_any(family)).eval().requires_grad_(False)
    converted = copy.deepcopy(encoder)
    torch_predictor.store_in_bfloat16(converted)
    assert torch.bfloat16 in {parameter.dtype for parameter in converted.parameters()}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(converted(*batch())[0], encoder(*batch())[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_output_size_and_frame_count_follow_the_configuration(family, save_any):
    encoder = SSLEncoder(save_any(family)).eval()
    signals, lengths = batch()
    with torch.no_grad():
        frames, valid = encoder(signals, lengths)
    assert frames.shape[0] == 4 and frames.shape[2] == encoder.output_size
    assert valid.tolist() == encoder.frame_lengths(lengths).tolist()
    assert int(valid.max()) <= frames.shape[1]
    for row, count in enumerate(valid.tolist()):
        assert not frames[row, count:].any()
    shortest = torch.tensor([encoder.receptive_field])
    with torch.no_grad():
        frames, valid = encoder(torch.randn(1, encoder.receptive_field), shortest)
    assert int(valid[0]) >= 1 and frames.isfinite().all()
