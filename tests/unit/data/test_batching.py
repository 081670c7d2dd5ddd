"""Batches of evaluation, without torch."""

import subprocess
import sys

import pytest

from emosphere_sb.data.batching import by_length, cut


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(1, [[4], [7], [5]]), (2, [[4, 7], [5]]), (3, [[4, 7, 5]])],
)
def test_consecutive_pieces(size, pieces):
    assert cut([4, 7, 5], size) == pieces


def test_evaluation_order_is_longest_first():
    assert by_length([2.0, 5.0, 1.0, 5.0, 3.0], 2) == [[1, 3], [4, 0], [2]]


def test_evaluation_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="eval_batch must be at least 1 utterance; found 0"):
        by_length([1.0], 0)


def test_models_that_run_without_torch_can_import_it(root):
    code = "import sys, emosphere_sb.data.batching; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == "False"
