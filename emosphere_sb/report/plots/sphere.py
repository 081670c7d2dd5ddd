"""Plot true and predicted directions on the sphere, coloured by region."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emosphere_sb.report.plots.style import GREY, add_footnote, palette, with_plot_style
from emosphere_sb.results.number_format import format_count
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import STEPS, SphericalRegions

MAX_POINTS = 3000
"""Maximum number of points per panel."""

LARGE_MARKER_POINTS = 300
"""Below this number of points, markers are larger."""

VIEWS = {"from +V +A +D": (20, 40), "from -V -A -D": (-20, 220)}
"""Elevation and azimuth of two opposite views, in degrees. Each point is visible in one of them."""


@with_plot_style
def plot_sphere(table: pd.DataFrame, *, scale: Scale, name: str = "", seed: int = 0) -> Figure:
    """Plot the directions of true and predicted VAD from neutral, from two opposite views.

    Arguments
    ---------
    table : pandas.DataFrame
        Predictions as returned by ``read_predictions``, with ``region`` and ``region_point``. If
        any utterances have labels of all dimensions, only these are plotted.
    scale : Scale
        Label scale of the corpus; its centre is neutral.
    name : str
        Name of the set for the title.
    seed : int
        Random seed for drawing 3,000 points if there are more; the plot notes the subsampling.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns (truth and prediction) and two rows (views from high and from low values), with
        valence pointing up. Points are projected onto the unit sphere. Points at neutral have no
        direction; their number is noted. Circles are the borders of the octants.
    """
    columns = ("region", "region_point")
    names = {text for column in columns for text in table[column]}
    if "region_head" in table:  # its probability columns list all regions
        names |= {column[2:] for column in table if column.startswith("p_")}
    colours, labels = region_colours(names)
    labelled = table[np.isfinite(table[list(DIMENSIONS)].to_numpy(dtype=float)).all(axis=1)]
    drawn = subsample(labelled if len(labelled) else table, seed=seed)
    figure = Figure(figsize=(8.2, 8.8))
    neutral = []
    for column, (title, region) in enumerate(zip(("true", "predicted"), columns, strict=True)):
        vad = scale.normalise(drawn[list((DIMENSIONS, PREDICTED)[column])].to_numpy(dtype=float))
        radius = np.linalg.norm(vad, axis=1)
        has_direction = radius > 0  # False for NaN
        neutral.append(int((radius == 0).sum()))
        points = vad[has_direction] / radius[has_direction, None]
        shades = np.array([colours[text] for text in drawn[region]], dtype=object)[has_direction]
        figure.text(0.27 + 0.48 * column, 0.945, title, ha="center", fontweight="bold")
        for row, view in enumerate(VIEWS.values()):
            axes = figure.add_subplot(2, 2, 1 + column + 2 * row, projection="3d")
            draw_globe(axes, view)
            if len(points):
                draw_directions(axes, points, shades, view)
            else:
                axes.text2D(0.5, 0.5, "no labels", transform=axes.transAxes, ha="center")
    figure.subplots_adjust(left=0.03, right=1.0, top=0.94, bottom=0.1, wspace=0.0, hspace=0.06)
    for side, height in zip(VIEWS, (0.73, 0.30), strict=True):
        figure.text(0.025, height, f"view {side}", rotation=90, va="center", color=GREY)
    title = f"Directions on the sphere, {name}" if name else "Directions on the sphere"
    figure.suptitle(title, x=0.02, y=0.985, ha="left", fontsize=10.5)
    _legend(figure, labels, len(colours))
    add_footnote(figure, _sample_note(len(drawn), len(labelled) or len(table), neutral, seed))
    return figure


def region_colours(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Assign a colour to each region of the partition that contains the given names.

    Arguments
    ---------
    names : iterable of str
        Names of regions; the empty name means unknown.

    Returns
    -------
    colours : dict of str to str
        Colours by name, in the order of the partition, and grey for the empty name. If several
        partitions contain all names, the coarsest one is used, with preference for the octants.
    labels : dict of str to str
        Legend descriptions by colour; empty for more than eight regions.

    Raises
    ------
    ValueError
        If no partition contains all names.

    Example
    -------
    >>> colours, labels = region_colours(["II", "I"])
    >>> len(colours), labels[colours["II"]]
    (9, 'II (+V -A +D)')
    """
    found = set(names) - {""}
    for step in sorted(STEPS, key=lambda step: (step != 90, -step)):
        for radius in (0.0, 0.1):
            regions = SphericalRegions(step, radius)
            if found <= set(regions.names):
                shades = palette(len(regions))
                colours = dict(zip(regions.names, shades, strict=True))
                labels = dict(zip(shades, regions.descriptions, strict=True))
                return {**colours, "": GREY}, labels if len(regions) <= 8 else {}
    raise ValueError(
        "All regions must belong to the same partition of the sphere; found "
        f"{', '.join(sorted(found))}. Re-run the prediction for this set."
    )


def subsample(table: pd.DataFrame, *, seed: int, most: int = MAX_POINTS) -> pd.DataFrame:
    """Draw at most ``most`` rows without replacement, in the original order."""
    if len(table) <= most:
        return table
    return table.iloc[np.sort(np.random.default_rng(seed).permutation(len(table))[:most])]


def _sample_note(drawn: int, of: int, neutral: list[int], seed: int) -> str:
    parts = []
    if drawn < of:
        parts.append(
            f"{format_count(drawn)} of {format_count(of)} utterances, sampled with seed {seed}"
        )
    else:
        parts.append(f"{format_count(drawn)} utterances")
    if any(neutral):
        parts.append(f"at neutral, not shown: {neutral[0]:,} true, {neutral[1]:,} predicted")
    return "; ".join(parts)


def _legend(figure: Figure, labels: dict[str, str], classes: int) -> None:
    if not labels:
        figure.text(0.02, 0.055, f"One colour per region, {classes - 1} regions", color=GREY)
        return
    marks = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in labels]
    figure.legend(
        marks, labels.values(), loc="lower center", ncols=4, bbox_to_anchor=(0.5, 0.03), fontsize=9,
        handletextpad=0.2,
    )  # fmt: skip


def _eye(view: tuple[float, float]) -> np.ndarray:
    """Return the unit vector towards the viewer, (x, y, z) = (arousal, dominance, valence)."""
    rise, turn = np.deg2rad(view)
    return np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])


def draw_globe(axes: Axes, view: tuple[float, float]) -> None:
    """Draw the outline of the unit sphere, the borders of the octants, and the axis labels.

    Arguments
    ---------
    axes : matplotlib.axes.Axes
        Axes with a 3D projection.
    view : tuple of float
        Elevation and azimuth in degrees.
    """
    axes.view_init(elev=view[0], azim=view[1])
    axes.set_proj_type("ortho")
    axes.set_axis_off()
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.42)
    eye = _eye(view)
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    side = np.cross(eye, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    outline = np.stack([side, np.cross(eye, side)], axis=1) @ circle
    axes.plot(*outline, color="#999999", linewidth=1.0)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        ring = np.zeros((3, turn.size))
        ring[[first, second]] = circle
        near = eye @ ring >= 0
        axes.plot(*np.where(near, ring, np.nan), color="#BBBBBB", linewidth=0.8)
    for position, text in (
        ([0, 0, 1.13], "+V"), ([0, 0, -1.13], "-V"), ([1.13, 0, 0], "+A"), ([-1.13, 0, 0], "-A"),
        ([0, 1.13, 0], "+D"), ([0, -1.13, 0], "-D"),
    ):  # fmt: skip
        if eye @ position >= -0.5:  # label poles that are visible or slightly hidden
            axes.text(*position, text, ha="center", va="center", fontsize=9.5, fontweight="bold",
                      color="#333333")  # fmt: skip


def draw_directions(axes: Axes, points: np.ndarray, colours: np.ndarray, view: tuple) -> None:
    """Draw the points that are on the visible side of the sphere.

    Arguments
    ---------
    axes : matplotlib.axes.Axes
        Axes prepared by :func:`draw_globe`.
    points : numpy.ndarray
        Points on the unit sphere, shape (n, 3), in the order valence, arousal, dominance.
    colours : numpy.ndarray
        Colour of each point, shape (n,).
    view : tuple of float
        Elevation and azimuth in degrees.
    """
    xyz = points[:, [1, 2, 0]]  # (valence, arousal, dominance) to valence upwards
    near = xyz @ _eye(view) >= 0
    size = 24 if len(points) < LARGE_MARKER_POINTS else 10
    # A thin edge separates pale colours from the background.
    axes.scatter(
        *xyz[near].T, c=list(colours[near]), s=size, alpha=0.65, linewidths=0.25,
        edgecolors="#555555", depthshade=False,
    )  # fmt: skip
