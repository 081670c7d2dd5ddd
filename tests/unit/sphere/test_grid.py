"""The cells of the sphere in numpy: the same spherical coordinates as the differentiable ones."""

import math

import numpy as np
import pytest
import torch

from emosphere_sb.sphere.geometry import to_spherical
from emosphere_sb.sphere.grid import STEPS, RegionGrid, spherical
from emosphere_sb.sphere.regions import SphericalRegions


def test_spherical_coordinates_equal_the_differentiable_ones():
    points = np.random.default_rng(0).uniform(-1, 1, (2_000, 3))
    for ours, theirs in zip(spherical(points), to_spherical(torch.from_numpy(points)), strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-14


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
def test_fixed_values_where_an_angle_is_undefined_and_by_hand(vad, expected):
    assert [float(value) for value in spherical(vad)] == pytest.approx(expected, abs=1e-15)


def test_last_axis_must_be_vad():
    with pytest.raises(ValueError, match=r"found shape \(2,\)"):
        RegionGrid(90).assign([0.1, 0.2])


@pytest.mark.parametrize("step", STEPS)
def test_every_index_of_a_grid_names_one_region(step):
    grid = RegionGrid(step, 0.1)
    assert sorted(grid.indices.flat) == list(range(len(grid) - 1))
    assert grid.names == SphericalRegions(step, 0.1).names


def test_signs_by_hand():
    # index of the octant from the signs: +V +A -D is V (4), -V -A -D is VII (6), unknown is -1
    points = [[0.1, 0.2, -0.3], [-0.1, -0.2, -0.3], [math.nan, 0.0, 0.0]]
    assert RegionGrid(90).assign(points).tolist() == [4, 6, -1]
