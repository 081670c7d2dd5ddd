"""Low-rank adapters: training, merging, saving, and errors if they would have no effect."""

import copy

import pytest
import torch

from emosphere_sb.backbones import lora, waveform_models
from emosphere_sb.backbones.lora import merge_lora
from emosphere_sb.lobes import SSLEncoder

pytest.importorskip("peft", reason="the 'lora' extra is not installed")
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def batch():
    chance = torch.Generator().manual_seed(2)
    return torch.randn(2, 4000, generator=chance), torch.tensor([4000, 3000])


def encoder_of(folder, targets=PROJECTIONS, **options):
    torch.manual_seed(1)
    return SSLEncoder(folder, "none", False, 0.0, lora_rank=4, lora_targets=targets, **options)


@pytest.mark.parametrize("family", ["wavlm", "hubert", "whisper"])
def test_only_adapters_are_trained_and_each_has_an_effect(family, save_any):
    encoder = encoder_of(save_any(family)).train()
    plain = encoder(*batch())[0]
    named = dict(encoder.named_parameters())
    assert all(("lora_" in name) == p.requires_grad for name, p in named.items())
    before = {name: p.detach().clone() for name, p in named.items()}
    optimizer = torch.optim.AdamW([p for p in named.values() if p.requires_grad], 1e-2)
    for _ in range(2):  # the second matrix is initially 0, and so is the gradient of the first
        (encoder(*batch())[0] * torch.linspace(-1, 1, encoder.output_size)).sum().backward()
        missing = [name for name, p in named.items() if p.requires_grad and p.grad is None]
        assert missing == []
        optimizer.step()
        optimizer.zero_grad()
    moved = {name for name, p in named.items() if not torch.equal(p, before[name])}
    assert moved == {name for name in named if "lora_" in name}
    assert (encoder(*batch())[0] - plain).abs().max() > 1e-3


def test_merging_does_not_change_the_output(save_any):
    encoder = encoder_of(save_any("wavlm")).eval()
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    found = encoder(*batch())[0]
    keys = set(SSLEncoder(save_any("wavlm"), "none").state_dict())
    merge_lora(encoder.backbone)
    assert set(encoder.state_dict()) == keys
    torch.testing.assert_close(encoder(*batch())[0], found, rtol=1e-4, atol=2e-5)


def test_adapters_are_part_of_the_state(save_any):
    folder = save_any("wavlm")
    first, second = encoder_of(folder).eval(), encoder_of(folder).eval()
    for name, parameter in first.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(first(*batch())[0], second(*batch())[0])


def test_adapters_without_effect_raise(save_any, monkeypatch):
    monkeypatch.setattr(waveform_models, "wavlm_attention_is_supported", lambda: False)
    monkeypatch.setattr(lora, "wavlm_attention_is_supported", lambda: False)
    with pytest.raises(ValueError, match="LoRA on k_proj, out_proj, q_proj, v_proj would have no"):
        encoder_of(save_any("wavlm"))
    encoder_of(save_any("wavlm"), ["intermediate_dense"])


def test_unknown_targets_raise(save_any):
    with pytest.raises(ValueError, match=r"not found: linear_q\. Available: .*q_proj"):
        encoder_of(save_any("wavlm"), ["q_proj", "linear_q"])


def test_missing_peft_raises_with_install_command(monkeypatch, save_any):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install 'emosphere-sb\[lora\]'"):
        encoder_of(save_any("wavlm"))
