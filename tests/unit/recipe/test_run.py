"""Steps of a run: memory-check batches, precision and shuffled labels."""

import copy

import pytest
import torch

from emosphere_sb import distributed
from emosphere_sb.recipe import run
from emosphere_sb.scale import DIMENSIONS


@pytest.mark.parametrize(
    ("processes", "expected"), [(1, ("train", 8)), (4, ("train", 4)), (5, ("train", 4))]
)
def test_longest_batches_have_the_size_of_training_batches(processes, expected, monkeypatch):
    """16 utterances per step in micro-batches of 8: at most 4 for each of 4 processes."""
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    monkeypatch.setattr(run.data, "longest_batch", lambda dataset, size: (dataset, size))
    settings = {"batch_size": 16, "micro_batch": 8, "eval_batch": 32}
    found = run.longest_batches({"train": "train", "valid": "valid"}, settings)
    assert found == (expected, ("valid", 32))


@pytest.mark.parametrize(
    ("precision", "gpu", "expected"),
    [("fp16", False, {"precision": "fp32"}), ("fp16", True, {}), ("bf16", False, {})],
)
def test_fp16_without_a_gpu_falls_back_to_fp32(precision, gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert run.available_precision(precision) == expected


@pytest.mark.parametrize(
    ("share", "fixed", "expected"), [(0.0, 7, 7), (0.0, 0, 0), (0.1, 0, 60), (1.0, 0, 600)]
)
def test_warmup_is_a_share_of_all_steps_or_a_fixed_number(share, fixed, expected):
    settings = {"warmup_share": share, "warmup_steps": fixed, "schedule_name": "linear"}
    assert run.warmup_steps(settings, 600) == expected
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = run.make_schedule(optimizer, settings=settings, steps=600)
    rates = []
    for _ in range(600):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) == min(expected, 599)


def test_labels_are_shuffled_between_utterances():
    rows = {
        str(n): {**dict.fromkeys(DIMENSIONS, n), "emotion": f"e{n}", "wav": n} for n in range(20)
    }
    before, again = copy.deepcopy(rows), copy.deepcopy(rows)
    run.shuffle_labels(rows, seed=1)
    assert rows != before and all(rows[name]["wav"] == before[name]["wav"] for name in rows)
    assert sorted(row["valence"] for row in rows.values()) == list(range(20))
    assert all(row["emotion"] == f"e{row['valence']}" for row in rows.values())
    run.shuffle_labels(again, seed=1)
    assert again == rows
