"""All plots of reports and results tables, one per module.

They are matplotlib figures drawn without pyplot: no display is needed, no figure has to be closed,
and the output is reproducible byte by byte.
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
    "sphere_figure",
    "subgroup_bars",
    "table_figure",
    "training_curves",
]
