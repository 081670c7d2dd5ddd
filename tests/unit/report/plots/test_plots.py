"""Tests of plots, which read the content of the drawn figures."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.image import AxesImage

from emosphere_sb.report.plots import all
from emosphere_sb.report.plots.sphere import region_colours, subsample
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions


def texts(figure):
    """All texts in a figure."""
    return [found.get_text() for found in figure.findobj(lambda a: hasattr(a, "get_text"))]


def scatters(axes):
    return [found for found in axes.collections if isinstance(found, PathCollection)]


def test_scatter_shows_labelled_points(made_table, scale):
    table = made_table(50)
    table.loc[:9, "valence"] = np.nan
    found = prediction_metrics(table)
    figure = all.plot_predictions(table, found, scale=scale, name="test1")
    valence, arousal, dominance = figure.axes
    (points,) = scatters(valence)
    expected = table.loc[10:, ["valence", "valence_predicted"]].to_numpy()
    np.testing.assert_array_equal(points.get_offsets(), expected)
    assert len(scatters(arousal)[0].get_offsets()) == 50
    assert "n = 40, 10 without a label" in valence.get_xlabel()
    assert "n = 50" in dominance.get_xlabel()
    assert valence.get_title(loc="left") == f"Valence: CCC {found['valence']['ccc']:.3f}".replace(
        " 0.", " ."
    )


def test_many_points_use_hexbins(made_table, scale):
    table = made_table(3000)
    figure = all.plot_predictions(table, prediction_metrics(table), scale=scale)
    for axes in figure.axes[:3]:
        (cells,) = (found for found in axes.collections if isinstance(found, PolyCollection))
        assert cells.get_array().sum() == 3000
        assert not scatters(axes)


def test_axis_limits_cover_scale_and_outliers(made_table, scale):
    table = made_table(20)
    table.loc[0, "arousal_predicted"] = 9.5
    figure = all.plot_predictions(table, prediction_metrics(table), scale=scale)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert (low, high) == axes.get_ylim()
        assert low <= 1 and high >= 9.5


def test_unlabelled_set_is_annotated(made_table, scale):
    table = made_table(20, labelled=False)
    figure = all.plot_predictions(table, prediction_metrics(table), scale=scale)
    assert texts(figure).count("no labels") == 3
    assert "Valence: CCC –" in texts(figure)


def test_points_are_on_visible_side_of_sphere(made_table, scale):
    table = made_table(200)
    figure = all.plot_sphere(table, scale=scale)
    by_column = {0: [], 1: []}
    for number, axes in enumerate(figure.axes):
        (cloud,) = scatters(axes)
        points = np.stack(cloud._offsets3d, axis=1)
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
        turn, rise = np.deg2rad([axes.azim, axes.elev])
        eye = [np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)]
        assert (points @ eye > -1e-12).all()
        by_column[number // 2].append(points)
    for column, names in enumerate((DIMENSIONS, PREDICTED)):
        vad = (table[list(names)].to_numpy() - 4) / 3
        vad /= np.linalg.norm(vad, axis=1, keepdims=True)
        drawn = np.concatenate(by_column[column])[:, [2, 0, 1]]  # valence points up
        assert sorted(map(tuple, drawn.round(9))) == sorted(map(tuple, vad.round(9)))


def test_reversed_dimensions_are_inverted(made_table):
    table = made_table(1)
    table[list(DIMENSIONS)] = [[6.0, 5.0, 5.0]]
    for scale, height in ((Scale(1, 7), 2), (Scale(1, 7, reversed=("valence",)), -2)):
        figure = all.plot_sphere(table, scale=scale)
        points = [np.stack(scatters(axes)[0]._offsets3d, axis=1) for axes in figure.axes[:2]]
        expected = np.array([[1, 1, height]]) / np.sqrt(6)
        np.testing.assert_allclose(np.concatenate(points), expected)


def test_many_points_are_subsampled_by_seed_with_note(made_table, scale):
    table = made_table(3500)
    figure = all.plot_sphere(table, scale=scale, seed=5)
    assert any("3,000 of 3,500 utterances, sampled with seed 5" in text for text in texts(figure))
    assert all.render_png(figure) == all.render_png(all.plot_sphere(table, scale=scale, seed=5))
    assert all.render_png(figure) != all.render_png(all.plot_sphere(table, scale=scale, seed=6))


def test_neutral_points_are_counted_not_plotted(made_table, scale):
    table = made_table(20)
    table.loc[3, list(DIMENSIONS)] = 4.0
    said = "20 utterances; at neutral, not shown: 1 true, 0 predicted"
    assert said in texts(all.plot_sphere(table, scale=scale))


def test_subsample_preserves_order_without_duplicates(made_table):
    table = made_table(100)
    few = subsample(table, seed=1, most=30)
    assert len(few) == few["ID"].nunique() == 30
    assert list(few.index) == sorted(few.index)
    assert subsample(table, seed=1, most=100) is table


@pytest.mark.parametrize("step", [180, 90, 60, 45, 30])
def test_region_colours_are_unique(step):
    names = SphericalRegions(step).names
    colours, labels = region_colours(names)
    assert len({colours[name] for name in names}) == len(names)
    assert len(labels) == (len(names) if len(names) <= 8 else 0)


def test_region_colours_do_not_depend_on_occurrence():
    assert region_colours(["VII"])[0]["VII"] == region_colours(SphericalRegions(90).names)[0]["VII"]


def test_regions_of_two_partitions_raise():
    with pytest.raises(ValueError, match="same partition of the sphere; found I, p000a000"):
        region_colours(["I", "p000a000"])


@pytest.mark.parametrize("step", [60, 30])
def test_sphere_with_finer_regions(made_table, scale, step):
    figure = all.plot_sphere(made_table(100, step=step), scale=scale)
    regions = len(SphericalRegions(step))
    assert any(f"{regions} regions" in text for text in texts(figure))


def test_confusion_matrix_annotates_counts_and_shares():
    matrix = {"classes": ["a", "b", "c"], "counts": [[3, 1, 0], [0, 1200, 0], [0, 0, 0]]}
    figure = all.plot_confusion(matrix, title="t", classes="emotion")
    axes = figure.axes[0]
    cells = [(text.get_text(), text.get_position()) for text in axes.texts]
    assert [text for text, _ in cells] == [
        "75%", "3", "25%", "1", "0%", "0", "0%", "0", "100%", "1,200", "0%", "0",
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "a (n = 4)", "b (n = 1,200)", "c (n = 0)",
    ]  # fmt: skip
    (image,) = (found for found in axes.images if isinstance(found, AxesImage))
    assert image.get_array().mask[2].all()  # a class that does not occur has no shares
    assert axes.get_ylabel() == "true emotion"


def test_confusion_matrix_of_many_classes_has_two_panels():
    counts = np.zeros((72, 72), dtype=int)
    counts[0, 0], counts[0, 71], counts[5, 5] = 30, 10, 1
    names = SphericalRegions(30).names
    figure = all.plot_confusion({"classes": names, "counts": counts}, title="t")
    left, right = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert left.sum() == 41
    assert left[0, 71] == 10
    assert right[0, 0] == 0.75 and right[5, 5] == 1.0
    assert right.mask[1].all()
    assert len(all.render_png(figure)) > 1000


def test_empty_confusion_matrix_is_drawn():
    for classes in (2, 20):
        matrix = {"classes": list("abcdefghijklmnopqrst")[:classes]}
        matrix["counts"] = np.zeros((classes, classes), dtype=int)
        assert len(all.render_png(all.plot_confusion(matrix, title="t"))) > 1000


def test_non_square_confusion_matrix_raises():
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*found \(1, 2\)"):
        all.plot_confusion({"classes": ["a", "b"], "counts": [[1, 2]]}, title="t")


def test_training_curves_show_log(made_log):
    figure = all.plot_training_curves(made_log, best=2)
    losses, development, weight = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in losses.lines}
    np.testing.assert_array_equal(drawn["total"], [4.5, 3.5, 2.0])
    np.testing.assert_array_equal(drawn["auxiliary"], [2.0, 1.5, np.nan])
    drawn = {line.get_label(): line.get_ydata() for line in development.lines}
    np.testing.assert_array_equal(drawn["Valence"], [0.1, 0.2, 0.25])
    np.testing.assert_array_equal(drawn["Mean"], [0.2, 0.3, 0.35])
    np.testing.assert_array_equal(weight.lines[0].get_ydata(), [1.0, 0.5, np.nan])
    assert "Development set (tested: epoch 2, mean CCC .300)" in texts(figure)
    assert weight.get_ylim()[0] == 0


def test_training_curves_without_auxiliary_task_have_no_weight(made_log):
    log = {name: column for name, column in made_log.items() if "weight" not in name}
    figure = all.plot_training_curves(log)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Training losses", "Development set",
    ]  # fmt: skip


def part(value, ccc, interval=None, utterances=1234):
    found = {name: {"ccc": ccc} for name in DIMENSIONS} | {"mean_ccc": ccc}
    ends = {name: {"ccc": interval} for name in DIMENSIONS} | {"mean_ccc": interval}
    return {"value": value, "utterances": utterances, "metrics": found, "intervals": ends}


def test_subgroups_are_bars_with_intervals_and_counts():
    parts = [part("Female", 0.5, [0.4, 0.6]), part("", -0.25, None, 20), part("x", float("nan"))]
    figure = all.plot_subgroups(parts, part("", 0.45)["metrics"], title="By gender")
    for axes in figure.axes:
        assert [bar.get_width() for bar in axes.patches] == [0.5, -0.25]
        drawn = [list(line.get_xdata()) for line in axes.lines]
        assert drawn.count([0.4, 0.6]) == 1  # the interval
        assert drawn.count([0.45, 0.45]) == 1  # the whole set
        assert [text.get_text().strip() for text in axes.texts] == ["undefined"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["Female (n = 1,234)", "unknown (n = 20)", "x (n = 1,234)"]


def test_subgroups_of_fewer_than_20_utterances_have_no_bar():
    parts = [part("Happy", 0.5, None, 4), part("Sad", 0.25, None, 19), part("Neutral", 0.1, None)]
    figure = all.plot_subgroups(parts, title="By emotion class")
    for axes in figure.axes:
        assert [bar.get_width() for bar in axes.patches] == [0.1]
        assert [text.get_text().strip() for text in axes.texts] == ["n < 20", "n < 20"]


def row(label, mean, *, interval=None, seeds=(), published=None, reference=False):
    return {"label": label, "mean": mean, "interval": interval, "seeds": list(seeds),
            "published": published, "reference": reference}  # fmt: skip


def test_plot_table_shows_means_intervals_seeds_and_published_scores():
    rows = [
        row("ours", 0.7, interval=[0.65, 0.75], seeds=[0.69, 0.71], published=0.68, reference=True),
        row("other", None),
    ]
    figure = all.plot_table(rows, "mean CCC")
    (axes,) = figure.axes
    by_marker = {line.get_marker(): list(np.atleast_1d(line.get_xdata())) for line in axes.lines
                 if len(np.atleast_1d(line.get_xdata()))}  # fmt: skip
    assert by_marker["o"] == [0.7]
    assert by_marker["."] == [0.69, 0.71]
    assert by_marker["D"] == [0.68]
    assert [0.65, 0.75] in [list(np.atleast_1d(line.get_xdata())) for line in axes.lines]
    assert axes.get_xlabel() == "mean CCC"
    assert {".700", "not run", "published", "reference"} <= set(texts(figure))


def test_plot_table_with_one_panel_per_block():
    blocks = [(f"test{n}", [row("a", 0.1 * n), row("b", None)]) for n in (1, 2, 3)]
    figure = all.plot_table(blocks, "mean CCC", title="Pooling")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["test1", "test2", "test3"]
    assert "Pooling: mean CCC" in texts(figure)
    assert [text for text in texts(figure) if text in (".100", ".200", ".300")] == [
        ".100", ".200", ".300",
    ]  # fmt: skip


def test_plot_table_rejects_panels_with_different_rows():
    blocks = [("test1", [row("a", 0.1)]), ("test2", [row("b", 0.1)])]
    with pytest.raises(ValueError, match="All panels must have the rows a; found b in 'test2'"):
        all.plot_table(blocks, "CCC")


def test_empty_plot_table_is_drawn():
    assert len(all.render_png(all.plot_table([row("a", None)], "CCC"))) > 1000


def test_dollar_signs_are_not_parsed_as_math(scale):
    figure = all.plot_subgroups([part("$x_1$", 0.5)], title="By $peaker$")
    assert len(all.render_png(figure)) > 1000
    assert "By $peaker$" in texts(figure)
