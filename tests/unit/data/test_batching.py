"""Batching for evaluation, without torch."""

import subprocess
import sys

import pytest

from emosphere_sb.data.batching import batches_by_length, split_list


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(1, [[4], [7], [5]]), (2, [[4, 7], [5]]), (3, [[4, 7, 5]])],
)
def test_split_list(size, pieces):
    assert split_list([4, 7, 5], size) == pieces


def test_batches_by_length_are_in_descending_order():
    assert batches_by_length([2.0, 5.0, 1.0, 5.0, 3.0], 2) == [[1, 3], [4, 0], [2]]


def test_invalid_batch_size_raises():
    with pytest.raises(ValueError, match="eval_batch must be at least 1 utterance; found 0"):
        batches_by_length([1.0], 0)


def test_batching_does_not_import_torch(root):
    code = "import sys, emosphere_sb.data.batching; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == "False"


def test_padded_batches_have_at_most_the_maximum_duration():
    durations = [12.0, 2.0, 9.0, 4.0, 4.0, 5.0, 30.0]
    batches = batches_by_length(durations, 3, max_total=20.0)
    # 30 alone; 12 alone, because 2 · 12 > 20; 9 with 5 (18); 4 with 4 and 2 (12)
    assert batches == [[6], [0], [2, 5], [3, 4, 1]]
    assert batches_by_length(durations, 2, max_total=20.0)[3:] == [[3, 4], [1]]
    assert batches_by_length([], 3, max_total=20.0) == []
