"""Every plot of a report and of a table of runs; each stands in a file of its own.

They are matplotlib figures, drawn without pyplot: nothing is kept open, no window is needed, and
the same input gives the same bytes.
"""

from emosphere_sb.report.plots.confusion import confusion_figure
from emosphere_sb.report.plots.curves import training_curves
from emosphere_sb.report.plots.scatter import predicted_vs_true
from emosphere_sb.report.plots.slices import SUBGROUP_TITLES, subgroup_bars
from emosphere_sb.report.plots.sphere import sphere_figure
from emosphere_sb.report.plots.style import figure_to_pdf, figure_to_png
from emosphere_sb.report.plots.table import table_figure

__all__ = [
    "SUBGROUP_TITLES",
    "confusion_figure",
    "figure_to_pdf",
    "figure_to_png",
    "predicted_vs_true",
    "subgroup_bars",
    "sphere_figure",
    "table_figure",
    "training_curves",
]
