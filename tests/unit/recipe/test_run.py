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
