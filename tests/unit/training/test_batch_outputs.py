"""Outputs and labels of micro-batches: concatenation, leaf copies, and splitting of gradients."""

import torch

from emosphere_sb.data.dataset import Batch
from emosphere_sb.training.batch_outputs import Labels, Output


def test_outputs_are_joined_in_order():
    parts = [Output(torch.full((n, 3), float(n)), torch.full((n, 5), -float(n))) for n in (1, 2)]
    joined = Output.join(parts, 5, "cpu")
    assert joined.vad[:, 0].tolist() == [1, 2, 2] and joined.logits[:, 4].tolist() == [-1, -2, -2]


def test_joining_no_outputs_gives_zero_rows():
    joined = Output.join([], 5, "cpu")
    assert joined.vad.shape == (0, 3) and joined.logits.shape == (0, 5)
    assert Output.join([], 0, "cpu").logits is None
    assert len(Output.join([], 2, "cpu").tensors) == 2


def test_gradients_are_split_by_micro_batch():
    leaves = Output(torch.zeros(4, 3), torch.zeros(4, 2)).leaves()
    (leaves.vad * torch.arange(4.0).unsqueeze(1)).sum().backward()
    first, second = leaves.gradients(1, [2, 1])
    assert first[0][:, 0].tolist() == [1, 2] and second[0][:, 0].tolist() == [3]
    assert first[1].tolist() == [[0, 0], [0, 0]]  # the loss does not depend on the logits


def test_leaves_are_detached_from_the_graph():
    weight = torch.nn.Parameter(torch.ones(()))
    leaves = Output(weight * torch.ones(1, 3), None).leaves()
    leaves.vad.sum().backward()
    assert weight.grad is None and leaves.vad.grad.tolist() == [[1, 1, 1]]


def test_labels_of_any_number_of_batches_are_joined():
    batch = Batch(["a"], torch.zeros(1, 1), torch.ones(1), torch.ones(1, 3), torch.tensor([7]))
    joined = Labels.join([batch, batch], "cpu")
    assert joined.vad.shape == (2, 3) and joined.target.tolist() == [7, 7]
    none = Labels.join([], "cpu")
    assert none.vad.shape == (0, 3) and none.target.dtype == torch.long
