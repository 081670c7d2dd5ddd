"""Titles of all plots of a report: they do not touch each other or the labels of the axes."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emosphere_sb.report.assembly import ReportRequest, assemble_report
from emosphere_sb.report.plots.registry import draw_plots
from emosphere_sb.report.plots.table import plot_table
from emosphere_sb.report.read.runs import read_run
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.figures import assert_no_overlap, tick_labels, titles
from tests.helpers.run_folders import random_predictions, write_run

NAMES = ("test1", "MSP-Podcast-2.0-test-of-natural-recordings")


@pytest.fixture(scope="module", params=NAMES)
def plots(request, tmp_path_factory, made_log):
    """All plots of a report on one set."""
    tables = {request.param: random_predictions(120)}
    run = read_run(write_run(tmp_path_factory.mktemp("run") / "7", tables, best_epoch=2))
    report = assemble_report([run], ReportRequest(resamples=199))
    found = list(draw_plots(report.content, report.tables, made_log))
    assert {plot.section for plot in found} == {
        "points", "sphere", "confusion", "slices", "training",
    }  # fmt: skip
    return found


def test_titles_do_not_touch(plots):
    for plot in plots:
        FigureCanvasAgg(plot.figure).draw()
        found = titles(plot.figure)
        assert found
        assert_no_overlap(plot.figure, found)
        for title in found:
            others = [label for label in tick_labels(plot.figure) if label is not title]
            box = title.get_window_extent()
            assert not [one for one in others if box.overlaps(one.get_window_extent())], plot.name


@pytest.mark.parametrize("count", [2, 3, 4])
def test_titles_of_the_blocks_of_a_table_do_not_touch(count):
    rows = [
        {"label": label, "mean": 0.5, "interval": [0.4, 0.6], "seeds": [0.45, 0.55],
         "published": 0.52, "reference": False}
        for label in ("EmoSphere-SER", "attentive statistics pooling")
    ]  # fmt: skip
    blocks = [
        (f"trained on MSP-Podcast 1.11, tested on MSP-IMPROV {n}", rows) for n in range(count)
    ]
    figure = plot_table(blocks, "mean CCC (dots: seeds; bars: 95% confidence intervals)", title="T")
    FigureCanvasAgg(figure).draw()
    labels = [label for label in tick_labels(figure) if label.get_text()]
    assert_no_overlap(figure, [*titles(figure), *labels])


def test_titles_of_many_classes_do_not_touch(tmp_path, made_log):
    regions = SphericalRegions(30)
    tables = {NAMES[1]: random_predictions(120, regions=regions)}
    run = read_run(write_run(tmp_path / "7", tables))
    report = assemble_report([run], ReportRequest(resamples=199))
    for plot in draw_plots(report.content, report.tables, made_log):
        if plot.section == "confusion":
            FigureCanvasAgg(plot.figure).draw()
            assert_no_overlap(plot.figure, titles(plot.figure))
