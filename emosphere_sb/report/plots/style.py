"""Common style of all plots, and reproducible PNG and PDF output."""

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
"""Colours of the dimensions and their mean: three Okabe-Ito colours, and dark grey."""

TITLES = {"valence": "Valence", "arousal": "Arousal", "dominance": "Dominance", "mean_ccc": "Mean"}

OKABE_ITO = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#222222",
)  # fmt: skip
"""Eight colour-blind safe colours (Okabe and Ito, 2008)."""

GREY, FAINT = "#666666", "#D9D9D9"

STYLE = {
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.09,  # inches; separates titles from the panels above
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
    "text.parse_math": False,  # names from files may contain a dollar sign
    "pdf.fonttype": 42,
}

Drawing = TypeVar("Drawing", bound=Callable[..., Figure])


@contextmanager
def plot_style() -> Iterator[None]:
    """Use the style of this package, regardless of the user's matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def with_plot_style(draw: Drawing) -> Drawing:
    """Decorate a drawing function to use :func:`plot_style`."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with plot_style():
            return draw(*args, **kwargs)

    return in_style


def render_png(figure: Figure) -> bytes:
    """Render a figure as PNG, without version and date, so that the output is reproducible."""
    return _render_figure(figure, "png", {"Software": None})


def render_pdf(figure: Figure) -> bytes:
    """Render a figure as PDF, without version and date, so that the output is reproducible."""
    return _render_figure(figure, "pdf", {"Creator": None, "Producer": None, "CreationDate": None})


def _render_figure(figure: Figure, form: str, metadata: dict) -> bytes:
    buffer = io.BytesIO()
    with plot_style():
        figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def palette(count: int) -> list[str]:
    """Return distinct, colour-blind safe colours for a number of classes.

    Up to eight classes have the Okabe-Ito colours. More classes have colours of matplotlib's
    viridis, ordered so that neighbouring classes differ in lightness.

    Arguments
    ---------
    count : int
        Number of classes, at least 1.

    Returns
    -------
    list of str
        Hexadecimal colours, distinct for up to 200 classes.

    Raises
    ------
    ValueError
        If ``count`` is below 1.

    Example
    -------
    >>> palette(2), len(set(palette(72)))
    (['#0072B2', '#D55E00'], 72)
    """
    if count < 1:
        raise ValueError(f"count must be at least 1; found {count}.")
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    # A step near the golden ratio and coprime to count visits each position once.
    step = next(n for n in range(round(count * 0.382), 0, -1) if math.gcd(n, count) == 1)
    ramp = matplotlib.colormaps["viridis"]
    return [to_hex(ramp(index * step % count / (count - 1))) for index in range(count)]


def add_colour_bar(figure: Figure, axes: Axes, image: ScalarMappable, label: str) -> None:
    """Add a colour bar; logarithmic scales have integer tick labels."""
    form = "{x:,.0f}" if isinstance(image.norm, LogNorm) else "{x:g}"
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, format=StrMethodFormatter(form))
    bar.ax.minorticks_off()
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


def add_footnote(figure: Figure, text: str) -> None:
    """Add a footnote at the bottom of a plot."""
    figure.text(0.995, 0.005, text, ha="right", va="bottom", fontsize=8, color=GREY)


def annotate_empty(axes: Axes, text: str) -> None:
    """Explain in an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
