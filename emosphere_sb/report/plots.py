"""Every plot of a report and of a table of runs; each stands in a file of its own.

They are matplotlib figures, drawn without pyplot: nothing is kept open, no window is needed, and
the same input gives the same bytes.
"""

from emosphere_sb.report.plots_confusion import confusion
from emosphere_sb.report.plots_curves import training_curves
from emosphere_sb.report.plots_points import predicted_against_true
from emosphere_sb.report.plots_slices import SLICES, slice_bars
from emosphere_sb.report.plots_sphere import sphere
from emosphere_sb.report.plots_style import pdf, png
from emosphere_sb.report.plots_table import table_figure

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
