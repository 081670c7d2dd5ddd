"""Parts of a run: memory-check batches, precision and warm-up."""

import pytest
import torch

from emosphere_sb import distributed
from emosphere_sb.recipe import build


@pytest.mark.parametrize(
    ("processes", "expected"), [(1, ("train", 8)), (4, ("train", 4)), (5, ("train", 4))]
)
def test_longest_batches_have_the_size_of_training_batches(processes, expected, monkeypatch):
    """16 utterances per step in micro-batches of 8: at most 4 for each of 4 processes."""
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    monkeypatch.setattr(build.data, "longest_batch", lambda dataset, size: (dataset, size))
    settings = {"batch_size": 16, "micro_batch": 8, "eval_batch": 32}
    found = build.longest_batches({"train": "train", "valid": "valid"}, settings)
    assert found == (expected, ("valid", 32))


@pytest.mark.parametrize(
    ("precision", "gpu", "expected"),
    [("fp16", False, {"precision": "fp32"}), ("fp16", True, {}), ("bf16", False, {})],
)
def test_fp16_without_a_gpu_falls_back_to_fp32(precision, gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert build.available_precision(precision) == expected


@pytest.mark.parametrize(
    ("share", "fixed", "expected"), [(0.0, 7, 7), (0.0, 0, 0), (0.1, 0, 60), (1.0, 0, 600)]
)
def test_warmup_is_a_share_of_all_steps_or_a_fixed_number(share, fixed, expected):
    settings = {"warmup_share": share, "warmup_steps": fixed, "schedule_name": "linear"}
    assert build.warmup_steps(settings, 600) == expected
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = build.make_schedule(optimizer, settings=settings, steps=600)
    rates = []
    for _ in range(600):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) == min(expected, 599)
