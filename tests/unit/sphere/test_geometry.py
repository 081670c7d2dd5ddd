"""Conversion to spherical coordinates and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from emosphere_sb.sphere.geometry import to_cartesian, to_spherical

value = st.floats(-1, 1, allow_nan=False)
point = st.tuples(value, value, value).map(lambda vad: torch.tensor(vad, dtype=torch.float64))


@pytest.mark.parametrize(
    "vad, radius, azimuth, polar",
    [
        ((0.5, 0.0, 0.0), 0.5, 0, 0),
        ((-0.5, 0.0, 0.0), 0.5, 0, 180),
        ((0.0, 0.5, 0.0), 0.5, 0, 90),
        ((0.0, 0.0, 0.5), 0.5, 90, 90),
        ((0.0, -0.5, 0.0), 0.5, 180, 90),
        ((0.0, 0.0, -0.5), 0.5, -90, 90),
        ((0.0, 1.0, -1.0), math.sqrt(2), -45, 90),
        ((1.0, 1.0, 0.0), math.sqrt(2), 0, 45),
        ((-1.0, 0.6, 0.8), math.sqrt(2), math.degrees(math.atan2(0.8, 0.6)), 135),
        ((0.0, 0.0, 0.0), 0.0, 0, 90),
    ],
)
def test_spherical_coordinates_by_hand(vad, radius, azimuth, polar):
    found = to_spherical(torch.tensor(vad, dtype=torch.float64))
    expected = (radius, math.radians(azimuth), math.radians(polar))
    assert [float(x) for x in found] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dominance", [0.0, -0.0, -1e-30])
def test_azimuth_is_never_minus_pi(dominance, dtype):
    _, azimuth, _ = to_spherical(torch.tensor([0.0, -1.0, dominance], dtype=dtype))
    assert azimuth > 3


def test_polar_angle_is_accurate_near_the_pole():
    # the arc cosine of V / r would read 0 here
    _, _, polar = to_spherical(torch.tensor([1.0, 3e-10, 4e-10], dtype=torch.float64))
    assert polar.item() == pytest.approx(5e-10, rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(point)
def test_coordinates_are_in_their_intervals(vad):
    radius, azimuth, polar = to_spherical(vad)
    assert 0 <= radius <= math.sqrt(3) * (1 + 1e-15)
    assert -math.pi < azimuth <= math.pi
    assert 0 <= polar <= math.pi


@settings(max_examples=200, deadline=None)
@given(point, point)
def test_round_trip_around_any_origin(vad, origin):
    back = to_cartesian(*to_spherical(vad, origin), origin)
    assert (back - vad).abs().max() < 1e-12


def test_origin_may_be_a_sequence():
    radius, _, polar = to_spherical(torch.tensor([4.5, 4.0, 4.0]), [4.0, 4.0, 4.0])
    assert (radius.item(), polar.item()) == (0.5, 0.0)


def test_leading_axes_are_preserved():
    assert [tuple(x.shape) for x in to_spherical(torch.rand(2, 5, 3))] == [(2, 5)] * 3


def test_integers_are_accepted():
    assert to_spherical(torch.tensor([0, 3, 4]))[0].item() == 5.0


@pytest.mark.parametrize(
    "vad", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)]
)
def test_gradients_are_finite_where_angles_are_undefined(vad):
    vad = torch.tensor(vad, requires_grad=True)
    torch.stack(to_spherical(vad)).sum().backward()
    assert vad.grad.isfinite().all()


def test_gradients_match_finite_differences():
    generator = torch.Generator().manual_seed(0)
    vad = torch.rand(4, 3, dtype=torch.float64, generator=generator).mul(2).sub(1)
    assert gradcheck(to_spherical, vad.requires_grad_())


def test_gradient_is_continuous_where_the_azimuth_wraps():
    vad = torch.tensor([0.0, -1.0, -1e-30], requires_grad=True)
    to_spherical(vad)[1].backward()
    # d atan2(D, A) / dD = A / (A² + D²)
    assert vad.grad.tolist()[2] == -1.0


@pytest.mark.parametrize("shape", [(), (2,), (3, 4)])
def test_wrong_last_axis_raises(shape):
    with pytest.raises(ValueError, match="last axis must have size 3"):
        to_spherical(torch.zeros(shape))
