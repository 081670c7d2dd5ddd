"""Colours apart for any colour vision; files that are the same bytes for the same input."""

import itertools
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import COLOURS, palette, pdf, png, styled

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen(colours, vision):
    """CIELAB (D65) of colours as somebody with this vision sees them."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def least_distance(colours, vision):
    lab = seen(colours, vision)
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize("vision", VISIONS)
def test_octants_and_dimensions_are_apart(vision):
    # A distance of 2.3 is just noticeable.
    assert least_distance(palette(8), vision) > 15
    assert least_distance(list(COLOURS.values()), vision) > 15


@pytest.mark.parametrize("count", [1, 2, 8, 9, 18, 33, 72, 73])
def test_as_many_colours_as_asked_for_all_different(count):
    assert len(set(palette(count))) == len(palette(count)) == count


@pytest.mark.parametrize(("count", "ring"), [(18, 6), (32, 8), (72, 12)])
@pytest.mark.parametrize("vision", VISIONS)
def test_regions_next_to_each_other_are_apart(count, ring, vision):
    lab = seen(palette(count), vision)
    along = np.linalg.norm(lab[1:] - lab[:-1], axis=1)
    across = np.linalg.norm(lab[ring:] - lab[:-ring], axis=1)
    assert min(along.min(), across.min()) > 5


def test_no_colour_is_refused():
    with pytest.raises(ValueError, match="at least one colour; found 0"):
        palette(0)


def drawn():
    figure = Figure((2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize("save", [png, pdf])
def test_the_same_bytes_without_date_and_version(save):
    first, second = save(drawn()), save(drawn())
    assert first == second
    for word in (b"Software", b"CreationDate", b"Matplotlib", b"matplotlib"):
        assert word not in first


def test_png_is_of_its_size():
    assert struct.unpack(">II", png(drawn())[16:24]) == (2 * 144, 144)


def test_a_users_settings_change_nothing_and_come_back():
    before = png(styled(drawn)())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert png(styled(drawn)()) == before
        assert matplotlib.rcParams["font.size"] == 30
