"""Quantiles of the training data, distances of embeddings, and differences from the range."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.release.model_info import ModelInfo
from emosphere_sb.release.training_range import TrainingRange
from tests.helpers.models import tiny_about, write_tiny_model


@pytest.fixture
def embeddings():
    """21 embeddings: 0, 1, …, 20 in the first dimension, constant in the second."""
    return np.stack([np.arange(21.0), np.full(21, 5.0)], axis=1)


@pytest.fixture
def found(embeddings):
    seconds = np.linspace(1, 3, 21)
    return TrainingRange.measure(seconds, np.linspace(-40, -20, 21), embeddings)


def test_quantiles(found):
    # linear interpolation between order statistics: 20 · 0.999 = 19.98 steps of 0.1 s and 1 dB
    assert found.utterances == 21
    assert found.seconds == pytest.approx({0.001: 1.002, 0.5: 2.0, 0.999: 2.998})
    assert found.level == pytest.approx({0.001: -39.98, 0.5: -30.0, 0.999: -20.02})


def test_distance_is_standardised_and_ignores_constant_dimensions(found):
    # mean 10, variance (21² - 1) / 12 of 21 consecutive integers
    sd = math.sqrt((21**2 - 1) / 12)
    assert found.mean == (10.0, 5.0) and found.sd == pytest.approx((sd, 0.0), rel=1e-5)
    assert found.distance_of(np.array([10.0 + 3 * sd, 99.0])) == pytest.approx(3.0, rel=1e-5)
    # |x - 10| / sd for x = 0 … 20: the quantile 0.99 is 19.8 steps into 0, 1, 1, 2, 2, … 10, 10
    assert found.distance[0.99] == pytest.approx(10 / sd, rel=1e-4)


def test_distance_is_the_root_mean_square_over_dimensions():
    values = np.random.default_rng(0).normal(size=(200, 3)) * [1, 10, 100]
    found = TrainingRange.measure([1.0] * 200, [-20.0] * 200, values)
    expected = np.sqrt((((values[0] - values.mean(0)) / values.std(0)) ** 2).sum() / 3)
    assert found.distance_of(values[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"seconds": 1.5 * 2.998 - 0.01}, []),
        ({"seconds": 1.5 * 2.998 + 0.01}, ["seconds"]),
        ({"level": -20.02 + 2.9}, []),
        ({"level": -20.02 + 3.1}, ["level"]),
        ({"level": -math.inf}, []),
        ({"embedding": [10 + 1.24 * 10, 0]}, []),
        ({"embedding": [10 + 1.26 * 10, 0]}, ["embedding"]),
        ({"embedding": [10 - 1.26 * 10, 0]}, ["embedding"]),
        ({"level": 0, "embedding": [99, 0]}, ["level", "embedding"]),
        # Embeddings depend on the duration, so they are not examined here
        ({"seconds": 99, "level": 0, "embedding": [99, 0]}, ["seconds", "level"]),
        ({"seconds": 0.01, "embedding": [99, 0]}, []),
    ],
)
def test_differences_exceed_the_upper_end_by_a_margin(found, changes, expected):
    typical = {"seconds": 2.0, "level": -30.0, "embedding": [10.0, 5.0]} | changes
    assert found.differences(**typical) == expected


def test_tensors_of_float32_are_accepted(found):
    assert found.distance_of(torch.tensor([10.0, 5.0]).numpy()) == 0.0


def test_small_training_set_is_an_error(embeddings):
    with pytest.raises(ValueError, match="at least 20 utterances; found 19"):
        TrainingRange.measure([1.0] * 19, [-20.0] * 19, embeddings[:19])


def test_range_survives_json(found):
    about = tiny_about(training_range=found)
    stored = json.loads(json.dumps(about.to_dict()))
    assert ModelInfo.from_dict(stored) == about
    assert "training_range" not in tiny_about().to_dict()  # as in models of earlier versions
    assert ModelInfo.from_dict(tiny_about().to_dict()).training_range is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored.pop("mean"),
        lambda stored: stored["level"].pop("0.999"),
        lambda stored: stored.update(sd=["x"]),
        lambda stored: stored.update(sd=[1.0]),
        lambda stored: stored.update(sd=[-1.0, 1.0]),
        lambda stored: stored["distance"].update({"0.99": math.nan}),
        lambda stored: stored.update(seconds=None),
        lambda stored: stored.update(seconds={**stored["seconds"], "0.9": 1.0}),
        lambda stored: stored.update(mean=[], sd=[]),
        lambda stored: stored.update(mean="11", sd="11"),
        lambda stored: stored.update(mean=[10**400, 1.0]),
        lambda stored: stored.update(utterances=math.inf),
        lambda stored: stored.update(utterances=19),
        lambda stored: stored.update(utterances=True),
        lambda stored: stored.update(other=1),
    ],
)
def test_damaged_range_is_an_error(found, damage):
    stored = tiny_about(training_range=found).to_dict()
    damage(stored["training_range"])
    with pytest.raises(ValueError, match=r"Invalid model description: training_range.* again\."):
        ModelInfo.from_dict(stored)


def test_range_of_other_embeddings_is_an_error(tmp_path, found):
    write_tiny_model(tmp_path / "model")
    model = TorchPredictor.from_pretrained(tmp_path / "model", device="cpu")
    model.info = replace(model.info, training_range=found)
    noise = 0.1 * np.random.default_rng(0).normal(size=16000)
    with pytest.raises(ValueError, match=r"must describe embeddings of size \d+; found 2\."):
        model.predict(noise, 16000)


def test_range_that_is_not_a_mapping_is_an_error():
    with pytest.raises(ValueError, match="Invalid model description: training_range"):
        ModelInfo.from_dict({**tiny_about().to_dict(), "training_range": 3})
