"""True and predicted points on the sphere around neutral, coloured by region."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emosphere_sb.report.plots.style import GREY, note, palette, styled
from emosphere_sb.results.number_format import count_text
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import STEPS, SphericalRegions

MOST = 3000
"""Points a panel shows at most."""

FEW = 300
"""Fewer points than these are drawn larger."""

VIEWS = {"from +V +A +D": (20, 40), "from -V -A -D": (-20, 220)}
"""Elevation and azimuth of the two views, in degrees. They are opposite, so that every point is
seen from one."""


@styled
def sphere(table: pd.DataFrame, *, scale: Scale, name: str = "", seed: int = 0) -> Figure:
    """Directions of true and predicted VAD from neutral, each seen from both sides.

    Arguments
    ---------
    table : pandas.DataFrame
        As ``read_predictions`` gives it, with ``region`` and ``region_point``. Where some
        utterances have labels of all dimensions, only those are drawn, in both columns.
    scale : Scale
        The corpus's: its middle is neutral.
    name : str
        Of the set, for the figure's title.
    seed : int
        Of the draw where there are more than 3,000 points; the figure says that there are.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns, truth and prediction; two rows, seen from the side of high values and from
        the opposite one. Valence points up. A point lies where the ray from neutral meets the unit
        sphere; points at neutral have no direction and are counted below. The circles are the
        borders of the octants.
    """
    columns = ("region", "region_point")
    names = {text for column in columns for text in table[column]}
    if "region_head" in table:  # its probabilities name regions that do not occur as well
        names |= {column[2:] for column in table if column.startswith("p_")}
    colours, labels = region_colours(names)
    labelled = table[np.isfinite(table[list(DIMENSIONS)].to_numpy(dtype=float)).all(axis=1)]
    drawn = thinned(labelled if len(labelled) else table, seed=seed)
    figure = Figure(figsize=(8.2, 8.8))
    lost = []
    for column, (title, region) in enumerate(zip(("true", "predicted"), columns, strict=True)):
        vad = scale.normalise(drawn[list((DIMENSIONS, PREDICTED)[column])].to_numpy(dtype=float))
        radius = np.linalg.norm(vad, axis=1)
        away = radius > 0  # NaN is not
        lost.append(int((radius == 0).sum()))
        points = vad[away] / radius[away, None]
        shades = np.array([colours[text] for text in drawn[region]], dtype=object)[away]
        figure.text(0.27 + 0.48 * column, 0.945, title, ha="center", fontweight="bold")
        for row, view in enumerate(VIEWS.values()):
            axes = figure.add_subplot(2, 2, 1 + column + 2 * row, projection="3d")
            _globe(axes, view)
            if len(points):
                _cloud(axes, points, shades, view)
            else:
                axes.text2D(0.5, 0.5, "no labels", transform=axes.transAxes, ha="center")
    figure.subplots_adjust(left=0.03, right=1.0, top=0.94, bottom=0.1, wspace=0.0, hspace=0.06)
    for side, height in zip(VIEWS, (0.73, 0.30), strict=True):
        figure.text(0.025, height, f"seen {side}", rotation=90, va="center", color=GREY)
    title = f"On the sphere, {name}" if name else "On the sphere"
    figure.suptitle(title, x=0.02, y=0.985, ha="left", fontsize=10.5)
    _legend(figure, labels, len(colours))
    note(figure, _said(len(drawn), len(labelled) or len(table), lost, seed))
    return figure


def region_colours(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """A colour for every region of the partition to which these names belong.

    Arguments
    ---------
    names : iterable of str
        Regions that occur; the empty name is an unknown region.

    Returns
    -------
    colours : dict of str to str
        By name, in the partition's order, and grey for the empty name. Of several partitions that
        know all names the coarsest is taken, the octants first.
    labels : dict of str to str
        Descriptions by colour for a legend; empty for more than eight regions.

    Raises
    ------
    ValueError
        If no partition knows all names.

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
        f"Regions must be those of one partition of the sphere; found {', '.join(sorted(found))}. "
        "Make the predictions again, with one way of cutting the sphere."
    )


def thinned(table: pd.DataFrame, *, seed: int, most: int = MOST) -> pd.DataFrame:
    """At most so many rows, drawn without replacement, in their order."""
    if len(table) <= most:
        return table
    return table.iloc[np.sort(np.random.default_rng(seed).permutation(len(table))[:most])]


def _said(drawn: int, of: int, lost: list[int], seed: int) -> str:
    parts = []
    if drawn < of:
        parts.append(f"{count_text(drawn)} of {count_text(of)} utterances, drawn with seed {seed}")
    else:
        parts.append(f"{count_text(drawn)} utterances")
    if any(lost):
        parts.append(f"at neutral, not drawn: {lost[0]:,} true, {lost[1]:,} predicted")
    return "; ".join(parts)


def _legend(figure: Figure, labels: dict[str, str], classes: int) -> None:
    if not labels:
        figure.text(0.02, 0.055, f"One colour a region, {classes - 1} regions", color=GREY)
        return
    marks = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in labels]
    figure.legend(
        marks, labels.values(), loc="lower center", ncols=4, bbox_to_anchor=(0.5, 0.03), fontsize=9,
        handletextpad=0.2,
    )  # fmt: skip


def _eye(view: tuple[float, float]) -> np.ndarray:
    """Unit vector towards the eye, (x, y, z) = (arousal, dominance, valence)."""
    rise, turn = np.deg2rad(view)
    return np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])


def _globe(axes: Axes, view: tuple[float, float]) -> None:
    """Outline, borders of the octants, and the axes' names."""
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
        if eye @ position >= -0.5:  # the pole that is just behind the outline is still named
            axes.text(*position, text, ha="center", va="center", fontsize=9.5, fontweight="bold",
                      color="#333333")  # fmt: skip


def _cloud(axes: Axes, points: np.ndarray, colours: np.ndarray, view: tuple) -> None:
    """The points on this side."""
    xyz = points[:, [1, 2, 0]]  # (valence, arousal, dominance) to valence upwards
    near = xyz @ _eye(view) >= 0
    size = 24 if len(points) < FEW else 10
    # The thin edge holds pale colours against the paper.
    axes.scatter(
        *xyz[near].T, c=list(colours[near]), s=size, alpha=0.65, linewidths=0.25,
        edgecolors="#555555", depthshade=False,
    )  # fmt: skip
