"""Tests of colour-blind safe palettes and of reproducible output."""

import itertools
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from emosphere_sb.report.plots.style import (
    COLOURS,
    palette,
    render_pdf,
    render_png,
    with_plot_style,
)

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
    """CIELAB (D65) of colours under a colour vision deficiency."""
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
def test_octant_and_dimension_colours_are_distinguishable(vision):
    # A distance of 2.3 is just noticeable.
    assert least_distance(palette(8), vision) > 15
    assert least_distance(list(COLOURS.values()), vision) > 15


@pytest.mark.parametrize("count", [1, 2, 8, 9, 18, 33, 72, 73])
def test_palette_has_requested_number_of_distinct_colours(count):
    assert len(set(palette(count))) == len(palette(count)) == count


@pytest.mark.parametrize(("count", "ring"), [(18, 6), (32, 8), (72, 12)])
@pytest.mark.parametrize("vision", VISIONS)
def test_neighbouring_region_colours_are_distinguishable(count, ring, vision):
    lab = seen(palette(count), vision)
    along = np.linalg.norm(lab[1:] - lab[:-1], axis=1)
    across = np.linalg.norm(lab[ring:] - lab[:-ring], axis=1)
    assert min(along.min(), across.min()) > 5


def test_empty_palette_raises():
    with pytest.raises(ValueError, match="at least 1; found 0"):
        palette(0)


def drawn():
    figure = Figure((2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize("save", [render_png, render_pdf])
def test_output_is_reproducible_without_date_and_version(save):
    first, second = save(drawn()), save(drawn())
    assert first == second
    for word in (b"Software", b"CreationDate", b"Matplotlib", b"matplotlib"):
        assert word not in first


def test_png_has_expected_size():
    assert struct.unpack(">II", render_png(drawn())[16:24]) == (2 * 144, 144)


def test_user_settings_are_ignored_and_restored():
    before = render_png(with_plot_style(drawn)())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert render_png(with_plot_style(drawn)()) == before
        assert matplotlib.rcParams["font.size"] == 30
