"""Regions of the sphere in NumPy, and their spherical coordinates against PyTorch."""

import math

import numpy as np
import pytest
import torch

from emosphere_sb.sphere.geometry import to_spherical
from emosphere_sb.sphere.grid import STEPS, RegionPartition, spherical_coordinates
from emosphere_sb.sphere.regions import SphericalRegions


def test_numpy_coordinates_match_torch():
    points = np.random.default_rng(0).uniform(-1, 1, (2_000, 3))
    for found, expected in zip(
        spherical_coordinates(points), to_spherical(torch.from_numpy(points)), strict=True
    ):
        assert np.abs(found - expected.numpy()).max() < 1e-14


@pytest.mark.parametrize(
    "vad, expected",
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, math.pi / 2)),
        ((-0.0, -0.0, -0.0), (0.0, 0.0, math.pi / 2)),
        ((0.5, -0.0, -0.0), (0.5, 0.0, 0.0)),
        ((-0.5, 0.0, 0.0), (0.5, 0.0, math.pi)),
        ((0.0, -0.5, -0.0), (0.5, math.pi, math.pi / 2)),
        ((3.0, 0.0, 4.0), (5.0, math.pi / 2, math.atan(4 / 3))),
    ],
)
def test_numpy_coordinates_by_hand(vad, expected):
    assert [float(value) for value in spherical_coordinates(vad)] == pytest.approx(
        expected, abs=1e-15
    )


def test_last_axis_must_be_vad():
    with pytest.raises(ValueError, match=r"found shape \(2,\)"):
        RegionPartition(90).assign([0.1, 0.2])


@pytest.mark.parametrize("step", STEPS)
def test_each_region_has_one_name(step):
    grid = RegionPartition(step, 0.1)
    assert sorted(grid.indices.flat) == list(range(len(grid) - 1))
    assert grid.names == SphericalRegions(step, 0.1).names


def test_octants_by_hand():
    # index of the octant from the signs: +V +A -D is V (4), -V -A -D is VII (6), unknown is -1
    points = [[0.1, 0.2, -0.3], [-0.1, -0.2, -0.3], [math.nan, 0.0, 0.0]]
    assert RegionPartition(90).assign(points).tolist() == [4, 6, -1]
