"""What all plots share: colours, type, and files that are the same bytes for the same input."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

DPI = 144
"""Dots per inch of a PNG file."""

COLOURS = {
    "valence": "#0072B2",
    "arousal": "#D55E00",
    "dominance": "#009E73",
    "mean_ccc": "#333333",
}
"""Of each dimension and of their mean, in every plot: three of Okabe and Ito's, and dark grey."""

TITLES = {"valence": "Valence", "arousal": "Arousal", "dominance": "Dominance", "mean_ccc": "Mean"}

OKABE_ITO = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#222222",
)  # fmt: skip
"""Eight colours that people with any colour vision tell apart (Okabe and Ito, 2008)."""

GREY, FAINT = "#666666", "#D9D9D9"

STYLE = {
    "figure.facecolor": "white",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "text.parse_math": False,  # a name from a file may hold a dollar
    "pdf.fonttype": 42,
}

Drawing = TypeVar("Drawing", bound=Callable[..., Figure])


@contextmanager
def style() -> Iterator[None]:
    """Draw in this project's style, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(draw: Drawing) -> Drawing:
    """A drawing function that draws in the style."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with style():
            return draw(*args, **kwargs)

    return in_style


def png(figure: Figure) -> bytes:
    """A figure as PNG, without the version and the date that would make it differ."""
    return _saved(figure, "png", {"Software": None})


def pdf(figure: Figure) -> bytes:
    """A figure as PDF, without versions and the date."""
    return _saved(figure, "pdf", {"Creator": None, "Producer": None, "CreationDate": None})


def _saved(figure: Figure, form: str, metadata: dict) -> bytes:
    whole = io.BytesIO()
    with style():
        figure.savefig(whole, format=form, dpi=DPI, metadata=metadata)
    return whole.getvalue()


def palette(count: int) -> list[str]:
    """A colour for each of so many classes, apart for people with any colour vision.

    Up to eight they are Okabe and Ito's. Beyond, nobody tells all of them apart: they are read from
    matplotlib's viridis, whose lightness rises for all viewers alike, in leaps, so that a class and
    the next one differ in lightness.

    Arguments
    ---------
    count : int
        At least 1.

    Returns
    -------
    list of str
        Hexadecimal colours, all different up to 200 classes.

    Raises
    ------
    ValueError
        If the count is below 1.

    Example
    -------
    >>> palette(2), len(set(palette(72)))
    (['#0072B2', '#D55E00'], 72)
    """
    if count < 1:
        raise ValueError(f"A palette must have at least one colour; found {count} asked for.")
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    # The golden section's share of the count, made coprime to it: every place is met once.
    leap = next(n for n in range(round(count * 0.382), 0, -1) if math.gcd(n, count) == 1)
    ramp = matplotlib.colormaps["viridis"]
    return [to_hex(ramp(index * leap % count / (count - 1))) for index in range(count)]


def colour_bar(figure: Figure, axes: Axes, image: ScalarMappable, label: str) -> None:
    """What the colours of a panel mean, in small type, with counts in whole numbers."""
    form = "{x:,.0f}" if isinstance(image.norm, LogNorm) else "{x:g}"
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, format=StrMethodFormatter(form))
    bar.ax.minorticks_off()
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


def note(figure: Figure, text: str) -> None:
    """A line in small grey type below everything."""
    figure.text(0.995, 0.005, text, ha="right", va="bottom", fontsize=8, color=GREY)


def nothing(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
