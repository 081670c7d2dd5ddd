"""All plots of reports and results tables, one per module.

They are matplotlib figures drawn without pyplot: no display is needed, no figure has to be closed,
and the output is reproducible byte for byte.
"""

from emosphere_sb.report.plots.confusion import plot_confusion
from emosphere_sb.report.plots.curves import plot_training_curves
from emosphere_sb.report.plots.scatter import plot_predictions
from emosphere_sb.report.plots.slices import SUBGROUP_TITLES, plot_subgroups
from emosphere_sb.report.plots.sphere import plot_sphere
from emosphere_sb.report.plots.style import render_pdf, render_png
from emosphere_sb.report.plots.table import plot_table

__all__ = [
    "SUBGROUP_TITLES",
    "plot_confusion",
    "plot_predictions",
    "plot_sphere",
    "plot_subgroups",
    "plot_table",
    "plot_training_curves",
    "render_pdf",
    "render_png",
]
