"""Every plot of a report and of a table of runs; each stands in a file of its own.

They are matplotlib figures, drawn without pyplot: nothing is kept open, no window is needed, and
the same input gives the same bytes.
"""

from emosphere_sb.report.plots.confusion import confusion
from emosphere_sb.report.plots.curves import training_curves
from emosphere_sb.report.plots.scatter import predicted_against_true
from emosphere_sb.report.plots.slices import SLICES, slice_bars
from emosphere_sb.report.plots.sphere import sphere
from emosphere_sb.report.plots.style import pdf, png
from emosphere_sb.report.plots.table import table_figure

__all__ = [
    "SLICES",
    "confusion",
    "pdf",
    "png",
    "predicted_against_true",
    "slice_bars",
    "sphere",
    "table_figure",
    "training_curves",
]
