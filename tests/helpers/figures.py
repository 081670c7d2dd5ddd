"""Positions of the texts of a figure."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def titles(figure: Figure) -> list:
    """Return the title of the figure, its footnotes, and the titles of its axes."""
    found = [figure._suptitle, *figure.texts]
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes._right_title]
    return list(dict.fromkeys(text for text in found if text is not None and text.get_text()))


def tick_labels(figure: Figure) -> list:
    """Return the tick labels and axis labels that are visible."""
    found = []
    for axes in figure.axes:
        for index, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = sorted((axes.get_xlim, axes.get_ylim)[index]())
            for label in axis.get_ticklabels():
                shown = label.get_text() and label.get_visible()
                if shown and low <= label.get_position()[index] <= high:
                    found.append(label)
            if axis.label.get_text():
                found.append(axis.label)
    return found


def assert_no_overlap(figure: Figure, artists, *, gap: float = 1.0) -> None:
    """Assert that artists have a distance of at least ``gap`` pixels, and lie in the figure."""
    FigureCanvasAgg(figure).draw()
    boxes = [(artist, artist.get_window_extent().padded(gap / 2)) for artist in artists]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), f"{one} and {other} overlap"
    for one, box in boxes:
        inside = box.x0 >= -gap and box.y0 >= -gap
        inside = inside and box.x1 <= figure.bbox.x1 + gap and box.y1 <= figure.bbox.y1 + gap
        assert inside, f"{one} is not completely in the figure"
