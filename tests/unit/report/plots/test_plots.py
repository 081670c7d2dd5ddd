"""What plots show, read off the figures that are drawn."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.image import AxesImage

from emosphere_sb.report.plots import all
from emosphere_sb.report.plots.sphere import region_colours, thinned
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions


def texts(figure):
    """Everything that is written in a figure."""
    return [found.get_text() for found in figure.findobj(lambda a: hasattr(a, "get_text"))]


def scatters(axes):
    return [found for found in axes.collections if isinstance(found, PathCollection)]


def test_points_are_the_labelled_ones(made_table, scale):
    table = made_table(50)
    table.loc[:9, "valence"] = np.nan
    found = figures(table)
    figure = all.predicted_against_true(table, found, scale=scale, name="test1")
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


def test_many_points_are_counted_in_cells(made_table, scale):
    table = made_table(3000)
    figure = all.predicted_against_true(table, figures(table), scale=scale)
    for axes in figure.axes[:3]:
        (cells,) = (found for found in axes.collections if isinstance(found, PolyCollection))
        assert cells.get_array().sum() == 3000
        assert not scatters(axes)


def test_panels_cover_the_scale_and_what_lies_off_it(made_table, scale):
    table = made_table(20)
    table.loc[0, "arousal_predicted"] = 9.5
    figure = all.predicted_against_true(table, figures(table), scale=scale)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert (low, high) == axes.get_ylim()
        assert low <= 1 and high >= 9.5


def test_a_set_without_labels_says_so(made_table, scale):
    table = made_table(20, labelled=False)
    figure = all.predicted_against_true(table, figures(table), scale=scale)
    assert texts(figure).count("no labels") == 3
    assert "Valence: CCC –" in texts(figure)


def test_every_point_lies_on_the_sphere_on_the_side_that_is_seen(made_table, scale):
    table = made_table(200)
    figure = all.sphere(table, scale=scale)
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


def test_reversed_dimensions_are_turned(made_table):
    table = made_table(1)
    table[list(DIMENSIONS)] = [[6.0, 5.0, 5.0]]
    for scale, height in ((Scale(1, 7), 2), (Scale(1, 7, reversed=("valence",)), -2)):
        figure = all.sphere(table, scale=scale)
        points = [np.stack(scatters(axes)[0]._offsets3d, axis=1) for axes in figure.axes[:2]]
        expected = np.array([[1, 1, height]]) / np.sqrt(6)
        np.testing.assert_allclose(np.concatenate(points), expected)


def test_more_points_than_fit_are_drawn_by_seed_and_it_is_said(made_table, scale):
    table = made_table(3500)
    figure = all.sphere(table, scale=scale, seed=5)
    assert any("3,000 of 3,500 utterances, drawn with seed 5" in text for text in texts(figure))
    assert all.png(figure) == all.png(all.sphere(table, scale=scale, seed=5))
    assert all.png(figure) != all.png(all.sphere(table, scale=scale, seed=6))


def test_neutral_has_no_direction_and_is_counted(made_table, scale):
    table = made_table(20)
    table.loc[3, list(DIMENSIONS)] = 4.0
    said = "20 utterances; at neutral, not drawn: 1 true, 0 predicted"
    assert said in texts(all.sphere(table, scale=scale))


def test_thinned_keeps_order_and_draws_nothing_twice(made_table):
    table = made_table(100)
    few = thinned(table, seed=1, most=30)
    assert len(few) == few["ID"].nunique() == 30
    assert list(few.index) == sorted(few.index)
    assert thinned(table, seed=1, most=100) is table


@pytest.mark.parametrize("step", [180, 90, 60, 45, 30])
def test_every_region_has_a_colour_of_its_own(step):
    names = SphericalRegions(step).names
    colours, labels = region_colours(names)
    assert len({colours[name] for name in names}) == len(names)
    assert len(labels) == (len(names) if len(names) <= 8 else 0)


def test_colours_do_not_depend_on_which_regions_occur():
    assert region_colours(["VII"])[0]["VII"] == region_colours(SphericalRegions(90).names)[0]["VII"]


def test_regions_of_two_partitions_are_refused():
    with pytest.raises(ValueError, match="one partition of the sphere; found I, p000a000"):
        region_colours(["I", "p000a000"])


@pytest.mark.parametrize("step", [60, 30])
def test_sphere_of_finer_regions(made_table, scale, step):
    figure = all.sphere(made_table(100, step=step), scale=scale)
    regions = len(SphericalRegions(step))
    assert any(f"{regions} regions" in text for text in texts(figure))


def test_confusion_writes_counts_and_shares():
    matrix = {"classes": ["a", "b", "c"], "counts": [[3, 1, 0], [0, 1200, 0], [0, 0, 0]]}
    figure = all.confusion(matrix, title="t", classes="emotion")
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


def test_confusion_of_many_classes_has_counts_and_shares_beside_each_other():
    counts = np.zeros((72, 72), dtype=int)
    counts[0, 0], counts[0, 71], counts[5, 5] = 30, 10, 1
    names = SphericalRegions(30).names
    figure = all.confusion({"classes": names, "counts": counts}, title="t")
    left, right = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert left.sum() == 41
    assert left[0, 71] == 10
    assert right[0, 0] == 0.75 and right[5, 5] == 1.0
    assert right.mask[1].all()
    assert len(all.png(figure)) > 1000


def test_confusion_without_utterances_is_drawn():
    for classes in (2, 20):
        matrix = {"classes": list("abcdefghijklmnopqrst")[:classes]}
        matrix["counts"] = np.zeros((classes, classes), dtype=int)
        assert len(all.png(all.confusion(matrix, title="t"))) > 1000


def test_confusion_that_is_no_square_is_refused():
    with pytest.raises(ValueError, match=r"classes, 2; found shape \(1, 2\)"):
        all.confusion({"classes": ["a", "b"], "counts": [[1, 2]]}, title="t")


def test_training_curves_hold_the_log(made_log):
    figure = all.training_curves(made_log, best=2)
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


def test_training_curves_without_an_auxiliary_task_have_no_weight(made_log):
    log = {name: column for name, column in made_log.items() if "weight" not in name}
    figure = all.training_curves(log)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Training losses", "Development set",
    ]  # fmt: skip


def part(value, ccc, interval=None, utterances=1234):
    found = {name: {"ccc": ccc} for name in DIMENSIONS} | {"mean_ccc": ccc}
    ends = {name: {"ccc": interval} for name in DIMENSIONS} | {"mean_ccc": interval}
    return {"value": value, "utterances": utterances, "figures": found, "intervals": ends}


def test_slices_are_bars_with_intervals_and_counts():
    parts = [part("Female", 0.5, [0.4, 0.6]), part("", -0.25, None, 3), part("x", float("nan"))]
    figure = all.slice_bars(parts, part("", 0.45)["figures"], title="By gender")
    for axes in figure.axes:
        assert [bar.get_width() for bar in axes.patches] == [0.5, -0.25]
        drawn = [list(line.get_xdata()) for line in axes.lines]
        assert drawn.count([0.4, 0.6]) == 1  # the interval
        assert drawn.count([0.45, 0.45]) == 1  # the whole set
        assert [text.get_text().strip() for text in axes.texts] == ["not defined"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["Female (n = 1,234)", "unknown (n = 3)", "x (n = 1,234)"]


def row(label, mean, *, interval=None, seeds=(), published=None, reference=False):
    return {"label": label, "mean": mean, "interval": interval, "seeds": list(seeds),
            "published": published, "reference": reference}  # fmt: skip


def test_table_figure_shows_means_intervals_seeds_and_published_figures():
    rows = [
        row("ours", 0.7, interval=[0.65, 0.75], seeds=[0.69, 0.71], published=0.68, reference=True),
        row("other", None),
    ]
    figure = all.table_figure(rows, "mean CCC")
    (axes,) = figure.axes
    by_marker = {line.get_marker(): list(np.atleast_1d(line.get_xdata())) for line in axes.lines
                 if len(np.atleast_1d(line.get_xdata()))}  # fmt: skip
    assert by_marker["o"] == [0.7]
    assert by_marker["."] == [0.69, 0.71]
    assert by_marker["D"] == [0.68]
    assert [0.65, 0.75] in [list(np.atleast_1d(line.get_xdata())) for line in axes.lines]
    assert axes.get_xlabel() == "mean CCC"
    assert {".700", "not run", "published", "reference"} <= set(texts(figure))


def test_table_figure_with_a_panel_a_block():
    blocks = [(f"test{n}", [row("a", 0.1 * n), row("b", None)]) for n in (1, 2, 3)]
    figure = all.table_figure(blocks, "mean CCC", title="Pooling")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["test1", "test2", "test3"]
    assert "Pooling: mean CCC" in texts(figure)
    assert [text for text in texts(figure) if text in (".100", ".200", ".300")] == [
        ".100", ".200", ".300",
    ]  # fmt: skip


def test_table_figure_of_panels_with_other_rows_is_refused():
    blocks = [("test1", [row("a", 0.1)]), ("test2", [row("b", 0.1)])]
    with pytest.raises(ValueError, match="Every panel must have the rows a; found b in 'test2'"):
        all.table_figure(blocks, "CCC")


def test_table_figure_of_nothing_is_drawn():
    assert len(all.png(all.table_figure([row("a", None)], "CCC"))) > 1000


def test_names_with_dollars_are_no_formulas(scale):
    figure = all.slice_bars([part("$x_1$", 0.5)], title="By $peaker$")
    assert len(all.png(figure)) > 1000
    assert "By $peaker$" in texts(figure)
