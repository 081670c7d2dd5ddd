"""Auxiliary tasks: targets, class weights, losses and state."""

import math

import pytest
import torch
from torch.nn import functional as F

from emosphere_sb.lobes.tasks import EMOTIONS, EmotionTask, NoTask, RegionTask


def point(*vad):
    return torch.tensor(vad, dtype=torch.float64)


@pytest.mark.parametrize(
    "vad, region",
    [
        ((0.1, 0.1, 0.1), "I"), ((0.1, -0.1, 0.1), "II"), ((-0.1, -0.1, 0.1), "III"),
        ((-0.1, 0.1, 0.1), "IV"), ((0.1, 0.1, -0.1), "V"), ((0.1, -0.1, -0.1), "VI"),
        ((-0.1, -0.1, -0.1), "VII"), ((-0.1, 0.1, -0.1), "VIII"), ((0.0, 0.0, 0.0), "I"),
    ],
)  # fmt: skip
def test_published_octants(vad, region):
    task = RegionTask()
    assert task.size == 8
    assert task.names[task.target(point(*vad), "")] == region


@pytest.mark.parametrize("step, size", [(180, 2), (90, 8), (60, 18), (45, 32), (30, 72)])
def test_number_of_regions_matches_the_paper(step, size):
    assert RegionTask(step).size == size
    assert RegionTask(step, centre_radius=0.1).size == size + 1


def test_centre_region_is_a_separate_class():
    task = RegionTask(90, "none", None, 0.2)
    assert task.target(point(0.1, 0.1, 0.1), "") == 8
    assert task.target(point(0.2, 0.2, 0.2), "") == 0


def test_unknown_dimension_has_no_region():
    assert RegionTask().target(point(0.1, math.nan, 0.1), "happy") == -1


def test_class_weights_by_hand():
    task = RegionTask()
    task.set_targets(torch.tensor([0, 0, 0, 1, 7, 7, -1, -1]))
    # N / (K n) with N = 6 known utterances and K = 8 classes, 0 for an empty class
    expected = [6 / 24, 6 / 8, 0, 0, 0, 0, 0, 6 / 16]
    assert task.weights.tolist() == pytest.approx(expected)


def test_set_targets_replaces_class_weights():
    task = RegionTask(180)
    task.set_targets(torch.tensor([0, 1, 1]))
    task.set_targets(torch.tensor([0, 1]))
    assert task.weights.tolist() == [1.0, 1.0]


def test_class_weights_none_are_ones():
    task = RegionTask(90, "none")
    task.set_targets(torch.tensor([0, 0, 0, 1]))
    assert task.weights.tolist() == [1.0] * 8


@pytest.mark.parametrize("class_weights", ["inverse_frequency", "none"])
def test_training_set_without_known_class_raises(class_weights):
    with pytest.raises(ValueError, match="the training set has none"):
        RegionTask(90, class_weights).set_targets(torch.tensor([-1, -1]))


@pytest.mark.parametrize("task", [RegionTask(180), EmotionTask(["angry", "sad"])])
def test_loss_is_weighted_cross_entropy(task):
    task.set_targets(torch.tensor([0, 1, 1, 1]))
    logits = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 3.0]], requires_grad=True)
    target = torch.tensor([0, 0, -1])
    expected = F.cross_entropy(logits, target, weight=torch.tensor([2.0, 2 / 3]), ignore_index=-1)
    found = task(logits, target, torch.zeros(3, 3))
    torch.testing.assert_close(found, expected)


def test_soft_loss_by_hand():
    # Two halves of the sphere, divided at D = 0: the integrals of exp(k z) over z >= 0 and z < 0
    # are proportional to exp(k) - 1 and 1 - exp(-k) for a point on the D axis, with k = 2 * 0.5
    task = RegionTask(180, "none", 2.0)
    logits, vad = torch.tensor([[0.3, -0.4]]), torch.tensor([[0.0, 0.0, 0.5]])
    share = math.e / (math.e + 1)
    low = math.log(math.exp(0.3) + math.exp(-0.4))
    expected = share * (low - 0.3) + (1 - share) * (low + 0.4)
    assert float(task(logits, torch.tensor([0]), vad)) == pytest.approx(expected, abs=1e-6)


def test_soft_loss_ignores_unknown_points():
    task = RegionTask(90, "inverse_frequency", 4.0)
    task.set_targets(torch.tensor([0, 1, 2]))
    torch.manual_seed(0)
    logits, vad = torch.randn(3, 8), torch.rand(3, 3)
    vad[1, 2] = math.nan
    target = torch.tensor([0, -1, 0])
    remaining = torch.tensor([0, 2])
    found = task(logits, target, vad)
    torch.testing.assert_close(found, task(logits[remaining], target[remaining], vad[remaining]))
    assert found.isfinite()


def test_emotion_targets_are_class_indices():
    task = EmotionTask()
    assert (task.size, task.kind) == (8, "emotion")
    assert [task.target(point(0, 0, 0), name) for name in EMOTIONS] == list(range(8))
    assert {task.target(point(0, 0, 0), name) for name in ("other", "no_agreement", "")} == {-1}


def test_only_emotions_are_predicted_after_the_end_of_the_auxiliary_loss():
    tasks = (RegionTask(), EmotionTask(), NoTask())
    assert [task.always_predicted for task in tasks] == [False, True, False]


def test_emotion_names_are_case_insensitive():
    task = EmotionTask(["Sad", "HAPPY"])
    assert [task.target(point(0, 0, 0), name) for name in ("sad", "happy", "SAD")] == [0, 1, 0]


def test_emotion_target_does_not_need_vad():
    assert EmotionTask(["sad", "happy"]).target(point(math.nan, 0, 0), "happy") == 1


def test_no_task_has_no_classes():
    task = NoTask()
    assert (task.size, task.kind, task.names) == (0, "none", [])
    assert task.target(point(0.1, 0.1, 0.1), "happy") == -1
    task.set_targets(torch.tensor([-1, -1]))
    assert not list(task.parameters())


@pytest.mark.parametrize("task", [RegionTask(45), EmotionTask(), NoTask()])
def test_every_task_assigns_regions(task):
    assert task.regions.names[int(task.regions.assign(point(0.3, 0.3, 0.3)))]


def test_class_weights_are_part_of_the_state():
    one, other = RegionTask(), RegionTask()
    one.set_targets(torch.tensor([0, 1, 1]))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.weights, other.weights) and one.weights[0] != one.weights[1]


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: RegionTask(90, "balanced"), "class_weights must be one of .*found 'balanced'"),
        (lambda: RegionTask(50), "found 50"),
        (lambda: RegionTask(90, "none", -1.0), r"concentration .* found -1\.0"),
        (lambda: RegionTask(90, "none", math.inf), "concentration .* found inf"),
        (lambda: RegionTask(90, "none", None, 2.0), r"centre_radius .*found 2\.0"),
        (lambda: EmotionTask(["sad", "happy", "sad"]), "must be unique; found sad, happy, sad"),
    ],
)
def test_invalid_arguments_raise(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    "task", [RegionTask(), RegionTask(45, centre_radius=0.3), EmotionTask(), NoTask()], ids=str
)
def test_targets_of_a_set_equal_those_of_its_utterances(task):
    vad = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vad = 2.4 * vad - 1.2
    vad[::7] = 0.0
    vad[::11, 1] = math.nan
    emotions = [("angry", "Sad", "other", "")[n % 4] for n in range(200)]
    found = task.targets(vad, emotions)
    assert found.dtype == torch.int64
    assert found.tolist() == [task.target(*each) for each in zip(vad, emotions, strict=True)]
