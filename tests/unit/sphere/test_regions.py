"""Regions of the sphere: octants, finer steps, borders, areas, neighbours and soft targets."""

import math

import numpy as np
import pytest
import torch

from emosphere_sb.losses import region_loss
from emosphere_sb.scale import Scale
from emosphere_sb.sphere.geometry import to_cartesian
from emosphere_sb.sphere.regions import STEPS, SphericalRegions

SIZES = {180: 2, 90: 8, 60: 18, 45: 32, 30: 72}
# signs of V, A, D as published: I (+A +V +D), II (-A +V +D), ..., VIII (+A -V -D)
OCTANTS = {
    "I": (1, 1, 1),
    "II": (1, -1, 1),
    "III": (-1, -1, 1),
    "IV": (-1, 1, 1),
    "V": (1, 1, -1),
    "VI": (1, -1, -1),
    "VII": (-1, -1, -1),
    "VIII": (-1, 1, -1),
}


@pytest.fixture(scope="module")
def sphere():
    """100,000 directions with a uniform distribution over the sphere."""
    points = np.random.default_rng(0).normal(size=(100_000, 3))
    return torch.from_numpy(points / np.linalg.norm(points, axis=1, keepdims=True))


def at(polar, azimuth):
    angles = torch.tensor([azimuth, polar], dtype=torch.float64).deg2rad()
    return to_cartesian(torch.tensor(1.0, dtype=torch.float64), angles[0], angles[1])


@pytest.mark.parametrize("step, size", SIZES.items())
def test_number_of_regions(step, size):
    regions = SphericalRegions(step)
    lengths = {len(regions), len(set(regions.names)), len(set(regions.descriptions))}
    assert lengths | {len(regions.centres), len(regions.solid_angles)} == {size}


def test_octants_have_the_published_order():
    regions = SphericalRegions(90)
    index = regions.assign(torch.tensor(list(OCTANTS.values())) * 0.3)
    assert [regions.names[k] for k in index] == list(OCTANTS) == list(regions.names)


def test_octant_descriptions_have_signs():
    expected = [
        f"{name} ({'+' if v > 0 else '-'}V {'+' if a > 0 else '-'}A {'+' if d > 0 else '-'}D)"
        for name, (v, a, d) in OCTANTS.items()
    ]
    assert list(SphericalRegions(90).descriptions) == expected


@pytest.mark.parametrize(
    "vad, name",
    [
        ((0.0, 0.0, 0.0), "I"),
        ((-0.0, -0.0, -0.0), "I"),
        ((0.0, -0.5, 0.5), "II"),
        ((0.5, -0.5, 0.0), "II"),
        ((0.5, 0.0, -0.5), "V"),
        ((-0.5, 0.0, 0.0), "IV"),
        ((0.0, 0.0, -1e-300), "V"),
    ],
)
def test_zero_counts_as_plus_in_octants(vad, name):
    regions = SphericalRegions(90)
    assert regions.names[regions.assign(vad)] == name


@pytest.mark.parametrize(
    "step, vad, name",
    [
        # azimuth: a border belongs to the interval that starts there
        (180, (0.0, 1.0, 0.0), "p000a000"),
        (180, (0.0, -1.0, 0.0), "p000a180"),
        (180, (0.0, -1.0, -0.0), "p000a180"),
        (45, (-0.5, 0.0, 1.0), "p090a090"),
        (45, (-0.5, 1.0, 1.0), "p090a045"),
        (45, (-0.5, -1.0, -1.0), "p090a225"),
        (30, (-0.5, 0.0, -1.0), "p090a270"),
        # below 360 degrees by less than the precision of float64
        (60, (0.0, 1.0, -1e-9), "p060a300"),
        (60, (0.0, 1.0, -1e-300), "p060a300"),
        # polar angle: a border belongs to the ring of higher valence, so 0 counts as +
        (45, (0.0, 1.0, 0.0), "p045a000"),
        (30, (0.0, 1.0, 0.0), "p060a000"),
        (45, (-1e-9, 1.0, 0.0), "p090a000"),
        (60, (0.0, 1.0, 0.0), "p060a000"),
        (45, (0.5, 0.5, 0.0), "p000a000"),
        # the valence axis and the centre
        (60, (1.0, 0.0, 0.0), "p000a000"),
        (60, (-1.0, 0.0, 0.0), "p120a000"),
        (45, (0.0, 0.0, 0.0), "p045a000"),
        (180, (0.0, 0.0, 0.0), "p000a000"),
    ],
)
def test_borders_belong_to_the_documented_region(step, vad, name):
    regions = SphericalRegions(step)
    assert regions.names[regions.assign(vad)] == name


@pytest.mark.parametrize("step", [180, 60, 45, 30])
def test_interval_middles_are_in_their_region(step):
    regions = SphericalRegions(step)
    for polar in range(0, 180, step):
        for azimuth in range(0, 360, step):
            found = regions.assign(at(polar + step / 2, azimuth + step / 2))
            assert regions.names[found] == f"p{polar:03d}a{azimuth:03d}"


@pytest.mark.parametrize("step", STEPS)
def test_centres_are_unit_vectors_inside_their_region(step):
    regions = SphericalRegions(step)
    assert regions.assign(regions.centres).tolist() == list(range(len(regions)))
    assert torch.allclose(regions.centres.norm(dim=-1), torch.ones(1, dtype=torch.float64))


def test_octant_centres_have_equal_coordinates():
    expected = torch.tensor(list(OCTANTS.values()), dtype=torch.float64) / math.sqrt(3)
    assert torch.allclose(SphericalRegions(90).centres, expected, atol=1e-15, rtol=0)


@pytest.mark.parametrize("dtype, name", [(np.float64, "VII"), (np.float32, "I")])
def test_labels_just_below_neutral_need_float64(dtype, name):
    labels = np.full(3, 3.99999999, dtype)  # 4 in float32, which is neutral
    regions = SphericalRegions(90)
    assert regions.names[regions.assign(Scale(1, 7).normalise(labels))] == name


@pytest.mark.parametrize("step", [90, 45])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_unknown_dimension_has_no_region(step, bad, dimension):
    vad = torch.full((2, 3), 0.1)
    vad[1, dimension] = bad
    assert SphericalRegions(step, 0.5).assign(vad).tolist()[1] == -1


def test_assign_keeps_leading_axes_and_gives_int64():
    found = SphericalRegions(60).assign(torch.rand(2, 5, 3, requires_grad=True))
    assert (found.shape, found.dtype) == ((2, 5), torch.int64)


def test_assign_accepts_arrays():
    assert SphericalRegions(90).assign(np.array([[-0.1, -0.1, -0.1]])).tolist() == [6]


@pytest.mark.parametrize("step", STEPS)
def test_solid_angles_sum_to_the_sphere(step):
    assert SphericalRegions(step).solid_angles.sum().item() == pytest.approx(4 * math.pi, abs=1e-12)


@pytest.mark.parametrize("step, area", [(180, 2 * math.pi), (90, math.pi / 2)])
def test_equal_regions_have_equal_solid_angles(step, area):
    assert SphericalRegions(step).solid_angles.tolist() == pytest.approx([area] * SIZES[step])


def test_solid_angles_at_sixty_degrees():
    # (pi / 3) (cos 0 - cos 60) at the poles, (pi / 3) (cos 60 - cos 120) around the equator
    expected = [math.pi / 6] * 6 + [math.pi / 3] * 6 + [math.pi / 6] * 6
    assert SphericalRegions(60).solid_angles.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("step", STEPS)
def test_solid_angles_match_sampled_shares(step, sphere):
    regions = SphericalRegions(step)
    share = regions.assign(sphere).bincount(minlength=len(regions)).double() / len(sphere)
    expected = regions.solid_angles / (4 * math.pi)
    deviation = (expected * (1 - expected) / len(sphere)).sqrt()
    assert ((share - expected).abs() < 5 * deviation).all()


def test_octant_neighbours_differ_in_one_sign():
    signs = torch.tensor(list(OCTANTS.values()))
    differ = (signs[:, None] != signs[None]).sum(dim=-1)
    assert SphericalRegions(90).neighbours == [set(np.flatnonzero(row == 1)) for row in differ]


def test_neighbours_at_sixty_degrees():
    found = SphericalRegions(60).neighbours
    assert (found[0], found[7], found[17]) == ({1, 5, 6}, {1, 6, 8, 13}, {12, 16, 11})


def test_hemispheres_are_neighbours():
    assert SphericalRegions(180).neighbours == [{1}, {0}]


@pytest.mark.parametrize("radius, index", [(0.0, 8), (0.19, 8), (0.2, 0), (0.21, 0)])
def test_centre_region_is_open(radius, index):
    # 0.2 in one dimension is 0.2 exactly: at the radius itself a point is outside
    assert SphericalRegions(90, centre_radius=0.2).assign([radius, 0.0, 0.0]) == index


def test_centre_region_is_last_and_neighbour_of_all():
    regions = SphericalRegions(45, centre_radius=0.2)
    assert (len(regions), regions.names[-1]) == (33, "centre")
    assert regions.neighbours[-1] == set(range(32))
    assert all(32 in neighbours for neighbours in regions.neighbours[:-1])


def test_centre_region_has_zero_centre_and_solid_angle():
    regions = SphericalRegions(60, centre_radius=0.2)
    assert regions.centres[-1].tolist() == [0.0, 0.0, 0.0]
    assert regions.solid_angles[-1] == 0.0


@pytest.mark.parametrize("step", [0, 36, 120, "90", None])
def test_unknown_step_raises(step):
    with pytest.raises(ValueError, match="one of 180, 90, 60, 45, 30 degrees; found"):
        SphericalRegions(step)


@pytest.mark.parametrize("radius", [-0.1, 1.8, math.nan])
def test_invalid_centre_radius_raises(radius):
    with pytest.raises(ValueError, match="centre_radius must be"):
        SphericalRegions(90, radius)


# --- soft targets ---------------------------------------------------------------------------------


def test_soft_targets_of_a_pole_by_hand():
    # The integral of exp(k z) over the hemisphere z >= 0 is 2 pi (exp(k) - 1) / k, and that over
    # the other one is exp(-k) times as large: a logistic function of k.
    found = SphericalRegions(180).soft_targets([0.0, 0.0, 0.25], concentration=3.0)
    upper = 1 / (1 + math.exp(-3.0 * 0.25))
    assert found.tolist() == pytest.approx([upper, 1 - upper], abs=1e-6)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("concentration", [0.5, 4.0, 60.0])
def test_soft_targets_match_numerical_integration(step, concentration):
    """Midpoint sums over a fine grid of polar angle and azimuth, assigned to their regions."""
    vad = np.array([0.4, -0.2, 0.7])
    regions, (rings, columns) = SphericalRegions(step), (1440, 2880)
    polar = (np.arange(rings) + 0.5) * np.pi / rings
    azimuth = (np.arange(columns) + 0.5) * 2 * np.pi / columns
    polar, azimuth = np.meshgrid(polar, azimuth, indexing="ij")
    points = np.stack(
        [np.cos(polar), np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)], axis=-1
    )  # valence is the polar axis; azimuth is from arousal to dominance
    density = np.exp(concentration * (points @ vad)) * np.sin(polar)
    region = regions.assign(points).numpy()
    expected = np.bincount(region.ravel(), density.ravel(), minlength=len(regions))
    found = regions.soft_targets(vad, concentration)
    assert found.tolist() == pytest.approx((expected / expected.sum()).tolist(), abs=1e-5)


def test_quadrature_is_computed_once():
    regions = SphericalRegions(90)
    regions.soft_targets(torch.ones(3), 1.0)
    nodes = regions._nodes
    regions.soft_targets(torch.ones(3), 2.0)
    assert regions._nodes is nodes


def test_class_weights_shift_the_optimum_of_soft_targets():
    """The loss is smallest where p is proportional to w q."""
    target = SphericalRegions(90).soft_targets([0.4, -0.2, 0.7], 4.0)
    target, weights = torch.as_tensor(target).double(), torch.linspace(0.5, 4.0, 8).double()
    best = (weights * target / (weights * target).sum()).log().requires_grad_()
    loss = region_loss(best[None], torch.tensor([0]), weights, targets=target[None])
    loss.backward()
    assert best.grad.abs().max() < 1e-12
    plain = region_loss(target.log()[None], torch.tensor([0]), weights, targets=target[None])
    assert plain > loss + 1e-3


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("vad", [(0.0, 0.0, 0.0), (1e-7, -1e-7, 1e-7)])
def test_soft_targets_at_zero_radius_are_solid_angle_shares(step, vad):
    regions = SphericalRegions(step)
    found = regions.soft_targets(torch.tensor(vad, dtype=torch.float64), 20.0)
    assert torch.allclose(found, regions.solid_angles / (4 * math.pi), atol=1e-5, rtol=0)


@pytest.mark.parametrize("step", [180, 90])
def test_soft_targets_with_high_concentration_match_the_region(step, sphere):
    regions = SphericalRegions(step)
    inside = sphere[(sphere.abs() > 0.01).all(dim=-1)][:1000]
    found = regions.soft_targets(inside, 1e4)
    expected = torch.nn.functional.one_hot(regions.assign(inside), len(regions)).double()
    assert torch.allclose(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("step, share", [(60, 0.018), (45, 0.009), (30, 0.007)])
def test_nearest_centre_differs_from_the_region_only_near_ring_borders(step, share, sphere):
    regions = SphericalRegions(step)
    differ = (sphere @ regions.centres.T).argmax(dim=-1) != regions.assign(sphere)
    polar = sphere[differ, 0].acos().rad2deg()
    assert (polar - (polar / step).round() * step).abs().max() < 3.5
    assert differ.double().mean().item() == pytest.approx(share, abs=0.0015)


def test_large_concentration_is_finite():
    found = SphericalRegions(30).soft_targets(torch.ones(3), 1e30)
    assert found.isfinite().all() and found.sum().item() == pytest.approx(1.0)


def test_soft_target_of_a_centre_point_is_the_centre_region():
    found = SphericalRegions(90, 0.2).soft_targets([[0.1, 0.0, 0.0], [0.5, 0.5, 0.5]], 5.0)
    assert found[0].tolist() == [0.0] * 8 + [1.0]
    assert found[1, 8] == 0.0


@pytest.mark.parametrize("centre_radius", [0.0, 0.2])
def test_soft_target_of_an_unknown_point_is_zero(centre_radius):
    vad = torch.tensor([[math.nan, 0.1, 0.1], [0.3, 0.1, 0.1]])
    found = SphericalRegions(90, centre_radius).soft_targets(vad, 5.0)
    assert found.sum(dim=-1).tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_soft_targets_are_at_least_float32(dtype):
    found = SphericalRegions(90).soft_targets(torch.ones(2, 3, dtype=dtype), 1.0)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_soft_target_gradient_is_finite_at_the_centre_and_for_unknown_points():
    vad = torch.tensor([[0.0, 0.0, 0.0], [math.nan, 0.5, 0.5]], requires_grad=True)
    SphericalRegions(90, 0.1).soft_targets(vad, 5.0).square().sum().backward()
    assert vad.grad.isfinite().all()


@pytest.mark.parametrize("concentration", [-1.0, math.inf, math.nan])
def test_invalid_concentration_raises(concentration):
    with pytest.raises(ValueError, match="concentration must be a finite number"):
        SphericalRegions(90).soft_targets(torch.ones(3), concentration)
