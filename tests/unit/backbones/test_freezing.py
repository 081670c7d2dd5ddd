"""Trained parameters in each epoch, and evaluation mode of frozen parts."""

import pytest
import torch

from emosphere_sb.backbones.freezing import FreezeSchedule
from emosphere_sb.lobes import SSLEncoder


def encoder_of(freeze, **options):
    """Return an encoder with a freeze mode, or with a mapping of epochs to modes."""
    torch.manual_seed(1)
    by_epoch = {"freeze_schedule": freeze} if isinstance(freeze, dict) else {"freeze": freeze}
    return SSLEncoder("wavlm_demo.json", **by_epoch, **options)


def trained(encoder):
    return {name for name, p in encoder.model.named_parameters() if p.requires_grad}


def test_trained_parameters_of_each_mode():
    every = {name for name, _ in encoder_of("none").model.named_parameters()}
    assert trained(encoder_of("none")) == every
    convolutions = {name for name in every if name.startswith("feature_extractor.")}
    assert convolutions and trained(encoder_of("feature_encoder")) == every - convolutions
    assert trained(encoder_of("all")) == set()
    last = encoder_of("none").model.config.num_hidden_layers - 1
    top = {name for name in every if name.startswith(f"encoder.layers.{last}.")}
    norm = {"encoder.layer_norm.weight", "encoder.layer_norm.bias"}  # after the last layer
    assert trained(encoder_of("all_but_top_1")) == top | norm


@pytest.mark.parametrize(
    ("freeze", "schedule", "error"),
    [
        ("some", None, r"one of none, feature_encoder, all_but_top_K, all; found 'some'"),
        ("all_but_top_K", None, "found 'all_but_top_K'"),
        ("1: all, 3: none", None, r"use --freeze_schedule='\{1: all, 3: none\}'"),
        ("1:all,3:none", None, r"use --freeze_schedule='\{1: all, 3: none\}'"),
        ("all", {2: "all"}, r"must start at 1 and be in ascending order; found \[2\]"),
        (
            "all",
            {1: "all", 3: "none", 2: "all"},
            r"must start at 1 and be in ascending order; found \[1, 3, 2\]",
        ),
        ("all", {}, "must start at 1 and be in ascending order"),
        ("all", "1: all", "must map epochs to modes"),
        ("all", {"1": "all"}, "must map epochs to modes"),
        ("all", {1: "all", 3: "some"}, "found 'some'"),
        ("all", {1: None}, "found None"),
    ],
)
def test_invalid_schedule_raises(freeze, schedule, error):
    with pytest.raises(ValueError, match=error):
        FreezeSchedule.create(freeze, schedule)


def test_more_layers_than_available_raise():
    with pytest.raises(ValueError, match=r"all_but_top_99 requires at least 99 layers; .* has \d"):
        encoder_of("all_but_top_99")


def test_schedule_freezes_by_epoch():
    encoder = encoder_of({1: "all", 3: "all_but_top_1", 4: "none"}).train()
    assert trained(encoder) == trained(
        encoder_of("none")
    )  # the optimiser must contain all of these
    for epoch, mode in ((1, "all"), (2, "all"), (3, "all_but_top_1"), (4, "none"), (9, "none")):
        encoder.set_epoch(epoch)
        assert trained(encoder) == trained(encoder_of(mode)), epoch
        assert encoder.model.training == (mode == "none")
    encoder.eval().set_epoch(4)
    assert not encoder.model.training


def test_frozen_layers_stay_in_evaluation_mode():
    encoder = encoder_of("all_but_top_1").train()
    modes = [layer.training for layer in encoder.backbone.layers]
    assert modes == [False] * (len(modes) - 1) + [True]
    assert not encoder.model.feature_projection.training
    assert not any(module.training for module in encoder.eval().modules())


def test_only_trainable_parts_change():
    """Compare bit by bit after optimiser steps with weight decay."""
    encoder = encoder_of({1: "all", 2: "all_but_top_1", 3: "feature_encoder"})
    optimizer = torch.optim.AdamW(encoder.parameters(), 1e-2, weight_decay=0.5)
    signals, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    for epoch in (1, 2, 3):
        encoder.train().set_epoch(epoch)
        before = {name: p.detach().clone() for name, p in encoder.model.named_parameters()}
        frames, _ = encoder(signals, lengths)
        if frames.requires_grad:
            (frames * torch.randn_like(frames)).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        moved = {n for n, p in encoder.model.named_parameters() if not torch.equal(p, before[n])}
        assert moved == trained(encoder) - {"masked_spec_embed"}


def test_unused_parameters_are_not_trained():
    assert "masked_spec_embed" not in trained(encoder_of("none", spec_augment=False))
    assert encoder_of("all").frozen and not encoder_of({1: "all", 2: "none"}).frozen
